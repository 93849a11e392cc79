"""Labels that hold nothing to learn from, or to score."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from seglight.commands.doctor import labelled
from seglight.commands.doctor.labelled import check_labelled
from seglight.data import FolderDataModule
from seglight.errors import UserError
from tests.support import fabricate

RECIPE = """
trainer: {{accelerator: cpu, max_epochs: 1, enable_progress_bar: false}}
model: {{net: {{class_path: tests.support.tiny.TinyNet}}}}
data: {{class_path: seglight.data.FolderDataModule, init_args: {{root: {root}, num_workers: 0, batch_size: 2}}}}
"""


def fill(root: Path, split: str, *values: int) -> None:
    """Masks of a split, each of one value: the values in turn."""
    for k, path in enumerate(sorted((root / "masks" / split).glob("*.png"))):
        fabricate.save_mask(path, np.full((36, 48), values[k % len(values)], np.uint8))


def hints(root: Path) -> list[str]:
    data = FolderDataModule(str(root))
    return check_labelled(data.split("train"), data.split("val"), data.classes)


def refusal(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        hints(root)
    return str(caught.value)


def test_sound_labels(folder: Path) -> None:
    assert hints(folder) == []


def test_nothing_is_labelled(folder: Path) -> None:
    fill(folder, "train", 255)
    assert refusal(folder) == (
        f"{folder}/masks/train/000.png: not one pixel is labelled in it (it holds the value 255), nor in any other of "
        "the 4 train labels that were read: there is nothing to learn from: label them, or check which values the "
        "class table ignores"
    )
    fill(folder, "train", 255, 255, 255, 1)
    assert hints(folder) == ["'cat' is the only class in the 4 training labels that were read"]
    fill(folder, "train", 255, 255, 2, 1)
    assert hints(folder) == []
    fill(folder, "val", 255)
    assert "the 2 val labels that were read: there would be no score" in refusal(folder)
    assert "--trainer.limit_val_batches 0" in refusal(folder)
    data = FolderDataModule(str(folder))
    assert check_labelled(data.split("train"), None, data.classes) == []


def test_one_that_is_labelled_is_found_among_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = fabricate.folder(tmp_path / "many", train=60, size=(8, 8))
    fill(root, "train", 255)
    fabricate.save_mask(root / "masks" / "train" / "043.png", np.array([[0, 1]], np.uint8))
    assert hints(root) == []
    monkeypatch.setattr(labelled, "MOST", 30)
    assert "the 38 train labels" in refusal(root), "30, and of the first 16 the others"


def test_a_table_that_ignores_everything(folder: Path) -> None:
    """The labels are 1 and 2, the table knows 10 and 20."""
    fill(folder, "train", 1, 2)
    classes = [{"name": "a", "color": [0, 0, 0], "value": 10}, {"name": "b", "color": [9, 9, 9], "value": 20}]
    (folder / "classes.yaml").write_text(yaml.safe_dump({"others": "ignore", "classes": classes}))
    assert "not one pixel is labelled in it (it holds the value 1)" in refusal(folder)


def test_no_class_in_common(folder: Path) -> None:
    fill(folder, "train", 0, 1)
    fill(folder, "val", 2)
    assert hints(folder) == [
        "training and validation have no class in common: 'ground', 'cat' in the 4 training labels that were read, "
        "'dog' in the 2 validation labels"
    ]


def test_a_training_without_labels_stops(tmp_path: Path, folder: Path, seglight_cli: Callable[..., Any]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(root=folder))
    for split in ("train", "val"):
        fill(folder, "train", 0, 1, 2)
        fill(folder, split, 255)
        ran = seglight_cli("fit", "-c", recipe, "--run_dir", tmp_path / "run")
        assert (ran.rc, ran.out, ran.err.count("\n")) == (2, "", 1), ran.err
        assert f"masks/{split}/000.png: not one pixel is labelled" in ran.err
        assert not (tmp_path / "run").exists()
    ran = seglight_cli("fit", "-c", recipe, "--run_dir", tmp_path / "run", "--trainer.limit_val_batches", 0)
    assert ran.rc == 0, ran.err
    for command, split in (("validate", "val"), ("test", "test")):
        fill(folder, split, 255)
        checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
        ran = seglight_cli(command, "-c", recipe, "--run_dir", tmp_path / command, "--ckpt_path", checkpoint)
        assert (ran.rc, ran.err.count("\n")) == (2, 1), ran.err
        told = f"there is no score, as not one pixel of the 2 images of the {split} split is labelled"
        assert told in ran.err
        assert not (tmp_path / command / "scores.json").exists()
