"""The Open Inference Protocol byte by byte, as its specification and that of binary tensors write it.

Covers: commands.serve.tensors.
"""

import asyncio
import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest

from seglight import __version__
from seglight.commands.serve import open_inference, tensors
from seglight.commands.serve.app import create_app
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.settings import Settings
from tests.support.served import StandIn, serving

HEADER = "Inference-Header-Content-Length"
BATCH = np.random.default_rng(0).integers(0, 255, (2, 3, 5, 7), np.uint8)
LABELS = BATCH[:, 0] // 64
"""What the stand-in for a net gives for it."""

VERSION = "000000000000"

Call = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture(scope="module")
def service() -> StandIn:
    """Of `red`, which has labels only, and `soft`, which has probabilities."""
    found = StandIn("red", "soft")
    found.models["red"] = replace(found.models["red"], has_probabilities=False)
    return found


@pytest.fixture(scope="module")
def port(service: Any) -> Iterator[int]:
    with serving(create_app(service, Settings(queue=4)), service) as running:
        yield running.port


@pytest.fixture
def call(port: int) -> Iterator[Call]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)

    def called(method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()

    yield called
    connection.close()


def inference(data: Any = None, **changes: Any) -> dict[str, Any]:
    tensor = {"name": "image", "shape": [*BATCH.shape], "datatype": "UINT8"}
    return {"inputs": [{**tensor, "data": BATCH.ravel().tolist() if data is None else data}], **changes}


def of_bytes(content: bytes = BATCH.tobytes(), **changes: Any) -> tuple[bytes, str]:
    """A body with the tensor behind the JSON, and the length of the JSON."""
    tensor = {"name": "image", "shape": [*BATCH.shape], "datatype": "UINT8"}
    request = {"inputs": [{**tensor, "parameters": {"binary_data_size": len(content)}}], **changes}
    text = json.dumps(request).encode()
    return text + content, str(len(text))


def test_an_inference_as_json(call: Call) -> None:
    for data in (None, BATCH.tolist()):  # flat, and nested as the shape
        body = json.dumps(inference(data, id="42", outputs=[{"name": "labels"}])).encode()
        status, headers, answer = call("POST", "/v2/models/red/infer", body)
        assert (status, headers["content-type"]) == (200, "application/json")
        assert json.loads(answer) == {
            "model_name": "red",
            "model_version": VERSION,
            "id": "42",
            "outputs": [{"name": "labels", "datatype": "UINT8", "shape": [2, 5, 7], "data": LABELS.ravel().tolist()}],
        }


def test_an_inference_as_bytes(call: Call) -> None:
    body, length = of_bytes(parameters={"binary_data_output": True})
    status, headers, answer = call("POST", "/v2/models/red/infer", body, Inference_Header_Content_Length=length)
    assert (status, headers["content-type"]) == (200, "application/octet-stream")
    text, tail = answer[: int(headers[HEADER.lower()])], answer[int(headers[HEADER.lower()]) :]
    found = json.loads(text)
    assert "id" not in found
    assert found["outputs"] == [
        {"name": "labels", "datatype": "UINT8", "shape": [2, 5, 7], "parameters": {"binary_data_size": 70}}
    ]
    assert tail == LABELS.tobytes()


def test_one_output_as_json_and_one_as_bytes(call: Call) -> None:
    """Bytes by the request, numbers by the output, which overrides it."""
    outputs = [{"name": "labels", "parameters": {"binary_data": False}}, {"name": "probabilities"}]
    body, length = of_bytes(outputs=outputs, parameters={"binary_data_output": True})
    _, headers, answer = call("POST", "/v2/models/soft/infer", body, Inference_Header_Content_Length=length)
    end = int(headers[HEADER.lower()])
    labels, shares = json.loads(answer[:end])["outputs"]
    assert labels["data"] == LABELS.ravel().tolist()
    assert (shares["datatype"], shares["shape"]) == ("FP32", [2, 4, 5, 7])
    expected = np.where(LABELS[:, None] == np.arange(4)[:, None, None], 0.775, 0.075).astype("<f4")
    np.testing.assert_allclose(np.frombuffer(answer[end:], "<f4").reshape(2, 4, 5, 7), expected, rtol=1e-6)


def test_all_outputs_unless_some_are_named(call: Call) -> None:
    _, _, answer = call("POST", "/v2/models/soft/infer", json.dumps(inference()).encode())
    assert [output["name"] for output in json.loads(answer)["outputs"]] == ["labels", "probabilities"]


def test_metadata(call: Call, service: StandIn) -> None:
    expected = {"name": "seglight", "version": __version__, "extensions": ["binary_tensor_data"]}
    for path in ("/v2", "/v2/"):
        status, _, answer = call("GET", path)
        assert (status, json.loads(answer)) == (200, expected)
    version = service.models["soft"].version
    for path in ("/v2/models/soft", f"/v2/models/soft/versions/{version}"):
        assert json.loads(call("GET", path)[2]) == {
            "name": "soft",
            "versions": [version],
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 3, -1, -1]}],
            "outputs": [
                {"name": "labels", "datatype": "UINT8", "shape": [-1, -1, -1]},
                {"name": "probabilities", "datatype": "FP32", "shape": [-1, 4, -1, -1]},
            ],
        }
        assert json.loads(call("GET", f"{path}/ready")[2]) == {"name": "soft", "ready": True}
    assert json.loads(call("GET", "/v2/health/live")[2]) == {"live": True}
    assert json.loads(call("GET", "/v2/health/ready")[2]) == {"ready": True}


