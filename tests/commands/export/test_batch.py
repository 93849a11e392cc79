"""Graphs that take batches: the labels of each image alone, in every format, and a check that would find others."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from seglight.commands.export.check import compare
from seglight.commands.export.graph import Deployed, program_of
from seglight.errors import UserError
from seglight.images.types import LabelMap
from seglight.inference.exported.runtimes import PROGRAM, load_exported
from seglight.inference.exported.windows import WindowedPredictor
from seglight.models import EncoderDecoder, PointRend, TimmEncoder
from seglight.system.memory import resident_bytes
from tests.support.checkpoint_files import card
from tests.support.decoders import DECODERS
from tests.support.export_parity import WRITERS, expected
from tests.support.exported import METADATA, Blurred
from tests.support.tiny import TinyNet

BATCHES = replace(METADATA, size=None, batch=True)


def noise(seed: int, *size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


@pytest.fixture(scope="module")
def net() -> TinyNet:
    torch.manual_seed(0)
    return TinyNet(2).eval()


@pytest.mark.parametrize(
    "name", ["model.onnx", *(pytest.param(name, marks=pytest.mark.slow) for name in ("model.xml", "model.pt2"))]
)
def test_images_of_any_size_and_number(name: str, net: TinyNet, tmp_path: Path) -> None:
    if name == "model.xml":
        pytest.importorskip("openvino")
    WRITERS[name](program_of(Deployed(net), None, True), BATCHES, tmp_path / name)
    predictor = load_exported(tmp_path / name, trust=(PROGRAM,))
    assert predictor.metadata.batch
    images = [noise(0, 64, 96), noise(1, 45, 70), noise(2, 64, 96), noise(3, 64, 96)]
    for batch in (images[:1], images, images[2:]):
        for image, labels in zip(batch, predictor.predict_batch(batch), strict=True):
            assert np.mean(labels == expected(net, image)[0]) >= 0.999
    assert np.mean(predictor.predict(images[1]) == expected(net, images[1])[0]) >= 0.999
    if name == "model.onnx":
        (image,) = onnx.load(tmp_path / name).graph.input
        batch, bands, *_ = image.type.tensor_type.shape.dim
        assert (batch.HasField("dim_value"), bands.dim_value) == (False, 3)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", sorted({*DECODERS, "PointRend"}))
def test_every_decoder(decoder: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = TimmEncoder("test_resnet", None)
    kind = PointRend if decoder == "PointRend" else EncoderDecoder
    net = kind(11, encoder, DECODERS["FPN" if decoder == "PointRend" else decoder][0], aux_index=-2).eval()
    size = (64, 96) if decoder == "ReSeg" else None
    metadata = replace(BATCHES, card=card([f"class {index}" for index in range(11)]), size=size)
    WRITERS["model.onnx"](program_of(Deployed(net), size, True), metadata, tmp_path / "model.onnx")
    images = [noise(seed, 64, 96) for seed in range(3)]
    for image, labels in zip(images, load_exported(tmp_path / "model.onnx").predict_batch(images), strict=True):
        assert np.mean(labels == expected(net, image)[0]) >= 0.999


class Batched(Blurred):
    """It takes batches, which it notes, and can confuse the images of one."""

    def __init__(self, order: Sequence[int] | None = None, each: int = 0) -> None:
        super().__init__(each=each)
        self.takes_batches = True
        self.order = order
        self.sizes = list[int]()

    def _run(self, name: str, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.sizes.append(len(image))
        order = range(len(image)) if self.order is None or len(image) == 1 else self.order
        return np.concatenate([super(Batched, self)._run(name, image[place : place + 1]) for place in order])


def test_images_of_one_size_are_one_batch() -> None:
    images = [noise(0, 40, 50), noise(1, 50, 40), noise(2, 40, 50)]
    predictor, alone = Batched(), Blurred()
    found = predictor.predict_batch(images)
    assert sorted(predictor.sizes) == [1, 2]
    for image, labels in zip(images, found, strict=True):
        np.testing.assert_array_equal(labels, alone.predict(image))
    assert predictor.predict_batch([]) == []


def test_a_batch_is_within_the_memory() -> None:
    """3 kB for a pixel: 400 MB hold two images of 150 x 200 together, which take 225, but not six, which take 675.

    Much, so that a measurement may be wrong by 100 MB: under load the system takes pages of this process away.
    """
    predictor = Batched(each=3000)
    windowed = WindowedPredictor(predictor, resident_bytes() + 400_000_000)
    predictor.each = 0
    for count, sizes in ((2, [2]), (6, [1] * 6)):
        predictor.sizes.clear()
        found: list[LabelMap] = windowed.predict_batch([noise(seed, 150, 200) for seed in range(count)])
        assert (len(found), predictor.sizes) == (count, sizes)


@pytest.mark.parametrize("order", [(0, 0, 0), (2, 2, 2), (1, 2, 0)])
def test_a_file_that_confuses_the_images_of_a_batch_fails_its_check(order: tuple[int, ...]) -> None:
    images = [(noise(seed, 40, 50), None) for seed in range(2)]
    found = compare(Blurred(), Batched(order), images, batch=True)
    assert found.agreement < 0.9
    assert compare(Blurred(), Batched(), images, batch=True).agreement == 1


@pytest.mark.slow
def test_a_graph_of_one_image_takes_one(net: TinyNet, tmp_path: Path) -> None:
    """Files of today stay as they are."""
    WRITERS["model.onnx"](program_of(Deployed(net), None), replace(BATCHES, batch=False), tmp_path / "model.onnx")
    (image,) = onnx.load(tmp_path / "model.onnx").graph.input
    assert image.type.tensor_type.shape.dim[0].dim_value == 1
    predictor = load_exported(tmp_path / "model.onnx")
    images = [noise(seed, 64, 96) for seed in range(2)]
    for image, labels in zip(images, predictor.predict_batch(images), strict=True):
        np.testing.assert_array_equal(labels, predictor.predict(image))


def test_a_net_that_knows_its_number_of_images() -> None:
    class Single(TinyNet):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image.view(1, 6, *image.shape[-2:])[:, :3])

    with pytest.raises(UserError, match=r"^--batch: torch.export can't trace this net for batches: leave --batch out"):
        program_of(Deployed(Single(2)), (64, 64), True)
