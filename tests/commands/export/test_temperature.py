"""Exported files have the temperature in graph and metadata: other probabilities, and the same labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.export.writing import export
from seglight.inference.exported.predictor import ExportedPredictor
from seglight.inference.exported.runtimes import PROGRAM, load_exported
from seglight.inference.torch_predictor import TorchPredictor, load_torch
from tests.support.checkpoint_files import checkpoint

T = 2.5
SIZE = (64, 96)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{seed}.png")
    return tmp_path / "images"


@pytest.fixture
def predictor(tmp_path: Path) -> TorchPredictor:
    return load_torch([checkpoint(tmp_path / "a.ckpt")], "cpu")


def tempered(predictor: TorchPredictor) -> TorchPredictor:
    return TorchPredictor(predictor.net, replace(predictor.card, temperature=T), "a.ckpt", "cpu")


def expected(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities at the temperature, of those without one."""
    found: NDArray[np.float32] = (torch.from_numpy(shares).double().log() / T).softmax(0).float().numpy()
    return found


def exported(predictor: TorchPredictor, out: Path, calibrate: Path | None = None) -> ExportedPredictor:
    assert export(predictor, out, SIZE, calibrate, probabilities=True)
    return load_exported(out, trust=(PROGRAM,))


@pytest.mark.parametrize(
    "name", ["a.onnx", pytest.param("a.xml", marks=pytest.mark.slow), pytest.param("a.pt2", marks=pytest.mark.slow)]
)
def test_float_files_are_the_predictor(
    name: str, predictor: TorchPredictor, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "a.xml":
        pytest.importorskip("openvino")
    found = exported(tempered(predictor), tmp_path / name)
    assert "3 classes, temperature 2.5" in capsys.readouterr().out
    assert found.metadata.card.temperature == T
    for path in images.iterdir():
        np.testing.assert_array_equal(found.predict(path), predictor.predict(path))
        np.testing.assert_allclose(found.probabilities(path), expected(predictor.probabilities(path)), atol=1e-4)
        np.testing.assert_allclose(found.probabilities(path), tempered(predictor).probabilities(path), atol=1e-4)


def test_other_programs_get_them_too(predictor: TorchPredictor, images: Path, tmp_path: Path) -> None:
    """The temperature is in the graph, not in what reads it."""
    assert export(tempered(predictor), tmp_path / "a.onnx", SIZE, probabilities=True)
    image = np.asarray(Image.open(images / "0.png"))
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    (found,) = session.run(["probabilities"], {"image": image.transpose(2, 0, 1)[None]})
    np.testing.assert_allclose(found[0], expected(predictor.probabilities(image)), atol=1e-4)


@pytest.mark.slow
def test_int8_has_the_labels_of_int8_without_one(
    predictor: TorchPredictor, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # not OpenVINO's: after nncf has run in a process, forks of it, which other tests make, end by a segmentation fault
    name = "int8.onnx"
    plain = exported(predictor, tmp_path / "plain" / name, images)
    assert "temperature" not in capsys.readouterr().err
    found = exported(tempered(predictor), tmp_path / name, images)
    assert "its temperature 2.5 was found for the float32 net, not for int8" in capsys.readouterr().err
    assert (found.metadata.precision, found.metadata.card.temperature) == ("int8", T)
    for path in images.iterdir():
        np.testing.assert_array_equal(found.predict(path), plain.predict(path))
        np.testing.assert_allclose(found.probabilities(path), expected(plain.probabilities(path)), atol=1e-4)
