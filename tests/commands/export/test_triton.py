"""A model repository of Triton, read by Triton's own definition of its configuration."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from seglight.checkpoints.model_card import ModelCard
from seglight.commands.export.options import target
from seglight.commands.export.triton import config
from seglight.errors import UserError
from seglight.inference.exported.runtimes import load_exported
from tests.support.checkpoint_files import NAMES, checkpoint
from tests.support.exported import red


def read(text: str) -> Any:
    """A configuration as Triton's protobuf."""
    definition = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="tritonclient[grpc] is not installed")
    from google.protobuf import text_format

    return text_format.Parse(text, definition.ModelConfig())


def test_a_repository(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    images = tmp_path / "images"
    images.mkdir()
    batch = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), np.uint8)
    for number, pixels in enumerate(batch):
        Image.fromarray(pixels).save(images / f"{number}.png")
    folder = tmp_path / "repository" / "streets"
    (tmp_path / "streets" / "checkpoints").mkdir(parents=True)
    path = checkpoint(tmp_path / "streets" / "checkpoints" / "best.ckpt")
    more = ("--size", "64x96", "--opset", "17", "--probabilities")
    ran = seglight_cli("export", path, "--triton", folder.parent, "--check", images, *more)
    assert ran.rc == 0, ran.err
    assert "3 images, 100.000 % of their pixels alike" in ran.out
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    assert files == ["1/model.onnx", "config.pbtxt"]
    model = folder / "1" / "model.onnx"
    assert onnx.load(model).opset_import[0].version == 17
    labels, shares = onnxruntime.InferenceSession(model).run(None, {"image": batch.transpose(0, 3, 1, 2)})
    assert (labels.shape, shares.shape) == ((3, 64, 96), (3, 3, 64, 96))
    np.testing.assert_array_equal(labels, load_exported(model).predict_batch(list(batch)))
    found = read((folder / "config.pbtxt").read_text())
    assert (found.platform, found.max_batch_size, found.HasField("dynamic_batching")) == ("onnxruntime_onnx", 8, True)
    assert [(entry.name, entry.data_type, [*entry.dims]) for entry in [*found.input, *found.output]] == [
        ("image", 2, [3, 64, 96]),  # TYPE_UINT8, without the batch
        ("labels", 2, [64, 96]),
        ("probabilities", 11, [3, 64, 96]),  # TYPE_FP32
    ]
    assert json.loads(found.parameters["class_names"].string_value) == NAMES
    assert json.loads(found.parameters["palette"].string_value) == [[0, 0, 255], [128, 64, 128], [0, 128, 0]]


def test_images_of_any_size_and_names_of_any_kind(tmp_path: Path) -> None:
    names = ('a "quoted" one', "back\\slash", "Straße\n")
    text = config(red(tmp_path / "red.onnx"), ModelCard({}, names, ((0, 0, 0),) * 3, 255))
    found = read(text)
    assert [[*entry.dims] for entry in [*found.input, *found.output]] == [[3, -1, -1], [-1, -1]]
    assert tuple(json.loads(found.parameters["class_names"].string_value)) == names


def test_a_file_or_a_repository(tmp_path: Path) -> None:
    (tmp_path / "released").mkdir()
    for models, name in (
        (["a/b.ckpt"], "b"),
        (["run/checkpoints/best.ckpt"], "run"),
        ([str(tmp_path / "released")], "released"),
        (["a.ckpt", "b.ckpt"], "ensemble"),
    ):
        assert target(None, Path("models"), models) == Path("models") / name / "1" / "model.onnx"
    for out, triton in ((None, None), (Path("a.onnx"), Path("a"))):
        with pytest.raises(UserError, match="--out"):
            target(out, triton, ["a.ckpt"])


@pytest.mark.slow
def test_a_file_that_fails_its_check_leaves_no_configuration(
    tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (96, 64)).save(tmp_path / "images" / "a.png")
    monkeypatch.setattr("seglight.commands.export.check.LEAST_AGREEMENT", 2)
    folder = tmp_path / "repository"
    more = ("--size", "64x96", "--check", tmp_path / "images")
    assert seglight_cli("export", checkpoint(tmp_path / "a.ckpt"), "--triton", folder, *more).rc == 1
    assert not [path for path in folder.rglob("*") if path.is_file()]
