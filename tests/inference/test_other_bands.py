"""Predictors of images of any bands, against onnxruntime and numpy, pixel by pixel.

Covers: inference.no_data, images.pixels.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tifffile
import torch
from PIL import Image

from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.images.pixels import decode_pixels, pixels_of, size_of_pixels
from seglight.inference.exported.runtimes import OnnxPredictor
from seglight.inference.load import load
from seglight.inference.predictor import ArrayWindows
from tests.support.band_models import AERIAL, IGNORED, above, aerial, expected

IMAGE = aerial(0)
EMPTY = (IMAGE == 0).all(axis=2)
LABELS = expected(IMAGE, 3, 2000, EMPTY)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return above(tmp_path_factory.mktemp("model") / "nir.onnx", AERIAL, "nir", 2000)


@pytest.fixture(scope="module")
def net(model: Path) -> Any:
    return load(model)


def test_labels_are_those_of_the_graph_where_there_is_data(net: Any, model: Path) -> None:
    session = onnxruntime.InferenceSession(model)
    (labels,) = session.run(["labels"], {"image": IMAGE.transpose(2, 0, 1)[None]})
    found = net.predict(IMAGE)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.where(EMPTY, IGNORED, labels[0]))
    np.testing.assert_array_equal(found, LABELS)
    assert found[-1, -1] != IGNORED, "one band without data is no pixel without data"


def test_every_way_gives_the_same(net: Any, model: Path) -> None:
    other = aerial(1, (40, 56))
    small = aerial(2, (30, 20))
    ways = {
        "batch": net.predict_batch([other, IMAGE, small])[1],
        "bands": np.concatenate([*net.label_bands(IMAGE)]),
        "rows": np.concatenate([*net.rows(ArrayWindows(IMAGE))]),
        "alone": OnnxPredictor(model).predict(IMAGE),
        "its batch": OnnxPredictor(model).predict_batch([IMAGE])[0],
        "tensor": net.predict(torch.from_numpy(IMAGE).permute(2, 0, 1)),
        "byte order": net.predict(IMAGE.astype(">u2")),
        "not contiguous": net.predict(IMAGE.repeat(2, axis=1)[:, ::2]),
    }
    for way, found in ways.items():
        np.testing.assert_array_equal(found, LABELS, way)


def test_windows_mark_what_has_no_data_where_it_is(model: Path) -> None:
    image = aerial(3, (300, 200))
    image[140:180, 50:190] = 0
    windowed = load(model)
    windowed.window = 128  # type: ignore[attr-defined]
    found = np.concatenate([*windowed.rows(ArrayWindows(image))])
    np.testing.assert_array_equal(found, expected(image, 3, 2000, (image == 0).all(axis=2)))


def test_probabilities_are_zero_where_there_is_no_data(net: Any) -> None:
    found = net.probabilities(IMAGE)
    high = IMAGE[..., 3] > 2000
    wanted = np.where(EMPTY, 0, np.stack([np.where(high, 0.25, 0.75), np.where(high, 0.75, 0.25)]))
    np.testing.assert_array_equal(found, wanted.astype(np.float32))


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_files(net: Any, tmp_path: Path, planar: Any) -> None:
    stored = IMAGE if planar == "contig" else IMAGE.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar)
    np.save(tmp_path / "a.npy", IMAGE)
    for name in ("a.tif", "a.npy"):
        np.testing.assert_array_equal(net.predict(tmp_path / name), LABELS, name)
        data = (tmp_path / name).read_bytes()
        np.testing.assert_array_equal(decode_pixels(data, name, AERIAL), IMAGE)
        assert size_of_pixels(data, name, AERIAL) == (40, 56)


KINDS = {
    "int16": (Bands(("height",), "int16", (0.0,), (9.0,), nodata=-999), np.int16, -999),
    "float32": (Bands(("heat",), "float32", (290.0,), (9.0,)), np.float32, np.nan),
    "uint8": (Bands(("red", "green", "blue", "nir"), mean=(90.0,) * 4, std=(9.0,) * 4, nodata=0), np.uint8, 0),
    "valid": (Bands(("a", "b"), "uint16", (9.0, 9.0), (1.0, 1.0), valid=(1, 4095)), np.uint16, 65535),
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_types(kind: str, tmp_path: Path) -> None:
    bands, dtype, nothing = KINDS[kind]
    image = np.random.default_rng(0).integers(1, 100, (20, 30, len(bands.names))).astype(dtype)
    image[3:5, 4:9] = nothing
    empty = np.zeros((20, 30), bool)
    empty[3:5, 4:9] = True
    net = load(above(tmp_path / "net.onnx", bands, bands.names[-1], 50))
    found = net.predict(image)
    np.testing.assert_array_equal(found, expected(image, -1, 50, empty))
    assert np.isfinite(net.probabilities(image)).all()


REFUSED = {
    "uint16 (40, 56, 3)": IMAGE[..., :3],
    "uint16 (40, 56)": IMAGE[..., 0],
    "uint16 (4, 40, 56)": IMAGE.transpose(2, 0, 1),
    "uint8 (40, 56, 4)": IMAGE.astype(np.uint8),
    "int32 (40, 56, 4)": IMAGE.astype(np.int32),
    "a uint8 tensor (4, 40, 56)": torch.zeros(4, 40, 56, dtype=torch.uint8),
    "a uint16 tensor (40, 56, 4)": torch.from_numpy(IMAGE),
    "Image": Image.new("RGB", (56, 40)),
}


@pytest.mark.parametrize("got", REFUSED)
def test_what_is_of_another_type_or_bands(got: str, net: Any) -> None:
    with pytest.raises(UserError) as caught:
        net.predict(REFUSED[got])
    taken = "an image is a path, a uint16 array (H, W, 4) or a uint16 tensor (4, H, W)"
    reads = "the net reads 4 bands of uint16 (blue, green, red, nir)"
    assert str(caught.value) == f"{taken}, not {got}: {reads}"


def test_a_batch_and_windows_of_another_type(net: Any) -> None:
    with pytest.raises(UserError) as caught:
        net.predict_batch([IMAGE, IMAGE[..., :3]])
    assert str(caught.value) == (
        "image 1 of the batch is uint16 (40, 56, 3), and the net takes uint16 arrays (H, W, 4)"
    )
    with pytest.raises(UserError, match=r"are read as uint8 \(40, 56, 4\), not as a uint16 array \(40, 56, 4\)"):
        list(net.rows(ArrayWindows(IMAGE.astype(np.uint8))))


def test_files_of_another_type_say_what_they_hold_and_what_the_net_reads(net: Any, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (56, 40)).save(photo)
    with pytest.raises(UserError) as caught:
        net.predict(photo)
    line = str(caught.value)
    assert line.startswith(f"{photo}: ")
    assert "3 bands of uint8" in line
    assert "the net reads 4 bands of uint16 (blue, green, red, nir)" in line
    assert "bands:" not in line, "nothing can be declared for a net that is trained"


def test_a_net_of_rgb_says_what_a_file_of_other_bands_holds(tmp_path: Path) -> None:
    net = load(above(tmp_path / "net.onnx", Bands(), "red", 100))
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, photometric="minisblack", planarconfig="contig")
    with pytest.raises(UserError) as caught:
        net.predict(tmp_path / "a.tif")
    line = str(caught.value)
    assert "4 channels of 16 bits" in line or "4 bands of uint16" in line
    assert "8-bit RGB" in line
    assert "bands:" not in line, "nothing can be declared for a net that is trained"


def test_rgb_of_another_description_takes_pillow_images() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    measured = Bands(mean=(90.0, 80.0, 70.0), std=(9.0, 9.0, 9.0))
    images: list[Any] = [pixels, Image.fromarray(pixels), torch.from_numpy(pixels).permute(2, 0, 1)]
    for image in images:
        np.testing.assert_array_equal(pixels_of(image, measured), pixels, strict=True)
