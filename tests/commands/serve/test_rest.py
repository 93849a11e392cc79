"""`POST /predict` over a real connection, against what the stand-in net sees in the pixels and what `predict` writes.

Covers: commands.serve.answers, commands.serve.formats, commands.serve.health, commands.serve.progress,
commands.serve.responses, commands.serve.uploads.
"""

import json
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pycocotools import mask as rle

from seglight.commands.predict.outputs import writers
from seglight.commands.serve.app import create_app
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.settings import Settings
from seglight.images.label_png import write_labels
from tests.support.served import Running, StandIn, decoded, picture, png, serving
from tests.support.stand_in import PALETTE, Reds

IMAGE = picture()
LABELS = IMAGE[..., 0] // 64


@pytest.fixture(scope="module")
def service() -> StandIn:
    return StandIn("reds", "other", progress=(0.25, 0.5))


@pytest.fixture(scope="module")
def running(service: StandIn) -> Iterator[Running]:
    with serving(create_app(service, Settings(max_bytes=100_000)), service) as found:
        yield found


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url) as found:
        yield found


def predicted(client: httpx.Client, form: str = "", **options: Any) -> httpx.Response:
    """The answer to an image, which must not be an error."""
    query = {"format": form} if form else {}
    found = client.post("/predict", params=query, content=png(IMAGE), **options)
    assert found.status_code == 200, found.text
    return found


def test_the_label_map_is_what_predict_writes(client: httpx.Client, tmp_path: Path) -> None:
    found = predicted(client)
    write_labels(tmp_path / "written.png", LABELS, PALETTE, "")
    written = (tmp_path / "written.png").read_bytes()
    assert found.headers["content-type"] == "image/png"
    assert found.headers["x-seglight-model"] == "reds"
    assert found.headers["x-seglight-version"] == "000000000000"
    assert (decoded(found.content) == LABELS).all()
    # but for the text that states the origin of the file, the same bytes
    start = written.index(b"tEXt") - 4
    assert found.content == written[:start] + written[start + 12 + int.from_bytes(written[start : start + 4]) :]


def test_formats(client: httpx.Client, tmp_path: Path) -> None:
    assert (decoded(predicted(client, "grey").content) == LABELS).all()
    mixed = np.round(IMAGE * 0.5 + np.array(PALETTE, np.uint8)[LABELS] * 0.5)
    assert (decoded(predicted(client, "overlay").content) == mixed).all()
    raw = predicted(client, "labels")
    assert raw.content == LABELS.tobytes()
    assert raw.headers["x-seglight-size"] == "5x7"
    assert (decoded(predicted(client, "confidence").content) == round(0.775 * 255)).all()
    with np.load(BytesIO(predicted(client, "probabilities").content)) as file:
        sent = file["probabilities"]
    writers(["probabilities"], Reds())["probabilities"](tmp_path / "written.npz", IMAGE, LABELS)
    with np.load(tmp_path / "written.npz") as file:
        assert sent.dtype == file["probabilities"].dtype
        assert (sent == file["probabilities"]).all()


@pytest.mark.parametrize("form", ["coco", "polygons"])
def test_objects_paint_the_label_map(client: httpx.Client, form: str) -> None:
    content = predicted(client, form).json()
    assert content["images"] == [{"id": 1, "file_name": "image", "height": 5, "width": 7}]
    assert [entry["name"] for entry in content["categories"]] == list(Reds.class_names)
    if form == "polygons":
        assert all(isinstance(entry["segmentation"][0], list) for entry in content["annotations"])
        return
    painted = np.full(LABELS.shape, 99)
    for entry in content["annotations"]:
        painted[rle.decode(entry["segmentation"]).astype(bool)] = entry["category_id"] - 1
    assert (painted == LABELS).all()


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/png", "image/png"),
        ("application/json", "application/json"),
        ("image/webp;q=0.9, application/json;q=0.8, */*;q=0.1", "application/json"),
        ("application/octet-stream", "application/octet-stream"),
        ("text/html, */*;q=0.5", "image/png"),
    ],
)
def test_the_format_by_the_header_accept(client: httpx.Client, accept: str, media_type: str) -> None:
    assert predicted(client, headers={"Accept": accept}).headers["content-type"] == media_type


def test_a_form_and_the_type_that_curl_states(client: httpx.Client) -> None:
    form = client.post("/predict", files={"image": ("../../etc/passwd", png(IMAGE), "image/png")}, data={"note": "x"})
    assert (decoded(form.content) == LABELS).all()
    for kind in ("image/png", "application/octet-stream", "application/x-www-form-urlencoded"):
        assert (decoded(predicted(client, headers={"Content-Type": kind}).content) == LABELS).all()


