"""Exported files give the labels of evaluation, on real images of several sizes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from seglight.commands.export.graph import Deployed, program_of
from seglight.commands.export.onnx import write_onnx
from seglight.commands.export.openvino import write_openvino
from seglight.commands.export.torch_program import write_torch_program
from seglight.errors import UserError
from seglight.inference.exported.metadata import Metadata
from seglight.inference.exported.runtimes import PROGRAM, ExportedPredictor, load_exported
from seglight.metrics.scores import Scores
from seglight.models import EncoderDecoder, TimmEncoder
from tests.support.checkpoint_files import card
from tests.support.decoders import DECODERS
from tests.support.export_parity import WRITERS, expected
from tests.support.real_nets import CLASSES, real_net, spread

SIZES = ((360, 480), (357, 481), (720, 960))
METADATA = Metadata(card([f"class {k}" for k in range(CLASSES)]), "float32", None)


FIXED = {"ReSeg"}
"""Decoders of which a graph is of one size: recurrent sweeps have a length there."""


def photos(root: Path, size: tuple[int, int], number: int = 2) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Some real images and their masks, brought to a size."""
    found = []
    paths = sorted((root / "val").glob("*.png"))
    for path in paths[:: len(paths) // number][:number]:
        image = Image.open(path).convert("RGB").resize(size[::-1], Image.Resampling.BICUBIC)
        mask = Image.open(root / "valannot" / path.name).resize(size[::-1], Image.Resampling.NEAREST)
        found.append((np.asarray(image), np.asarray(mask)))
    return found


def miou(pred: Sequence[NDArray[np.uint8]], masks: Sequence[NDArray[np.uint8]]) -> float:
    matrix = np.zeros((CLASSES, CLASSES), np.int64)
    for labels, mask in zip(pred, masks, strict=True):
        known = mask < CLASSES
        np.add.at(matrix, (mask[known], labels[known]), 1)
    return Scores.from_confusion(torch.from_numpy(matrix), len(pred)).miou


def written(net: nn.Module, size: tuple[int, int] | None, folder: Path) -> list[Path]:
    """The files of a net in all formats; OpenVINO's is read from the ONNX file, as `seglight export` does it."""
    import openvino

    program = program_of(Deployed(net), size)
    onnx, openvino_file, torch_file = (folder / f"model{suffix}" for suffix in (".onnx", ".xml", ".pt2"))
    write_onnx(program, METADATA, onnx)
    write_openvino(openvino.Core().read_model(onnx), METADATA, openvino_file)
    write_torch_program(program, METADATA, torch_file)
    return [onnx, openvino_file, torch_file]


def loaded(net: nn.Module, size: tuple[int, int] | None, folder: Path) -> dict[str, ExportedPredictor]:
    """A predictor for each format; reading a .pt2 takes as long as writing it."""
    return {path.suffix: load_exported(path, 1, trust=(PROGRAM,)) for path in written(net, size, folder)}


def parity(
    decoder: str, root: Path, folder: Path, number: int = 2
) -> Iterator[tuple[str, tuple[int, int], float, float]]:
    """Of each format and size: the share of pixels that agree with the net's, and the difference in mIoU."""
    net = real_net(decoder)
    spread(net, torch.from_numpy(np.stack([image for image, _ in photos(root, SIZES[0])])).permute(0, 3, 1, 2))
    predictors = {} if decoder in FIXED else loaded(net, None, folder)
    for size in SIZES:
        predictors = loaded(net, size, folder) if decoder in FIXED else predictors
        images, masks = zip(*photos(root, size, number), strict=True)
        right = [expected(net, image)[0] for image in images]
        assert all(np.unique(labels).size > CLASSES // 2 for labels in right)
        for suffix, predictor in predictors.items():
            labels = [predictor.predict(image) for image in images]
            alike = float(np.mean([np.mean(a == b) for a, b in zip(labels, right, strict=True)]))
            yield suffix, size, alike, miou(labels, masks) - miou(right, masks)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", sorted({*DECODERS, "PointRend"}))
def test_every_decoder_in_every_format_at_every_size(decoder: str, camvid_root: Path, tmp_path: Path) -> None:
    found = list(parity(decoder, camvid_root, tmp_path, number=1))
    assert {(suffix, size) for suffix, size, _, _ in found} == set(product((".onnx", ".xml", ".pt2"), SIZES))
    assert [row for row in found if row[2] < 0.999 or abs(row[3]) > 0.001] == []


def test_the_grids_of_a_pyramid_at_a_fixed_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = EncoderDecoder(CLASSES, TimmEncoder("test_resnet", None), DECODERS["PSPNet"][0]).eval()
    write_onnx(program_of(Deployed(net), (100, 150)), replace(METADATA, size=(100, 150)), tmp_path / "model.onnx")
    predictor = load_exported(tmp_path / "model.onnx")
    image = np.random.default_rng(0).integers(0, 256, (100, 150, 3), np.uint8)
    assert np.mean(predictor.predict(image) == expected(net, image)[0]) >= 0.999
    with pytest.raises(UserError, match="takes images of 100x150 only"):
        predictor.predict(image[:90])
    with pytest.raises(UserError, match="it has labels only: export it with --probabilities"):
        predictor.probabilities(image)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    torch.manual_seed(1)
    net = EncoderDecoder(CLASSES, TimmEncoder("test_resnet", None), DECODERS["LRASPP"][0]).eval()
    folder = tmp_path_factory.mktemp("small")
    program = program_of(Deployed(net, probabilities=True), None)
    for name, write in WRITERS.items():
        write(program, METADATA, folder / name)
    return net, folder


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_probabilities_of_any_size(name: str, small: tuple[nn.Module, Path]) -> None:
    net, folder = small
    predictor = load_exported(folder / name, trust=(PROGRAM,))
    assert predictor.class_names == METADATA.card.class_names
    rng = np.random.default_rng(0)
    for size in ((33, 45), (64, 96), (100, 150), (192, 70)):
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        labels, probabilities = expected(net, image)
        np.testing.assert_allclose(predictor.probabilities(image), probabilities, atol=1e-4)
        assert np.mean(predictor.predict(image) == labels) >= 0.999


def test_what_cannot_be_traced_for_any_size_is_refused() -> None:
    net = EncoderDecoder(CLASSES, TimmEncoder("test_resnet", None), DECODERS["ReSeg"][0])
    with pytest.raises(UserError, match=r"--size dynamic: .*give --size HxW"):
        program_of(Deployed(net), None)
