"""Comparison of real trainings on drawn scenes: run folders, models that are scored first, and pictures.

Covers: commands.compare.evaluation, commands.compare.page, commands.compare.pictures.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import seglight
from seglight.commands.compare.pictures import BOTH, IGNORED, NEITHER, ONE, OTHER, changes

Cli = Callable[..., Any]

ENCODER = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": None}}
DECODER = {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}}
NET = {"class_path": "seglight.models.EncoderDecoder", "init_args": {"encoder": ENCODER, "decoder": DECODER}}
SHAPES = {"size": 32, "train_images": 16, "eval_images": 12, "num_workers": 0, "batch_size": 4}


def recipe(seed: int) -> dict[str, Any]:
    return {
        "seed_everything": seed,
        "trainer": {
            "accelerator": "cpu", "enable_progress_bar": False, "log_every_n_steps": 1, "max_epochs": 2,
            "check_val_every_n_epoch": 2, "num_sanity_val_steps": 0,
        },
        "model": {"net": NET, "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.003}}},
        "data": {"class_path": "seglight.data.ShapesDataModule", "init_args": SHAPES},
    }  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one recipe with two seeds, and the first net as a released folder."""
    folder = tmp_path_factory.mktemp("compare")
    for seed in (0, 1):
        seglight.fit(recipe(seed), run_dir=folder / f"seed_{seed}")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe(0)))
    return folder


def test_two_seeds_of_one_recipe_on_a_page_with_pictures(trained: Path, tmp_path: Path, seglight_cli: Cli) -> None:
    out = tmp_path / "out"
    ran = seglight_cli("compare", trained / "seed_0", trained / "seed_1", "--out", out)
    assert ran.rc == 0, ran.err
    assert "A and B: can't be told apart" in ran.out
    found = json.loads((out / "compare.json").read_text())
    scores = [json.loads((trained / f"seed_{seed}" / "scores.json").read_text()) for seed in (0, 1)]
    for side, own in zip(found["sides"], scores, strict=True):
        assert side["miou"] == own["miou"], "the score of the run, to the last bit"
        assert side["accuracy"] == own["accuracy"]
        assert side["iou"] == list(own["iou"].values())
    page = (out / "compare.html").read_text()
    assert len(re.findall(r"<img [^>]*src=\"data:image/", page)) == min(6, len(found["changed"]))
    assert "Pictures are missing" not in page
    assert sorted(path.name for path in out.iterdir()) == ["compare.html", "compare.json"]


@pytest.mark.slow
def test_models_are_scored_first(trained: Path, tmp_path: Path, seglight_cli: Cli) -> None:
    """A released folder by --config, and a checkpoint by the recipe of its run, on the test split."""
    last = trained / "seed_0" / "checkpoints" / "last.ckpt"
    assert seglight_cli("release", last, "--out", tmp_path / "released").rc == 0
    other = trained / "seed_1" / "checkpoints" / "last.ckpt"
    ran = seglight_cli(
        "compare", tmp_path / "released", other, "--config", trained / "recipe.yaml", "--split", "test",
        "--json", tmp_path / "r.json", "--out", tmp_path / "out",
    )  # fmt: skip
    assert ran.rc == 0, ran.err
    found = json.loads((tmp_path / "r.json").read_text())
    expected = seglight.evaluate(last, split="test", accelerator="cpu")
    assert (found["split"], found["images"]) == ("test", 12)
    assert found["sides"][0]["miou"] == expected.miou
    assert "Pictures are missing" not in (tmp_path / "out" / "compare.html").read_text()
    ran = seglight_cli("compare", tmp_path / "released", trained / "seed_1")
    assert ran.rc == 2
    assert "give data" in ran.err or "--config" in ran.err


def test_a_recipe_without_data_is_refused(tmp_path: Path, seglight_cli: Cli) -> None:
    (tmp_path / "part.yaml").write_text("model: {}\n")
    ran = seglight_cli("compare", "a", "b", "--config", tmp_path / "part.yaml")
    assert ran.rc == 2
    assert "there is no data: part in it" in ran.err


def test_the_map_of_changes_worked_by_hand() -> None:
    image = np.full((1, 5, 3), 100, np.uint8)
    mask = np.array([[0, 1, 1, 0, 255]], np.uint8)
    one = np.array([[0, 1, 0, 1, 0]], np.uint8)
    other = np.array([[0, 0, 1, 1, 0]], np.uint8)
    drawn = changes(image, mask, one, other, [(0, 0, 0), (200, 0, 0)])
    assert drawn.shape == (2, 10, 3)
    assert drawn[0, 5:].tolist() == [list(color) for color in (BOTH, ONE, OTHER, NEITHER, IGNORED)]
    assert drawn[1, 0].tolist() == [40, 40, 40]
    assert drawn[1, 1].tolist() == [160, 40, 40]