def test_a_model_by_its_name(client: httpx.Client) -> None:
    found = client.post("/predict?model=other", content=png(IMAGE))
    assert found.headers["x-seglight-model"] == "other"
    assert found.headers["x-seglight-version"] == "000000000001"
    missing = client.post("/predict?model=nothing", content=png(IMAGE))
    assert missing.status_code == 404
    assert missing.json() == {"error": "there is no such model: the models are reds, other"}


def test_models(client: httpx.Client) -> None:
    found = client.get("/models").json()
    assert found["default"] == "reds"
    assert [model["name"] for model in found["models"]] == ["reds", "other"]
    assert found["models"][0] == {
        "name": "reds",
        "version": "000000000000",
        "classes": [
            {"name": name, "color": list(color)} for name, color in zip(Reds.class_names, PALETTE, strict=True)
        ],
        "bands": ["red", "green", "blue"],
        "type": "uint8",
        "size": None,
        "has_probabilities": True,
        "ready": True,
    }
    assert "secret" not in client.get("/models").text, "no path of the server"


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        ({"content": b""}, 400, "contains no image"),
        ({"content": b"x", "headers": {"Content-Type": "text/html"}}, 415, "type of the body is text/html"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "form is damaged"),
        ({"files": {"picture": b"x"}}, 400, "no file in a field `image`"),
        ({"data": {"image": "x"}, "files": {"other": b"x"}}, 400, "no file in a field `image`"),
        ({"content": b"no image"}, 422, "image"),
        ({"content": b"x", "params": {"format": "jpeg"}}, 400, "parameter format"),
        ({"content": b"x", "headers": {"Accept": "text/html"}}, 406, "no answer is of the type text/html"),
        ({"content": bytes(100_001)}, 413, "more than 100000 bytes"),
    ],
)
def test_mistakes_are_a_status_and_one_line(
    client: httpx.Client, options: dict[str, Any], status: int, text: str
) -> None:
    found = client.post("/predict", **options)
    assert found.status_code == status, found.text
    assert found.json().keys() == {"error"}
    assert text in found.json()["error"]
    assert "\n" not in found.json()["error"]


def test_unknown_paths_and_methods(client: httpx.Client) -> None:
    for path in ("/nothing", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/predict/x", "/%00"):
        found = client.get(path)
        assert found.status_code == 404, path
        assert "there is no such path" in found.json()["error"]
    found = client.get("/predict")
    assert found.status_code == 405
    assert found.headers["allow"] == "POST"
    assert found.json()["error"] == "GET: Method Not Allowed"


def test_progress_in_lines(client: httpx.Client) -> None:
    found = predicted(client, "coco", headers={"Accept": "application/x-ndjson"})
    assert found.headers["content-type"] == "application/x-ndjson"
    *progress, last = map(json.loads, found.text.splitlines())
    assert progress == [{"progress": 0.25}, {"progress": 0.5}]
    assert last["media_type"] == "application/json"
    assert (last["model"], last["version"]) == ("reds", "000000000000")
    assert b64decode(last["result"]) == predicted(client, "coco").content
    manual = (Path(__file__).parents[3] / "docs" / "tasks" / "serve.md").read_text("utf-8")
    description = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["description"]
    for text in (manual, description):
        assert all(f'"{key}": ' in text for key in [*progress[0], *last])


def test_mistakes_in_lines(client: httpx.Client, service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails before there is any progress keeps its status; later it is the last line."""
    lines = {"Accept": "application/x-ndjson"}
    late = client.post("/predict", content=b"no image", headers=lines)
    assert late.status_code == 200
    assert json.loads(late.text.splitlines()[-1]).keys() == {"error"}
    monkeypatch.setattr(service, "fails", Refused(429, "too many images wait", 2.5))
    early = client.post("/predict", content=png(IMAGE), headers=lines)
    assert early.status_code == 429
    assert early.headers["retry-after"] == "3"
    assert early.json() == {"error": "too many images wait"}


def test_an_error_of_the_code_is_one_line(
    client: httpx.Client, service: StandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "fails", ZeroDivisionError("/secret/file.py, line 3"))
    found = client.post("/predict", content=png(IMAGE))
    assert found.status_code == 500
    assert found.json() == {"error": "an error of the server, which its log describes"}
    assert found.headers["x-content-type-options"] == "nosniff"
    assert "ZeroDivisionError" in caplog.text
