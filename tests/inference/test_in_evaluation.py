"""Inferers in `validate` and `test`, from the command line and from YAML."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from seglight.checkpoints.checkpoint import load_net
from seglight.inference import SlidingWindow, TestTimeAugmentation, WholeImage
from seglight.interfaces import Inferer
from tests.support import fabricate

RECIPE = """
trainer: {accelerator: cpu, max_epochs: 1, log_every_n_steps: 1}
model: {net: {class_path: tests.support.tiny.TinyNet}}
data:
  class_path: seglight.data.CamVidDataModule
  init_args: {num_workers: 0, batch_size: 2, eval_batch_size: 2, augmentation: {crop_size: 64}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe, its data and its checkpoint."""
    from seglight.__main__ import main

    root = tmp_path_factory.mktemp("trained")
    (root / "recipe.yaml").write_text(RECIPE)
    data = fabricate.camvid(root / "CamVid")
    assert (
        main(
            ["fit", "-c", str(root / "recipe.yaml"), "--data.init_args.root", str(data), "--run_dir", str(root / "run")]
        )
        == 0
    )
    return root


SLIDING = {"class_path": "seglight.inference.SlidingWindow", "init_args": {"window": 32, "overlap": 0.5}}
AUGMENTED = {
    "class_path": "seglight.inference.TestTimeAugmentation",
    "init_args": {"inferer": SLIDING, "scales": [0.5, 1.0]},
}
WAYS: dict[str, tuple[Any, Inferer]] = {
    "whole": ({"class_path": "seglight.inference.WholeImage"}, WholeImage()),
    "sliding": (SLIDING, SlidingWindow(32, 0.5)),
    "augmented": (AUGMENTED, TestTimeAugmentation(SlidingWindow(32, 0.5), (0.5, 1.0))),
}


@pytest.mark.parametrize("way", WAYS)
def test_scores_are_those_of_its_labels(
    way: str, trained: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    config, inferer = WAYS[way]
    (tmp_path / "how.yaml").write_text(yaml.safe_dump({"inferer": config}))
    checkpoint = trained / "run" / "checkpoints" / "last.ckpt"
    files = ["-c", trained / "recipe.yaml", "-c", tmp_path / "how.yaml"]
    ran = seglight_cli(
        "test", *files, "--data.init_args.root", trained / "CamVid", "--ckpt_path", checkpoint, "--run_dir", tmp_path
    )
    assert ran.rc == 0, ran.err
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["protocol"].endswith(f"; {inferer}")
    assert scores["confusion"] == confusion(trained / "CamVid", checkpoint, inferer).tolist()


def confusion(root: Path, checkpoint: Path, inferer: Inferer) -> Any:
    """Rows target, columns prediction, counted by numpy."""
    net, _ = load_net(checkpoint, ("tests",))
    counts = np.zeros((11, 11), np.int64)
    for path in sorted((root / "test").iterdir()):
        image = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None].contiguous()
        mask = np.array(Image.open(root / "testannot" / path.name))
        labels = inferer.labels(net, image)[0].numpy()
        np.add.at(counts, (mask[mask < 11], labels[mask < 11]), 1)
    return counts


def test_an_argument_out_of_range_ends_in_one_line(
    trained: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    args = [
        "--data.init_args.root",
        trained / "CamVid",
        "--inferer",
        "seglight.inference.SlidingWindow",
        "--inferer.window",
        100,
    ]
    ran = seglight_cli("validate", "-c", trained / "recipe.yaml", "--run_dir", tmp_path, *args)
    assert ran.rc == 2
    assert "inferer.window is 100: it has to be a multiple of 32" in ran.err
    assert ran.err.count("\n") == 1
