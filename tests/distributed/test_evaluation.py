"""fit, validate and test on three processes with uneven shares, against one process and labels counted by numpy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from lightning.pytorch import Trainer
from PIL import Image

from seglight.__main__ import main
from seglight.data import FolderDataModule
from seglight.data.datasets.shapes_scenes import CLASSES, draw_scene
from seglight.training.semantic import SegmentationModule
from tests.support.processes import in_processes
from tests.support.tiny import TinyNet

SIZES = ((100, 100), (64, 96), (100, 100), (37, 80), (96, 64), (100, 100), (64, 96))
RECIPE = """
trainer: {accelerator: cpu, max_epochs: 1, log_every_n_steps: 1}
model: {net: {class_path: tests.support.tiny.TinyNet}, optimizer: {class_path: torch.optim.SGD, init_args: {lr: 1.0}}}
data:
  class_path: seglight.data.FolderDataModule
  init_args: {num_workers: 0, batch_size: 2, eval_batch_size: 2, augmentation: {crop_size: 64}}
"""


def save_scenes(root: Path, split: str, seeds: range) -> None:
    for folder in ("images", "masks"):
        (root / folder / split).mkdir(parents=True)
    for seed in seeds:
        height, width = SIZES[seed % len(SIZES)]
        image, mask = (pixels[:height, :width] for pixels in draw_scene(seed, 100))
        Image.fromarray(image).save(root / "images" / split / f"{seed}.png")
        Image.fromarray(np.where(np.arange(width) < 5 * (seed % 3), 255, mask)).save(
            root / "masks" / split / f"{seed}.png"
        )


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """7 images to validate, shares of 3, 2 and 2; 2 to test, the third process has none."""
    root = tmp_path_factory.mktemp("scenes")
    for split, seeds in (("train", range(100, 112)), ("val", range(7)), ("test", range(20, 22))):
        save_scenes(root, split, seeds)
    table = [{"name": n, "color": list(c)} for n, c in zip(CLASSES.names, CLASSES.palette, strict=True)]
    (root / "classes.yaml").write_text(yaml.safe_dump({"ignore": 255, "classes": table}))
    (root / "recipe.yaml").write_text(RECIPE)
    return root


def commands(root: Path, out: Path, checkpoint: Path, *options: object) -> None:
    """validate and test, each with its run folder."""
    recipe = ["-c", root / "recipe.yaml", "--data.init_args.root", root]
    for command in ("validate", "test"):
        args = [command, *recipe, "--ckpt_path", checkpoint, "--run_dir", out / command, *options]
        assert main([str(arg) for arg in args]) == 0


def evaluated(root: Path, eval_batch_size: int, processes: int) -> dict[str, float]:
    """What `Trainer.validate` gives."""
    torch.manual_seed(0)
    data = FolderDataModule(str(root), num_workers=0, eval_batch_size=eval_batch_size)
    module = SegmentationModule(TinyNet, data.num_classes, data.ignore_index, data.class_names, data.palette)
    trainer = Trainer(
        accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto", logger=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    (values,) = trainer.validate(module, data, verbose=False)
    return dict(values)


def three(rank: int, root: Path, out: Path) -> None:
    """What each of three processes does; the second fit validates on fewer images than processes."""
    ddp = ["--trainer.devices", "3", "--trainer.strategy", "ddp"]
    fit = ["fit", "-c", str(root / "recipe.yaml"), "--data.init_args.root", str(root), *ddp]
    assert main([*fit, "--run_dir", str(out / "fit")]) == 0
    few = ["--data.init_args.classes", str(root / "few.yaml"), "--trainer.val_check_interval", "1"]
    assert main([*fit, *few, "--run_dir", str(out / "few")]) == 0
    commands(root, out, out / "fit" / "checkpoints" / "last.ckpt", *ddp)
    (out / f"{rank}.json").write_text(json.dumps(evaluated(root, 2, 3)))


@pytest.fixture(scope="module")
def by_three(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folders of three processes."""
    few = yaml.safe_load((scenes / "classes.yaml").read_text())
    few |= {kind: {"train": f"{kind}/train", "val": f"{kind}/test"} for kind in ("images", "masks")}
    (scenes / "few.yaml").write_text(yaml.safe_dump(few))
    out = tmp_path_factory.mktemp("three")
    in_processes(3, three, scenes, out)
    return out


def scores(folder: Path) -> Any:
    return json.loads((folder / "scores.json").read_text())


def assert_same_images(one: Path, other: Path) -> None:
    """The matrix of each image, by name."""
    first, second = (np.load(folder / "image_scores.npz") for folder in (one, other))
    for key in ("names", "lengths", "cells", "counts"):
        np.testing.assert_array_equal(first[key], second[key], key)


def labels(root: Path, split: str) -> list[int]:
    """Pixels of each class, 255 left out."""
    pixels = [np.asarray(Image.open(path)).ravel() for path in (root / "masks" / split).iterdir()]
    return np.bincount(np.concatenate(pixels), minlength=256)[: len(CLASSES)].tolist()


def test_three_processes_have_the_matrix_of_one(scenes: Path, by_three: Path, tmp_path: Path) -> None:
    commands(scenes, tmp_path, by_three / "fit" / "checkpoints" / "last.ckpt")
    for command, split, images in (("validate", "val", 7), ("test", "test", 2)):
        by_one = scores(tmp_path / command)
        assert scores(by_three / command) == by_one
        assert_same_images(by_three / command, tmp_path / command)
        assert by_one["images"] == images
        assert np.sum(by_one["confusion"], axis=1).tolist() == labels(scenes, split)
    by_one = scores(tmp_path / "validate")
    assert scores(by_three / "fit") == by_one, "of the weights that it then saved"
    assert_same_images(by_three / "fit", tmp_path / "validate")
    assert np.sum(scores(by_three / "few")["confusion"], axis=1).tolist() == labels(scenes, "test")


def loss_by_torch(root: Path) -> float:
    """Cross-entropy over all labelled pixels of the split."""
    torch.manual_seed(0)
    net, total, count = TinyNet(len(CLASSES)).eval(), 0.0, 0
    for path in (root / "images" / "val").iterdir():
        image = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)
        mask = torch.from_numpy(np.array(Image.open(root / "masks" / "val" / path.name))).long()
        height, width = mask.shape
        padding = (0, -width % 32, 0, -height % 32)
        padded = F.pad(image[None].float(), padding, mode="replicate")
        logits = F.interpolate(net(padded), padded.shape[-2:], mode="bilinear")[..., :height, :width]
        total += float(F.cross_entropy(logits, mask[None], ignore_index=255, reduction="sum").detach())
        count += int((mask != 255).sum())
    return total / count


def test_the_loss_is_the_mean_over_pixels_at_any_batch_size_and_number_of_processes(
    scenes: Path, by_three: Path
) -> None:
    values = [json.loads((by_three / f"{rank}.json").read_text()) for rank in range(3)]
    assert values[0] == values[1] == values[2], "a checkpoint is chosen by the same value everywhere"
    expected = pytest.approx(loss_by_torch(scenes), rel=1e-6)
    assert values[0]["val/loss"] == expected
    for eval_batch_size in (1, 2, 7):
        by_one = evaluated(scenes, eval_batch_size, 1)
        assert by_one["val/loss"] == expected
        assert by_one["val/miou"] == values[0]["val/miou"]