@pytest.fixture
def _starting(service: StandIn) -> Iterator[None]:
    before = service.models["red"]
    service.models["red"] = replace(before, ready=False)
    yield
    service.models["red"] = before


@pytest.mark.usefixtures("_starting")
def test_a_model_that_is_not_ready(call: Call) -> None:
    status, _, text = call("GET", "/v2/models/red/ready")
    assert (status, json.loads(text)) == (503, {"name": "red", "ready": False})
    assert call("GET", "/v2/models/soft/ready")[0] == 200


@pytest.fixture
def _fixed(service: StandIn) -> Iterator[None]:
    before = service.models["red"]
    service.models["red"] = replace(before, size=(64, 96))
    yield
    service.models["red"] = before


@pytest.mark.usefixtures("_fixed")
def test_a_model_of_one_size(call: Call) -> None:
    found = json.loads(call("GET", "/v2/models/red")[2])
    assert (found["inputs"][0]["shape"], found["outputs"][0]["shape"]) == ([-1, 3, 64, 96], [-1, 64, 96])
    status, _, answer = call("POST", "/v2/models/red/infer", json.dumps(inference()).encode())
    assert (status, json.loads(answer)) == (
        400,
        {"error": "red takes images of 64x96 only (height x width), not of 5x7"},
    )


NOT_DATA = "`data` of `image` is not a list of as many integers, 0 to 255, as its shape has"
NOT_SHAPE = "the shape of `image` is not [batch, 3, height, width], four integers above 0"


def tensor(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{**inference()["inputs"][0], **changes}]}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ([], "the body is not a JSON object with `inputs`"),
        ({}, "`inputs` is a list of one tensor, which has the name `image`"),
        ({"inputs": [{"name": "input0"}]}, "`inputs` is a list of one tensor, which has the name `image`"),
        (tensor(datatype="FP32"), "the datatype of `image` is not UINT8"),
        (tensor(shape=[2, 5, 7, 3]), NOT_SHAPE),
        (tensor(shape=[0, 3, 5, 7]), NOT_SHAPE),
        (tensor(shape=[True, 3, 5, 7]), NOT_SHAPE),
        (tensor(data=[1, 2]), NOT_DATA),
        (tensor(data=[256] * 210), NOT_DATA),
        (tensor(data=[-1] * 210), NOT_DATA),
        (tensor(data=[0.5] * 210), NOT_DATA),
        (tensor(data=[True] + [1] * 209), NOT_DATA),
        (tensor(data=[[1], 2]), NOT_DATA),
        (tensor(data=[[[[0] * 7] * 5] * 3, [[[0] * 7] * 5] * 2 + [[[0] * 7] * 4 + [[0] * 6]]]), NOT_DATA),
        (tensor(data=[[[0] * 35] * 3] * 2), NOT_DATA),
        (tensor(data=[[[[[0]] * 7] * 5] * 3] * 2), NOT_DATA),
        (tensor(data=None), NOT_DATA),
        (tensor(data=[10**30] * 210), NOT_DATA),
        (tensor(parameters=1), "`parameters` is not an object"),
        (
            tensor(parameters={"shared_memory_region": "a"}),
            "shared memory is not supported: send the tensor with the request",
        ),
        (
            tensor(parameters={"binary_data_size": 210}),
            "`image` has both `data` and the parameter binary_data_size: give one of them",
        ),
        (inference(id=1), "`id` is not a string"),
        (inference(outputs={}), "`outputs` is not a list of objects with a `name`"),
        (inference(outputs=["labels"]), "`outputs` is not a list of objects with a `name`"),
        (inference(outputs=[{"name": "probabilities"}]), "an output is not one of the model's: labels"),
        (inference(outputs=[{"name": ["labels"]}]), "an output is not one of the model's: labels"),
        (inference(outputs=[{"name": "labels"}] * 2), "an output is named twice"),
        (
            inference(outputs=[{"name": "labels", "parameters": {"classification": 3}}]),
            "the parameter classification is not supported: labels are the classes of pixels",
        ),
    ],
)
def test_what_is_no_inference(request_: Any, reason: str, call: Call) -> None:
    status, _, answer = call("POST", "/v2/models/red/infer", json.dumps(request_).encode())
    assert (status, json.loads(answer)) == (400, {"error": reason})


def test_texts_in_place_of_integers_take_no_more_memory_than_they_have() -> None:
    """An array of them would have the length of the longest 210 times, 4 bytes a character."""
    body = json.dumps(tensor(data=["x" * 100_000] + [""] * 209)).encode()
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match="is not a list of as many integers"):
            tensors.read_inference(body, None, ("labels",))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_what_is_no_json(call: Call) -> None:
    for body in (b"", b"{", b"\xff\xfe\x00", b"[" * 100_000):
        status, _, answer = call("POST", "/v2/models/red/infer", body)
        assert status == 400
        assert json.loads(answer)["error"].startswith("the body is not JSON: if bytes follow the JSON, the header")


