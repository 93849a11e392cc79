"""A server of nets for images of any bands: files and tensors of each protocol, against the labels seen in them.

Covers: commands.serve.pictures, commands.serve.tensors.
"""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.serve.app import create_app
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.service import Service
from seglight.commands.serve.settings import Settings
from seglight.commands.serve.tensors import read_inference
from seglight.images.bands import Bands
from tests.support.band_models import AERIAL, IGNORED, above, aerial, expected
from tests.support.exported import red
from tests.support.served import png, serving, until

IMAGE = aerial(0)
LABELS = expected(IMAGE, 3, 2000, (IMAGE == 0).all(axis=2))
READS = "4 bands of uint16 (blue, green, red, nir)"
HEADER = "Inference-Header-Content-Length"
SETTINGS = Settings(max_pixels=6000)
"""6,000 pixels in RGB are 2,250 of four bands of 16 bits."""


def tiff(image: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, image, photometric="minisblack", planarconfig="contig")
    return file.getvalue()


def npy(image: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, image)
    return file.getvalue()


def opened(content: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("models")
    models = {"nir": above(folder / "nir.onnx", AERIAL, "nir", 2000), "red": red(folder / "red.onnx")}
    service = Service(models, SETTINGS, device="cpu")
    with (
        serving(create_app(service, SETTINGS), service) as running,
        httpx.Client(base_url=running.url, timeout=60) as found,
    ):
        until(lambda: found.get("/health/ready").status_code == 200)
        yield found


def test_files(client: httpx.Client) -> None:
    for content in (tiff(IMAGE), npy(IMAGE)):
        found = client.post("/predict", content=content, params={"model": "nir"})
        assert found.status_code == 200, found.text
        np.testing.assert_array_equal(opened(found.content), LABELS)
        raw = client.post("/predict", content=content, params={"model": "nir", "format": "labels"})
        np.testing.assert_array_equal(np.frombuffer(raw.content, np.uint8).reshape(40, 56), LABELS)


def test_answers_that_show_the_image(client: httpx.Client) -> None:
    options: Any = {"content": tiff(IMAGE)}
    drawn = opened(client.post("/predict", params={"model": "nir", "format": "overlay"}, **options).content)
    assert drawn.shape == (40, 56, 3)
    found = client.post("/page/picture", params={"model": "nir"}, **options)
    shown = opened(found.content)
    assert (found.headers["content-type"], shown.shape) == ("image/jpeg", (40, 56, 3))
    assert shown[:6, :10].std() < 10, "what has no data has no values"
    assert shown[12:, 16:].std() > 30, "values up to 4095 are stretched"
    confidence = opened(client.post("/predict", params={"model": "nir", "format": "confidence"}, **options).content)
    np.testing.assert_array_equal(confidence, np.where(LABELS == IGNORED, 0, 191))
    objects = client.post("/predict", params={"model": "nir", "format": "coco"}, **options).json()
    assert sum(entry["area"] for entry in objects["annotations"]) == (LABELS != IGNORED).sum()


def test_what_a_model_reads_is_shown(client: httpx.Client) -> None:
    nir, photos = client.get("/models").json()["models"]
    assert (nir["bands"], nir["type"]) == (["blue", "green", "red", "nir"], "uint16")
    assert (photos["bands"], photos["type"]) == (["red", "green", "blue"], "uint8")
    metadata = client.get("/v2/models/nir").json()
    assert metadata["inputs"] == [{"name": "image", "datatype": "UINT16", "shape": [-1, 4, -1, -1]}]
    assert client.get("/page/examples/1.png", params={"model": "red"}).status_code == 200
    refused = client.get("/page/examples/1.png", params={"model": "nir"})
    assert (refused.status_code, READS in refused.json()["error"]) == (404, True)


@pytest.mark.parametrize(
    ("content", "held"),
    [(png(IMAGE[..., :3].astype(np.uint8)), "3 bands of uint8"), (tiff(IMAGE[..., :2]), "2 bands of uint16")],
    ids=["photo", "two bands"],
)
def test_files_of_other_bands_are_refused(content: bytes, held: str, client: httpx.Client) -> None:
    refused = client.post("/predict", content=content, params={"model": "nir"})
    line = refused.json()["error"]
    assert (refused.status_code, held in line, f"the net reads {READS}" in line) == (422, True, True), line
    assert "bands:" not in line
    photos = client.post("/predict", content=tiff(IMAGE), params={"model": "red"})
    assert (photos.status_code, "8-bit RGB" in photos.json()["error"]) == (422, True)
    assert "bands:" not in photos.json()["error"]


def test_the_limit_counts_the_bytes_of_a_pixel(client: httpx.Client) -> None:
    refused = client.post("/predict", content=tiff(aerial(0, (48, 48))), params={"model": "nir"})
    assert (refused.status_code, "takes 2250 at most" in refused.json()["error"]) == (413, True)
    photo = png(np.zeros((48, 48, 3), np.uint8))
    assert client.post("/predict", content=photo, params={"model": "red"}).status_code == 200


def tensor(image: NDArray[Any], datatype: str, data: Any = None) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an inference, by bytes unless there are values for JSON."""
    content = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
    about: dict[str, Any] = {"name": "image", "shape": [*content.shape], "datatype": datatype}
    if data is not None:
        return json.dumps({"inputs": [{**about, "data": data}]}).encode(), {}
    values = content.astype(content.dtype.newbyteorder("<")).tobytes()
    outputs = [{"name": "labels", "parameters": {"binary_data": True}}]
    about["parameters"] = {"binary_data_size": len(values)}
    text = json.dumps({"inputs": [about], "outputs": outputs}).encode()
    return text + values, {HEADER: str(len(text))}


def test_tensors(client: httpx.Client) -> None:
    body, headers = tensor(IMAGE, "UINT16")
    found = client.post("/v2/models/nir/infer", content=body, headers=headers)
    assert found.status_code == 200, found.text
    values = found.content[int(found.headers[HEADER]) :]
    np.testing.assert_array_equal(np.frombuffer(values, np.uint8).reshape(40, 56), LABELS)
    small = IMAGE[5:15, 5:20]
    body, _ = tensor(small, "UINT16", small.transpose(2, 0, 1).ravel().tolist())
    labels = client.post("/v2/models/nir/infer", content=body).json()["outputs"][0]
    np.testing.assert_array_equal(np.reshape(labels["data"], labels["shape"][1:]), LABELS[5:15, 5:20])


def test_an_image_of_cvat(client: httpx.Client) -> None:
    body = {"image": base64.b64encode(tiff(IMAGE)).decode()}
    found = client.post("/api/function_invocations", json=body, headers={"x-nuclio-function-name": "nir"})
    assert {entry["label"] for entry in found.json()} == {"bare", "plants"}
    body = {"image": base64.b64encode(png(np.zeros((9, 9, 3), np.uint8))).decode()}
    refused = client.post("/api/function_invocations", json=body, headers={"x-nuclio-function-name": "nir"})
    assert (refused.status_code, READS in refused.json()["error"]) == (422, True)


HEAT = Bands(("heat",), "float32", (290.0,), (9.0,))
DEPTH = Bands(("depth",), "int16", (0.0,), (9.0,))


@pytest.mark.parametrize(
    ("bands", "datatype", "values"),
    [(HEAT, "FP32", [0.5, -1.25, 3.0, 2]), (DEPTH, "INT16", [-32768, 32767, 0, 5]), (AERIAL, "UINT16", [65535] * 16)],
    ids=["FP32", "INT16", "UINT16"],
)
def test_values_of_every_type(bands: Bands, datatype: str, values: list[Any]) -> None:
    shape = [1, len(bands.names), 2, 2]
    about = {"name": "image", "shape": shape, "datatype": datatype}
    body = json.dumps({"inputs": [{**about, "data": values}]}).encode()
    wanted = np.array(values, bands.dtype).reshape(shape)
    np.testing.assert_array_equal(read_inference(body, None, ["labels"], bands).pixels, wanted, strict=True)
    text = json.dumps({"inputs": [{**about, "parameters": {"binary_data_size": wanted.nbytes}}]}).encode()
    found = read_inference(text + wanted.tobytes(), str(len(text)), ["labels"], bands)
    np.testing.assert_array_equal(found.pixels, wanted, strict=True)


@pytest.mark.parametrize(
    ("bands", "tensor_of", "told"),
    [
        (HEAT, {"datatype": "UINT8"}, "the datatype of `image` is not FP32: the model reads 1 band of float32 (heat)"),
        (HEAT, {"shape": [1, 3, 2, 2]}, "is not [batch, 1, height, width], four integers above 0: the model reads"),
        (HEAT, {"data": [float("nan"), 1, 2, 3]}, "is NaN or infinite, which JSON has not: send bytes"),
        (HEAT, {"data": [1e39, 1, 2, 3]}, "is NaN or infinite, which JSON has not: send bytes"),
        (HEAT, {"data": ["1", 1, 2, 3]}, "is not a list of as many numbers as its shape has"),
        (DEPTH, {"datatype": "INT16", "data": [32768, 0, 0, 0]}, "integers, -32768 to 32767, as its shape has"),
        (DEPTH, {"datatype": "INT16", "data": [0.5, 0, 0, 0]}, "integers, -32768 to 32767, as its shape has"),
    ],
    ids=str,
)
def test_tensors_that_are_refused(bands: Bands, tensor_of: dict[str, Any], told: str) -> None:
    about = {"name": "image", "shape": [1, 1, 2, 2], "datatype": "FP32", "data": [1, 2, 3, 4], **tensor_of}
    with pytest.raises(Refused) as caught:
        read_inference(json.dumps({"inputs": [about]}).encode(), None, ["labels"], bands)
    assert (caught.value.status, told in caught.value.reason) == (400, True), caught.value.reason


def test_nan_arrives_by_bytes() -> None:
    values = np.array([[[[np.nan, 1], [2, 3]]]], np.float32)
    about = {"name": "image", "shape": [1, 1, 2, 2], "datatype": "FP32", "parameters": {"binary_data_size": 16}}
    text = json.dumps({"inputs": [about]}).encode()
    found = read_inference(text + values.tobytes(), str(len(text)), ["labels"], HEAT)
    np.testing.assert_array_equal(found.pixels, values)
