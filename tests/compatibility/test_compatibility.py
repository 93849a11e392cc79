"""Files that earlier versions wrote are read, and nets label the same image as they did then.

`tests/compatibility/VERSION/KIND/` holds what `tests/compatibility/write.py` wrote with that version.
"""

import json
import lzma
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import seglight
from tests.compatibility import fixed_image
from tests.support import fabricate
from tests.support.command import Ran

CLI = Callable[..., Ran]
FOLDERS = sorted(path.parent for path in fixed_image.HERE.glob("*/*/config.yaml"))
WRITTEN = [pytest.param(path, id=f"{path.parent.name}-{path.name}") for path in FOLDERS]
RUNS = [case for case in WRITTEN if (case.values[0] / "last.ckpt.xz").is_file()]
RELEASED = [case for case in WRITTEN if (case.values[0] / "released").is_dir()]
EXPORTED = [case for case in WRITTEN if (case.values[0] / "net.onnx.xz").is_file()]
PRETRAINED = sorted(fixed_image.HERE.glob("*/*/pretrain.yaml"))
OPENVINO = [case for case in WRITTEN if (case.values[0] / "net.xml.xz").is_file()]
PARSED = sorted(fixed_image.HERE.glob("*/*/parsed.yaml"))
FORMER_GAN = fixed_image.HERE / "0.1" / "resumed_adversarial"
"""A run whose loss had an optimizer of its own."""
RESUMED = [case for case in WRITTEN if case.values[0].name.startswith("resumed") and case.values[0] != FORMER_GAN]


def unpacked(path: Path, to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(lzma.decompress(path.read_bytes()))
    return to


def checkpoint(folder: Path, root: Path) -> Path:
    return unpacked(folder / "last.ckpt.xz", root / folder.name / "last.ckpt")


def config(folder: Path, root: Path, to: Path) -> Path:
    """The recipe of a run, with what it names: files of other runs, and its data set."""
    text = (folder / "config.yaml").read_text()
    for other, name in set(re.findall(r"ROOT/(\w+)/([\w.]+)", text)):
        unpacked(folder.parent / other / f"{name}.xz", root / other / name)
    if f"ROOT/{folder.name}" in text:
        getattr(fabricate, folder.name)(root / folder.name)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(text.replace("ROOT", str(root)))
    return to


def assert_same_labels(model: Path, folder: Path) -> None:
    image = fixed_image.read(4 if folder.name == "four_bands" else 3)
    (found,) = seglight.load(model, device="cpu").predict_batch([image])
    expected = np.asarray(Image.open(folder / "labels.png"))
    sure = expected != fixed_image.UNSURE
    np.testing.assert_array_equal(found[sure], expected[sure])


def test_the_fixed_image() -> None:
    np.testing.assert_array_equal(fixed_image.draw(), fixed_image.read(), strict=True)


def test_kept_labels_are_of_several_classes() -> None:
    for folder in FOLDERS:
        if (folder / "labels.png").is_file():
            labels = np.asarray(Image.open(folder / "labels.png"))
            assert np.unique(labels[labels != fixed_image.UNSURE]).size > 2, folder
            assert (labels == fixed_image.UNSURE).mean() < 0.1, folder


@pytest.mark.parametrize("folder", RUNS)
def test_checkpoint(folder: Path, tmp_path: Path) -> None:
    assert_same_labels(checkpoint(folder, tmp_path), folder)


@pytest.mark.parametrize("folder", RELEASED)
def test_released_folder(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "released" / "release.json", tmp_path)
    unpacked(folder / "released" / "model.safetensors.xz", tmp_path / "model.safetensors")
    assert_same_labels(tmp_path, folder)


@pytest.mark.parametrize("folder", EXPORTED)
def test_onnx_file(folder: Path, tmp_path: Path) -> None:
    assert_same_labels(unpacked(folder / "net.onnx.xz", tmp_path / "net.onnx"), folder)


@pytest.mark.parametrize("folder", OPENVINO)
def test_openvino_file(folder: Path, tmp_path: Path) -> None:
    unpacked(folder / "net.bin.xz", tmp_path / "net.bin")
    assert_same_labels(unpacked(folder / "net.xml.xz", tmp_path / "net.xml"), folder)


@pytest.mark.parametrize("folder", WRITTEN)
def test_recipe_of_the_run_trains(folder: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    recipe = config(folder, tmp_path, tmp_path / "config.yaml")
    ran = seglight_cli("fit", "--config", recipe, "--trainer.fast_dev_run", "true")
    assert ran.rc == 0, ran.err


@pytest.mark.parametrize("recipe", [pytest.param(path, id=path.parent.name) for path in PARSED])
def test_recipe_that_is_parsed_alone(recipe: Path, seglight_cli: CLI) -> None:
    """It needs GPUs."""
    with pytest.raises(SystemExit) as ended:
        seglight_cli("fit", "--config", recipe, "--print_config")
    assert not ended.value.code


@pytest.mark.parametrize("folder", RESUMED)
def test_run_goes_on(folder: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    """It was saved at the first of two steps."""
    run = tmp_path / "run"
    config(folder, tmp_path, run / "config.yaml")
    last = unpacked(folder / "last.ckpt.xz", run / "checkpoints" / "last.ckpt")
    assert torch.load(last, weights_only=True)["global_step"] == 1
    ran = seglight_cli("fit", "--run_dir", run, "--resume")
    assert ran.rc == 0, ran.err
    found: dict[str, Any] = torch.load(last, weights_only=True)
    assert found["global_step"] == 2
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert set(steps) == {2}


@pytest.mark.parametrize("resume", ["exact", "force"])
def test_adversarial_run_whose_loss_had_an_optimizer_is_not_resumed_but_started_from(
    resume: str, tmp_path: Path, seglight_cli: CLI
) -> None:
    run = tmp_path / "run"
    config(FORMER_GAN, tmp_path, run / "config.yaml")
    last = unpacked(FORMER_GAN / "last.ckpt.xz", run / "checkpoints" / "last.ckpt")
    ran = seglight_cli("fit", "--run_dir", run, "--resume", resume)
    assert ran.rc == 2
    assert "cannot be resumed exactly, because its loss had an optimizer of its own" in ran.err
    assert f"--model.weights {last}" in ran.err
    again = ("--run_dir", tmp_path / "again", "--model.weights", last)
    ran = seglight_cli("fit", "--config", run / "config.yaml", *again)
    assert ran.rc == 0, ran.err


@pytest.mark.filterwarnings("ignore:The dirpath has changed:UserWarning")  # Lightning's, in another run folder
@pytest.mark.parametrize("recipe", [pytest.param(path, id=path.parent.parent.name) for path in PRETRAINED])
def test_pre_training_goes_on(recipe: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    """It was saved at the end of its only epoch, at step 2."""
    fixed_image.image_folder(tmp_path / "images")
    last = unpacked(recipe.with_name("last.ckpt.xz"), tmp_path / "last.ckpt")
    (tmp_path / "recipe.yaml").write_text(recipe.read_text().replace("ROOT", str(tmp_path)))
    options = ("--trainer.max_epochs", 2, "--ckpt_path", last, "--run_dir", tmp_path / "run")
    ran = seglight_cli("pretrain", "--config", tmp_path / "recipe.yaml", *options)
    assert ran.rc == 0, ran.err
    found: dict[str, Any] = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert found["global_step"] == 4