def test_bytes_that_do_not_fit(call: Call) -> None:
    body, length = of_bytes()
    more = {"Inference_Header_Content_Length": length}
    for wrong, headers, reason in (
        (body[:-1], more, "and the 209 bytes after the JSON do not agree"),
        (body + b"x", more, "and the 211 bytes after the JSON do not agree"),
        (body, {"Inference_Header_Content_Length": "-1"}, "is not a number of bytes within the body"),
        (body, {"Inference_Header_Content_Length": str(len(body) + 1)}, "is not a number of bytes within the body"),
        (body, {"Inference_Header_Content_Length": "9" * 5000}, "is not a number of bytes within the body"),
        (body, {}, "the body is not JSON"),
    ):
        status, _, answer = call("POST", "/v2/models/red/infer", wrong, **headers)
        assert status == 400
        assert reason in json.loads(answer)["error"]
    text = json.dumps(inference()).encode()
    behind = {"Inference_Header_Content_Length": str(len(text))}
    status, _, answer = call("POST", "/v2/models/red/infer", text + b"abc", **behind)
    assert (status, json.loads(answer)["error"][:26]) == (400, "3 bytes follow the JSON: `")


def test_models_and_versions_that_are_not_there(call: Call) -> None:
    for name in ("blue", "red/versions/1"):
        assert call("GET", f"/v2/models/{name}")[0] == 404
        assert call("GET", f"/v2/models/{name}/ready")[0] == 404
    for path in ("/v2/models/blue/infer", "/v2/models/red/versions/1/infer"):
        status, _, answer = call("POST", path, json.dumps(inference()).encode())
        assert status == 404
        assert json.loads(answer)["error"].startswith("there is no such")


def test_limits(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    many = json.dumps(tensor(shape=[5, 3, 2, 7], data=[0] * 210)).encode()
    assert json.loads(call("POST", "/v2/models/red/infer", many)[2]) == {
        "error": "a batch of 5 images: at most 4 can wait at a time"
    }
    body = json.dumps(inference()).encode()
    assert call("POST", "/v2/models/red/infer", body, Content_Encoding="gzip")[0] == 415
    monkeypatch.setattr(open_inference, "JSON_VALUES", 69)
    status, _, answer = call("POST", "/v2/models/red/infer", body)
    assert (status, json.loads(answer)["error"][:33]) == (413, "70 values as JSON, at most 69: as")
    monkeypatch.setattr(tensors, "JSON_BYTES", 99)
    status, _, answer = call("POST", "/v2/models/red/infer", body)
    assert status == 413
    assert "send the tensor as bytes" in json.loads(answer)["error"]


class Halting(StandIn):
    """It refuses images that begin with 0, and does not answer others."""

    async def answered(self, image: Any, *args: Any) -> Any:
        if not image[0, 0, 0]:
            raise Refused(429, "too many are waiting", 2.0)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Replaced(StandIn):
    """Its model is replaced, once or with each image, when it has answered two images."""

    def __init__(self, once: bool) -> None:
        super().__init__("soft")
        self.once = once

    async def answered(self, *args: Any) -> Any:
        found = await super().answered(*args)
        if len(self.asked) == 2 or (len(self.asked) > 2 and not self.once):
            self.models["soft"] = replace(self.models["soft"], version=f"{len(self.asked):012}")
        return found


@pytest.mark.parametrize(("once", "status", "asked"), [(True, 200, 6), (False, 503, 8)])
def test_a_batch_is_of_one_version(once: bool, status: int, asked: int) -> None:
    service = Replaced(once)
    with serving(create_app(service, Settings()), service) as running:  # type: ignore[arg-type]
        connection = HTTPConnection("127.0.0.1", running.port, timeout=20)
        body = json.dumps(tensor(shape=[4, 3, 5, 7], data=[0] * 420)).encode()
        connection.request("POST", "/v2/models/soft/infer", body)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
    assert (response.status, len(service.asked)) == (status, asked)
    if once:
        assert answer["model_version"] == "000000000002"  # that of the last two, and of the first two when asked again
    else:
        assert answer == {"error": "soft was replaced during the request: repeat it"}


def test_if_one_image_of_a_batch_is_refused_the_others_are_not_predicted() -> None:
    service = Halting("soft")
    with serving(create_app(service, Settings()), service) as running:  # type: ignore[arg-type]
        connection = HTTPConnection("127.0.0.1", running.port, timeout=20)
        data = np.ones((3, 3, 5, 7), np.uint8)
        data[1] = 0
        body = json.dumps(tensor(shape=[3, 3, 5, 7], data=data.ravel().tolist())).encode()
        connection.request("POST", "/v2/models/soft/infer", body)
        response = connection.getresponse()
        assert (response.status, response.headers["Retry-After"]) == (429, "2")
        assert json.loads(response.read()) == {"error": "too many are waiting"}
        connection.close()
    assert service.cancelled == 2
