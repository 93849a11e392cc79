"""CVAT's calls, as its server makes them to Nuclio's dashboard: by `requests`, with its headers.

Covers: commands.serve.cvat_answer.
"""

import base64
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests

from seglight.commands.serve.app import create_app
from seglight.commands.serve.cvat import decoded
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.settings import Settings
from tests.support.served import Running, StandIn, picture, png, serving
from tests.support.stand_in import Reds

HEADERS = {
    "x-nuclio-project-name": "cvat",
    "x-nuclio-function-namespace": "nuclio",
    "x-nuclio-invoke-via": "domain-name",
    "X-Nuclio-Invoke-Timeout": "120s",
}
"""Headers that CVAT sends with each request."""


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    service = StandIn("city", "other-2.1")
    with serving(create_app(service, Settings(token=b"secret", max_bytes=1_000_000)), service) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(running: Running) -> str:
    """The address that CVAT puts together of its settings, whose host contains the token."""
    return f"http://cvat:secret@127.0.0.1:{running.port}"


def invoke(gateway: str, name: str = "city", **options: Any) -> requests.Response:
    """Call a function."""
    headers = {**HEADERS, "x-nuclio-function-name": name, "x-nuclio-path": "/"}
    return requests.post(f"{gateway}/api/function_invocations", headers=headers, timeout=20, **options)


def test_models_are_listed_as_detectors(gateway: str) -> None:
    """With the keys that `LambdaFunction` of CVAT's server reads."""
    found = requests.get(f"{gateway}/api/functions", headers=HEADERS, timeout=20).json()
    assert list(found) == ["city", "other-2.1"]
    city = found["city"]
    assert city["metadata"]["name"] == "city"
    assert city["metadata"]["annotations"]["type"] == "detector"
    assert json.loads(city["metadata"]["annotations"]["spec"]) == [
        {"id": 0, "name": "sky", "type": "mask"},
        {"id": 1, "name": "road", "type": "mask"},
        {"id": 2, "name": "tree", "type": "mask"},
        {"id": 3, "name": "car", "type": "mask"},
    ]
    assert city["status"] == {"state": "ready"}
    assert "000000000000" in city["spec"]["description"]
    assert requests.get(f"{gateway}/api/functions/city", headers=HEADERS, timeout=20).json() == city
    missing = requests.get(f"{gateway}/api/functions/none", headers=HEADERS, timeout=20)
    assert missing.status_code == 404
    assert missing.json() == {"error": "there is no such model: the models are city, other-2.1"}


def test_masks_paint_the_label_map(gateway: str) -> None:
    """A mask is as many bits as its box has pixels, and the box, whose last row and column belong to it."""
    image = picture(13, 17)
    found = invoke(gateway, json={"image": base64.b64encode(png(image)).decode(), "threshold": 0.5})
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/json"
    painted = np.full(image.shape[:2], 9)
    for item in found.json():
        assert item["type"] == "mask"
        *bits, left, top, right, bottom = item["mask"]
        mask = np.reshape(bits, (bottom - top + 1, right - left + 1)).astype(bool)
        painted[top : bottom + 1, left : right + 1][mask] = Reds.class_names.index(item["label"])
        assert len(item["points"]) >= 8
    np.testing.assert_array_equal(painted, image[..., 0] // 64)


def test_an_image_that_is_not_read_is_refused(gateway: str) -> None:
    for data, status in ((b"\x89PNG\r\n\x1a\n", 422), (png(np.full((2, 2, 3), 255, np.uint8)), 422)):
        found = invoke(gateway, json={"image": base64.b64encode(data).decode()})
        assert (found.status_code, list(found.json())) == (status, ["error"])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 60_000, "the body is not JSON"),
        (b"[]", "the body has no `image`"),
        (b'{"image": 3}', "the body has no `image`"),
        (b'{"image": {"image": "AAAA"}}', "the body has no `image`"),
        (b'["image", "AAAA"]', "the body has no `image`"),
        (b'{"image": "AAAA", }', "the body is not JSON"),
        (b'{"image": "a"}', "not base64"),
        (b'{"image": "AAA\\/"}', "not base64"),
        (b'{"image": "../../etc/passwd!"}', "not base64"),
        ('{"image": "ä"}'.encode(), "not base64"),
    ],
)
def test_other_bodies_are_refused(body: bytes, told: str, gateway: str) -> None:
    found = invoke(gateway, data=body)
    assert found.status_code == 400
    assert told in found.json()["error"]


def test_a_body_takes_no_more_memory_than_it_has() -> None:
    image = bytes(3_000_000)
    body = json.dumps({"threshold": 0.5, "image": base64.b64encode(image).decode(), "mapping": {}}).encode()
    small = b'{"values": [' + b"[]," * 300_000 + b'[]], "image": "AAAA"}'
    tracemalloc.start()
    try:
        assert decoded(body) == image
        with pytest.raises(Refused, match="900029 bytes beside the `image`, and 65536 are read") as refused:
            decoded(small)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * len(body)
    finally:
        tracemalloc.stop()
    assert refused.value.status == 413


def test_the_function_is_named_by_a_header(gateway: str) -> None:
    found = requests.post(f"{gateway}/api/function_invocations", json={"image": ""}, timeout=20)
    assert found.status_code == 400
    assert "x-nuclio-function-name" in found.json()["error"]
    assert invoke(gateway, "none", json={"image": ""}).status_code == 404


def test_the_token_is_required(running: Running) -> None:
    assert requests.get(f"{running.url}/api/functions", headers=HEADERS, timeout=20).status_code == 401
