"""Triton's own client, against a server of seglight."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from seglight.commands.serve.app import create_app
from seglight.commands.serve.settings import Settings
from tests.support.served import StandIn, serving
from tests.support.stand_in import Reds

triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
utils = pytest.importorskip("tritonclient.utils", reason="tritonclient is not installed")

BATCH = np.random.default_rng(0).integers(0, 255, (3, 3, 40, 50), np.uint8)
LABELS = BATCH[:, 0] // 64
"""What the stand-in for a net gives for it."""


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    service: Any = StandIn("red", "soft")
    with (
        serving(create_app(service, Settings()), service) as running,
        triton.InferenceServerClient(f"127.0.0.1:{running.port}") as client,
    ):
        yield client


def images(binary: bool = True) -> list[Any]:
    tensor = triton.InferInput("image", [*BATCH.shape], "UINT8")
    tensor.set_data_from_numpy(BATCH, binary_data=binary)
    return [tensor]


def test_health_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("red")
    assert client.is_model_ready("red", "000000000000")
    assert not client.is_model_ready("red", "1")
    assert not client.is_model_ready("blue")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    found = client.get_model_metadata("soft")
    assert [tensor["name"] for tensor in found["inputs"] + found["outputs"]] == ["image", "labels", "probabilities"]


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("returned", [True, False])
def test_labels_of_a_batch(sent: bool, returned: bool, client: Any) -> None:
    wanted = triton.InferRequestedOutput("labels", binary_data=returned)
    found = client.infer("red", images(sent), outputs=[wanted], request_id="7")
    labels = found.as_numpy("labels")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, LABELS)
    assert found.get_response()["id"] == "7"


def test_probabilities(client: Any) -> None:
    found = client.infer("soft", images())
    expected = np.stack([Reds().probabilities(image.transpose(1, 2, 0)) for image in BATCH])
    np.testing.assert_array_equal(found.as_numpy("probabilities"), expected)
    np.testing.assert_array_equal(found.as_numpy("labels"), expected.argmax(1))


def test_requests_at_the_same_time(client: Any) -> None:
    under_way = [client.async_infer("red", images(), model_version="000000000000") for _ in range(4)]
    for request in under_way:
        np.testing.assert_array_equal(request.get_result().as_numpy("labels"), LABELS)


def test_what_is_refused_is_an_exception_with_its_line(client: Any) -> None:
    for name, more, status, line in (
        ("blue", {}, "404", "there is no such model: the models are red, soft"),
        ("red", {"model_version": "1"}, "404", "there is no such version: that of red is 000000000000"),
        ("red", {"request_compression_algorithm": "gzip"}, "415", "compressed requests are not supported"),
    ):
        with pytest.raises(utils.InferenceServerException) as caught:
            client.infer(name, images(), **more)
        assert caught.value.status() == status
        assert caught.value.message().startswith(line)
