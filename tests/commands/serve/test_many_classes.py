"""A server of a net of 1,021 classes: the answers of each protocol against the labels seen in the image.

Covers: commands.serve.answers, commands.serve.tensors.
"""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from seglight.checkpoints.model_card import ModelCard
from seglight.commands.serve.app import create_app
from seglight.commands.serve.service import Service
from seglight.commands.serve.settings import Settings
from seglight.inference.exported import seal
from seglight.inference.exported.metadata import Metadata
from tests.support.served import png, serving, until

CLASSES = 1021
IMAGE = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8).repeat(6, 0).repeat(7, 1)
LABELS = IMAGE[..., 0].astype(np.uint16) * 4
"""The net's labels are four times red."""


def four_times_red(path: Path) -> Path:
    nodes = [
        helper.make_node("Slice", ["image", "first", "last", "axis"], ["slice"]),
        helper.make_node("Squeeze", ["slice", "axis"], ["red"]),
        helper.make_node("Cast", ["red"], ["value"], to=TensorProto.INT32),
        helper.make_node("Mul", ["value", "four"], ["labels"]),
    ]
    constants = {"first": np.array([0]), "last": np.array([1]), "axis": np.array([1]), "four": np.int32(4)}
    graph = helper.make_graph(
        nodes,
        "four_times_red",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["b", 3, "h", "w"])],
        [helper.make_tensor_value_info("labels", TensorProto.INT32, ["b", "h", "w"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    names = tuple(f"class {k}" for k in range(CLASSES))
    card = ModelCard({}, names, tuple((k % 256, k // 256, 9) for k in range(CLASSES)), 65535)
    metadata = Metadata(card, "float32", None, batch=True)
    helper.set_model_props(model, {"seglight": metadata.to_json(), seal.KEY: seal.EMPTY})
    onnx.save(model, path)
    seal.seal(path)
    return path


def opened(content: bytes) -> NDArray[Any]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = Settings()
    service = Service({"many": four_times_red(tmp_path_factory.mktemp("models") / "many.onnx")}, settings, device="cpu")
    with (
        serving(create_app(service, settings), service) as running,
        httpx.Client(base_url=running.url, timeout=60) as found,
    ):
        until(lambda: found.get("/health/ready").status_code == 200)
        yield found


def test_label_maps(client: httpx.Client) -> None:
    for kind in ("png", "grey"):
        found = client.post("/predict", content=png(IMAGE), params={"format": kind})
        assert found.status_code == 200, found.text
        np.testing.assert_array_equal(opened(found.content), LABELS)
    raw = client.post("/predict", content=png(IMAGE), params={"format": "labels"}).content
    np.testing.assert_array_equal(np.frombuffer(raw, "<u2").reshape(LABELS.shape), LABELS)


def test_overlay_and_objects(client: httpx.Client) -> None:
    overlay = opened(client.post("/predict", content=png(IMAGE), params={"format": "overlay"}).content)
    colors = np.stack([LABELS % 256, LABELS // 256, np.full_like(LABELS, 9)], 2)
    np.testing.assert_array_equal(overlay, np.round((IMAGE.astype(float) + colors) / 2))
    objects = client.post("/predict", content=png(IMAGE), params={"format": "coco"}).json()
    areas = np.zeros(CLASSES, np.int64)
    ids = {entry["name"]: entry["id"] for entry in objects["categories"]}
    for entry in objects["annotations"]:
        areas[next(k for k in range(CLASSES) if ids[f"class {k}"] == entry["category_id"])] += entry["area"]
    np.testing.assert_array_equal(areas, np.bincount(LABELS.ravel(), minlength=CLASSES))


def test_tensors_are_those_of_exported_files(client: httpx.Client) -> None:
    tensor = {"name": "image", "shape": [1, 3, *LABELS.shape], "datatype": "UINT8"}
    pixels = IMAGE.transpose(2, 0, 1).ravel()
    shape = [-1, -1, -1]
    assert client.get("/v2/models/many").json()["outputs"] == [{"name": "labels", "datatype": "INT32", "shape": shape}]
    found = client.post("/v2/models/many/infer", json={"inputs": [{**tensor, "data": pixels.tolist()}]}).json()
    assert found["outputs"][0]["datatype"] == "INT32"
    assert found["outputs"][0]["data"] == LABELS.ravel().tolist()
    request = {"inputs": [{**tensor, "data": pixels.tolist()}], "parameters": {"binary_data_output": True}}
    answer = client.post("/v2/models/many/infer", json=request)
    start = int(answer.headers["Inference-Header-Content-Length"])
    assert json.loads(answer.content[:start])["outputs"][0]["parameters"] == {"binary_data_size": 4 * LABELS.size}
    np.testing.assert_array_equal(np.frombuffer(answer.content[start:], "<i4").reshape(LABELS.shape), LABELS)


def test_cvat(client: httpx.Client) -> None:
    body = {"image": base64.b64encode(png(IMAGE)).decode()}
    drawn = np.full(LABELS.shape, 65535, np.uint16)
    found = client.post("/api/function_invocations", json=body, headers={"x-nuclio-function-name": "many"})
    assert found.status_code == 200, found.text
    for entry in found.json():
        *bitmap, left, top, right, bottom = entry["mask"]
        inside = np.reshape(bitmap, (bottom - top + 1, right - left + 1)) == 1
        drawn[top : bottom + 1, left : right + 1][inside] = int(entry["label"].removeprefix("class "))
    np.testing.assert_array_equal(drawn, LABELS)
