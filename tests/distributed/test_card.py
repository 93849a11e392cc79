"""`seglight card` on three processes with uneven shares and images of several sizes, against one process."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from seglight.__main__ import main
from seglight.data.datasets.shapes_scenes import CLASSES, draw_scene
from tests.support.checkpoint_files import net_config
from tests.support.processes import in_processes

SIZES = ((96, 96), (64, 90), (37, 80), (96, 64))
IMAGES = 5


def save_scenes(root: Path) -> None:
    """Scenes with ignored columns, one of them without a label."""
    for folder in ("images", "masks"):
        (root / folder / "val").mkdir(parents=True)
    for seed in range(IMAGES):
        height, width = SIZES[seed % len(SIZES)]
        image, mask = (pixels[:height, :width] for pixels in draw_scene(seed, 96))
        ignored = np.arange(width) < (width if seed == 3 else 5 * (seed % 3))
        Image.fromarray(image).save(root / "images" / "val" / f"{seed}.png")
        Image.fromarray(np.where(ignored, 255, mask).astype(np.uint8)).save(root / "masks" / "val" / f"{seed}.png")
    table = [{"name": n, "color": list(c)} for n, c in zip(CLASSES.names, CLASSES.palette, strict=True)]
    (root / "classes.yaml").write_text(yaml.safe_dump({"ignore": 255, "classes": table}))
    init_args = {"root": str(root), "num_workers": 0, "eval_batch_size": 2}
    recipe = {"data": {"class_path": "seglight.data.FolderDataModule", "init_args": init_args}}
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def save_net(path: Path) -> None:
    """A net with random weights."""
    from seglight.models import EncoderDecoder, TimmEncoder
    from seglight.models.decoders import FPN

    torch.manual_seed(0)
    net = EncoderDecoder(8, TimmEncoder("test_resnet", weights=None), lambda *fine: FPN(*fine, channels=32), -2)
    card = {
        "version": "0.1", "net": net_config(), "num_classes": 8, "ignore_index": 255,
        "class_names": list(CLASSES.names), "palette": list(CLASSES.palette), "channels_last": False,
    }  # fmt: skip
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    torch.save({"seglight": card, "state_dict": state, "epoch": 1, "global_step": 1}, path)


def write_card(root: Path, out: Path, *options: str) -> None:
    assert main(arguments(root, out, *options)) == 0


def arguments(root: Path, out: Path, *options: str) -> list[str]:
    args = ["card", str(root / "net.ckpt"), "--config", str(root / "recipe.yaml"), "--out", str(out)]
    return [*args, "--trainer.accelerator", "cpu", *options]


def three(rank: int, root: Path, out: Path, *options: str) -> None:
    write_card(root, out, "--devices", "3", *options)


def content(out: Path) -> dict[str, Any]:
    """What does not depend on the moment."""
    card: dict[str, Any] = json.loads((out / "card.json").read_text())
    return {key: value for key, value in card.items() if key not in ("date", "cost")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save_scenes(tmp_path / "data")
    save_net(tmp_path / "data" / "net.ckpt")
    return tmp_path / "data"


@pytest.mark.slow
def test_three_processes_write_the_card_of_one(root: Path, tmp_path: Path) -> None:
    write_card(root, tmp_path / "one")
    in_processes(3, three, root, tmp_path / "three")
    expected = content(tmp_path / "one")
    assert content(tmp_path / "three") == expected
    assert expected["images"] == IMAGES
    assert len(expected["worst"]) == IMAGES - 1, "an image without a label has no score"
    for path in (tmp_path / "one" / "pictures").iterdir():
        assert (tmp_path / "three" / "pictures" / path.name).read_bytes() == path.read_bytes()
    with (
        np.load(tmp_path / "one" / "image_scores.npz") as ours,
        np.load(tmp_path / "three" / "image_scores.npz") as theirs,
    ):
        for key in ("names", "lengths", "cells", "counts"):
            np.testing.assert_array_equal(ours[key], theirs[key], key)


@pytest.mark.slow
def test_three_processes_resume_a_card_and_try_the_net_as_one(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first passes are finished already: nothing but the corruptions starts the processes."""

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    options = ["--robustness", "--attacks", "pgd:8/255", "--attack_steps", "2", "--corruptions", "contrast,pixelate"]
    write_card(root, tmp_path / "one", *options)
    with monkeypatch.context() as patch:
        patch.setattr("seglight.commands.card.run.robustness_of", interrupted)
        assert main(arguments(root, tmp_path / "three", *options)) == 130
    in_processes(3, three, root, tmp_path / "three", *options)
    expected = content(tmp_path / "one")
    assert content(tmp_path / "three") == expected
    assert expected["robustness"]["attacks"]["pgd"]["8/255"]["images"] == IMAGES
