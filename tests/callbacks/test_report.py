"""What a run leaves of its scores."""

import json
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from rich.console import Console

from seglight.callbacks.report import checkpoint_to_use, global_batch, scores_table, write_scores
from seglight.metrics import PROTOCOL, Scores
from seglight.training import AdversarialTraining
from tests.support.training import new_module

NAMES = ["sky", "road", "tree"]


@pytest.fixture
def scores() -> Scores:
    return Scores.from_confusion(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]]), 2, miou_interval=(0.701, 0.849))


def test_scores_json(scores: Scores, tmp_path: Path) -> None:
    path = tmp_path / "run" / "scores.json"
    write_scores(scores, NAMES, "val", path, 40, weights="ab")
    read = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert read == {
        "miou": pytest.approx((3 / 4 + 4 / 5) / 2),
        "miou_interval": [0.701, 0.849],
        "accuracy": pytest.approx(7 / 8),
        "fwiou": pytest.approx((4 * 3 / 4 + 4 * 4 / 5) / 8),
        "iou": {"sky": pytest.approx(3 / 4), "road": pytest.approx(4 / 5), "tree": None},
        "precision": {"sky": pytest.approx(1), "road": pytest.approx(4 / 5), "tree": None},
        "recall": {"sky": pytest.approx(3 / 4), "road": pytest.approx(1), "tree": None},
        "f1": {"sky": pytest.approx(6 / 7), "road": pytest.approx(8 / 9), "tree": None},
        "confusion": [[3, 1, 0], [0, 4, 0], [0, 0, 0]],
        "images": 2,
        "split": "val",
        "step": 40,
        "weights": "ab",
        "protocol": f"{PROTOCOL}; whole image in one pass",
    }
    assert [left.name for left in path.parent.iterdir()] == ["scores.json"]


def test_the_checkpoint_to_use_is_the_best_and_after_adversarial_training_the_last(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    plain, hardened = new_module(), new_module(method=AdversarialTraining)
    assert checkpoint_to_use(tmp_path, plain) is None
    (folder / "last.ckpt").touch()
    assert checkpoint_to_use(tmp_path, plain) == folder / "last.ckpt"
    (folder / "best.ckpt").touch()
    assert checkpoint_to_use(tmp_path, plain) == folder / "best.ckpt"
    assert checkpoint_to_use(tmp_path, hardened) == folder / "last.ckpt"


def test_scores_json_of_nothing(tmp_path: Path) -> None:
    empty = Scores.from_confusion(torch.zeros(3, 3, dtype=torch.int64), images=0)
    write_scores(empty, NAMES, "test", tmp_path / "scores.json")
    read = json.loads((tmp_path / "scores.json").read_text())
    assert read["miou"] is None
    assert read["accuracy"] is None
    assert read["fwiou"] is None
    assert read["miou_interval"] is None


def test_table_by_hand(scores: Scores) -> None:
    console = Console(width=100, file=StringIO())
    console.print(scores_table(scores, NAMES, "val"))
    text = console.file.getvalue()
    assert "val: miou 0.7750 [0.70, 0.85], accuracy 0.8750, 2 images" in text
    rows = {line.split()[1]: line.replace("│", " ").split()[1:] for line in text.splitlines() if "│" in line}
    assert rows["sky"] == ["0.7500", "0.8571", "0.7500", "1.0000", "50.00"]  # IoU, F1, recall, precision, % of pixels
    assert rows["road"] == ["0.8000", "0.8889", "1.0000", "0.8000", "50.00"]
    assert rows["tree"] == ["-", "-", "-", "-", "0.00"]


def test_the_global_batch_is_that_of_an_optimizer_step() -> None:
    """Two groups, of which the encoder's has a tenth of the rate; the schedule is in its warm-up."""
    weights = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.001, 0.01)]
    optimizer = torch.optim.SGD(weights)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.02)
    trainer: Any = SimpleNamespace(
        world_size=4,
        accumulate_grad_batches=2,
        datamodule=SimpleNamespace(batch_size=4),
        optimizers=[optimizer],
        current_epoch=0,
        callbacks=[],
    )
    assert global_batch(trainer) == "global batch 32 = 4 devices x 4 images x 2 accumulated, lr 0.01"
    assert global_batch(trainer, 0.003).endswith(" accumulated, lr 0.003")
    trainer.callbacks = [GradientAccumulationScheduler({0: 8, 3: 1})]
    assert global_batch(trainer) == "global batch 128 = 4 devices x 4 images x 8 accumulated, lr 0.01"
