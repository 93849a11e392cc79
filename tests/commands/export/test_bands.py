"""Exported nets for images of other bands and types: the runtimes themselves give torch's labels, no data included."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from seglight.checkpoints.model_card import KEY, ModelCard
from seglight.commands.export.graph import Deployed, program_of
from seglight.commands.export.quantize import quantize_onnx
from seglight.commands.export.triton import config
from seglight.images.bands import Bands
from seglight.inference.exported.metadata import Metadata
from seglight.inference.exported.runtimes import PROGRAM, load_exported
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.bands import use_bands
from seglight.models.decoders import FPN
from tests.support.checkpoint_files import card
from tests.support.export_parity import WRITERS, expected
from tests.support.exported import METADATA

NAMES = ("blue", "green", "red", "nir")
KINDS = {
    "uint8": Bands(NAMES, "uint8", (90.0,) * 4, (40.0,) * 4, nodata=0),
    "uint16": Bands(
        NAMES, "uint16", (900.0,) * 4, (300.0,) * 4, nodata=65535, valid=(1, 60000), ratios={"ndvi": ("nir", "red")}
    ),
    "int16": Bands(
        NAMES, "int16", (200.0, 200, 200, 5), (90.0, 90, 90, 1), nodata=-9999, clip={"red": (0, 400)}, log=("nir",)
    ),
    "float32": Bands(NAMES, "float32", (0.2,) * 4, (0.1,) * 4, ratios={"ndwi": ("green", "nir")}),
}
RANGES = {"uint8": (1, 200), "uint16": (1, 3000), "int16": (-100, 600), "float32": (0, 0.5)}
EMPTY = (slice(5, 20), slice(30, 44))
"""Pixels without data in any band."""


def net(kind: str) -> EncoderDecoder:
    torch.manual_seed(0)
    built = EncoderDecoder(3, TimmEncoder("test_resnet", weights="random"), lambda c, s: FPN(c, s, 16, 16))
    use_bands(built, KINDS[kind])
    with torch.no_grad():
        built.head.weight.mul_(20)  # labels that are clear
    return built.eval()


def image(kind: str, size: tuple[int, int] = (64, 96)) -> NDArray[Any]:
    """(H, W, bands) with some values of one band, and all bands of some pixels, that are no data."""
    bands = KINDS[kind]
    pixels = np.random.default_rng(0).uniform(*RANGES[kind], (*size, 4)).astype(kind)
    pixels[2:4, 2:40, 1] = bands.missing
    pixels[EMPTY] = bands.missing
    return pixels


def metadata(kind: str, size: tuple[int, int] | None) -> Metadata:
    described: ModelCard = replace(card(["a", "b", "c"]), bands=4, image=KINDS[kind])
    return replace(METADATA, card=described, size=size)


def run(path: Path, pixels: NDArray[Any]) -> list[NDArray[Any]]:
    """Labels and probabilities of a file, by its own runtime."""
    batch = np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]
    if path.suffix == ".onnx":
        return [np.asarray(found) for found in onnxruntime.InferenceSession(path).run(None, {"image": batch})]
    if path.suffix == ".pt2":
        with torch.no_grad():
            return [found.numpy() for found in torch.export.load(path).module()(torch.from_numpy(batch))]
    openvino = pytest.importorskip("openvino")
    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [np.asarray(found) for found in compiled(batch).values()]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=[] if (name, kind) == ("model.onnx", "uint16") else pytest.mark.slow)
        for name in WRITERS
        for kind in KINDS
    ],
)
def test_labels_are_those_of_torch(name: str, kind: str, tmp_path: Path) -> None:
    built, pixels = net(kind), image(kind)
    size = None if (name, kind) == ("model.onnx", "float32") else pixels.shape[:2]
    program = program_of(Deployed(built, probabilities=True), size)
    WRITERS[name](program, metadata(kind, size), tmp_path / name)
    labels, shares = run(tmp_path / name, pixels)
    wanted, wanted_shares = expected(built, pixels)
    empty = np.zeros(pixels.shape[:2], bool)
    empty[EMPTY] = True
    assert len(np.unique(wanted[~empty])) > 1
    assert (labels[0][empty] == 255).all()
    assert np.mean(labels[0][~empty] == wanted[~empty]) >= 0.999
    assert not shares[0][:, empty].any()
    np.testing.assert_allclose(shares[0][:, ~empty], wanted_shares[:, ~empty], atol=2e-3)
    if name == "model.onnx":
        np.testing.assert_array_equal(load_exported(tmp_path / name).predict(pixels), labels[0])
        session = onnxruntime.InferenceSession(tmp_path / name)
        assert session.get_inputs()[0].type == {"float32": "tensor(float)"}.get(kind, f"tensor({kind})")
        text = session.get_modelmeta().custom_metadata_map[KEY]
        assert Metadata.from_json(text, tmp_path).card.pixels == KINDS[kind]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("model.onnx", "float32"), ("model.xml", "int16"), ("model.pt2", "uint16")])
def test_batches_of_any_size(name: str, kind: str, tmp_path: Path) -> None:
    built = net(kind)
    WRITERS[name](program_of(Deployed(built), None, True), replace(metadata(kind, None), batch=True), tmp_path / name)
    exported = load_exported(tmp_path / name, trust=(PROGRAM,))
    assert exported.takes_batches
    images, empty = [], []
    for size, turn in (((70, 93), 0), ((70, 93), 7), ((101, 64), 0)):
        gone = np.zeros(size, bool)
        gone[EMPTY] = True
        images.append(np.roll(image(kind, size), turn, 1))
        empty.append(np.roll(gone, turn, 1))
    for pixels, gone, labels in zip(images, empty, exported.predict_batch(images), strict=True):
        wanted, _ = expected(built, pixels)
        assert (labels[gone] == 255).all()
        assert np.mean(labels[~gone] == wanted[~gone]) >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_int8_is_calibrated_on_images_of_the_bands(kind: str, tmp_path: Path) -> None:
    built, pixels = net(kind), image(kind)
    program = program_of(Deployed(built), pixels.shape[:2])
    WRITERS["model.onnx"](program, metadata(kind, pixels.shape[:2]), tmp_path / "model.onnx")
    quantize_onnx(tmp_path / "model.onnx", [pixels], tmp_path / "int8.onnx")
    wanted, _ = expected(built, pixels)
    with_data = np.ones(pixels.shape[:2], bool)
    with_data[EMPTY] = False
    labels = run(tmp_path / "int8.onnx", pixels)[0][0]
    assert np.mean(labels[with_data] == wanted[with_data]) >= 0.95
    assert (labels[EMPTY] == 255).all()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "element"), [("uint8", "UINT8"), ("uint16", "UINT16"), ("int16", "INT16")])
def test_triton_is_given_the_type_and_the_bands(kind: str, element: str, tmp_path: Path) -> None:
    program = program_of(Deployed(net(kind)), (64, 96), True)
    WRITERS["model.onnx"](program, metadata(kind, (64, 96)), tmp_path / "model.onnx")
    assert f"data_type: TYPE_{element}\n  dims: [4, 64, 96]" in config(tmp_path / "model.onnx", card(["a", "b", "c"]))
