"""Runs that end before their first validation or their first logged step.

Covers: callbacks.image_scores.
"""

import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from seglight.callbacks import ImageScores
from seglight.callbacks.short_runs import ShortRuns
from seglight.system.signals import STOP
from seglight.training import AdversarialTraining
from tests.support import training
from tests.support.resumable import RECIPE, BrokenOff, break_off_at, differences, final

Fit = Callable[..., Any]


@pytest.fixture
def fit(tmp_path: Path, seglight_cli: Callable[..., Any]) -> Fit:
    """`fit` with a small net: 6 steps an epoch, saved every 4."""
    (tmp_path / "recipe.yaml").write_text(RECIPE)

    def run(folder: str, *args: object, **trainer: Any) -> Any:
        recipe = yaml.safe_load(RECIPE)
        recipe["trainer"] |= trainer
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        return seglight_cli("fit", "-c", tmp_path / "recipe.yaml", "--run_dir", tmp_path / folder, *args)

    return run


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


TOO_SHORT = [
    ({"max_steps": 5}, 5, True),
    ({"max_steps": 8, "check_val_every_n_epoch": 2}, 8, True),
    ({"max_epochs": 1, "check_val_every_n_epoch": 4}, 6, True),
    ({"max_epochs": 1, "check_val_every_n_epoch": None, "val_check_interval": 100}, 6, True),
    ({"max_epochs": 1, "val_check_interval": "00:01:00:00"}, 6, True),
    ({"max_epochs": 1, "accumulate_grad_batches": 4, "max_steps": 1, "check_val_every_n_epoch": 4}, 1, True),
    ({"max_epochs": 1}, 6, False),
    ({"max_steps": 6}, 6, False),
]


@pytest.mark.parametrize(("trainer", "steps", "said"), TOO_SHORT)
def test_it_is_scored_once_at_its_end(
    trainer: dict[str, Any], steps: int, said: bool, fit: Fit, tmp_path: Path
) -> None:
    ran = fit("run", **trainer)
    assert ran.rc == 0, ran.err
    assert (f"the run ends before its first validation: it is scored now, at step {steps}" in ran.err) == said
    assert [line["step"] for line in lines(tmp_path / "run") if "val/miou" in line] == [steps]
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["step"] == steps
    assert f"next        seglight predict {tmp_path / 'run'}/checkpoints/best.ckpt" in ran.out


def test_one_that_is_told_not_to_validate_says_that_it_has_no_score(fit: Fit, tmp_path: Path) -> None:
    ran = fit("run", max_steps=5, limit_val_batches=0)
    assert ran.rc == 0, ran.err
    assert "scores      none: trainer.limit_val_batches is 0" in ran.out
    assert "checkpoints/last.ckpt IMAGES" in ran.out
    assert not (tmp_path / "run" / "scores.json").exists()


def test_without_checkpoints_none_is_named(fit: Fit, tmp_path: Path) -> None:
    ran = fit("run", max_epochs=1, enable_checkpointing=False)
    assert ran.rc == 0, ran.err
    assert "next        no checkpoint was saved: trainer.enable_checkpointing is false" in ran.out
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    "trainer", [{"max_steps": 8, "check_val_every_n_epoch": 2}, {"max_steps": 12}], ids=["forced", "usual"]
)
def test_an_evaluation_after_the_last_step_is_resumed(
    trainer: dict[str, Any], fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended by a signal after two of five batches: Lightning's loop ends where `max_steps` is reached."""
    assert fit("whole", **trainer).rc == 0
    ended = ImageScores.on_validation_batch_end

    def stop(self: Any, run: Any, module: Any, outputs: Any, batch: Any, batch_idx: int, *more: Any) -> None:
        ended(self, run, module, outputs, batch, batch_idx, *more)
        if run.global_step == trainer["max_steps"] and batch_idx == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(ImageScores, "on_validation_batch_end", stop)
        with pytest.raises(SystemExit) as left:
            fit("stopped", **trainer)
        assert left.value.code == 75
    STOP.received = None
    assert not (tmp_path / "stopped" / "scores.json").exists() or trainer == {"max_steps": 12}
    resumed = fit("stopped", "--resume", **trainer)
    assert resumed.rc == 0, resumed.err
    assert differences(final(tmp_path / "stopped"), final(tmp_path / "whole")) == []
    assert "finished" in fit("stopped", "--resume", **trainer).err


def test_at_least_ten_points_are_logged_and_the_same_after_a_resume(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """30 steps where the recipe logs every 50."""
    given = {"max_epochs": 5, "log_every_n_steps": 50, "check_val_every_n_epoch": 5}
    ran = fit("whole", **given)
    assert "logging every 3 steps: trainer.log_every_n_steps 50 is too many for this run" in ran.out
    trained = [line for line in lines(tmp_path / "whole") if "train/loss" in line]
    assert [line["step"] for line in trained] == [*range(3, 31, 3)]
    assert {"lr/decoder", "train/loss"} <= trained[0].keys()
    with monkeypatch.context() as patch:
        break_off_at(14, patch)
        with pytest.raises(BrokenOff):
            fit("broken", **given)
    assert fit("broken", "--resume", **given).rc == 0
    assert differences(final(tmp_path / "broken"), final(tmp_path / "whole")) == []


@pytest.mark.parametrize(("every", "steps", "expected"), [(1, 12, 12), (50, 4, 4), (0, 4, 0), (3, 40, 13)])
def test_the_interval_of_the_recipe_is_only_ever_lowered(
    every: int, steps: int, expected: int, fit: Fit, tmp_path: Path
) -> None:
    assert fit("run", max_epochs=-1, max_steps=steps, log_every_n_steps=every, limit_val_batches=0).rc == 0
    assert len([line for line in lines(tmp_path / "run") if "train/loss" in line]) == expected


def test_a_run_that_ends_within_the_warm_up_of_the_attack_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    def said(warmup: int, **options: Any) -> str:
        module = training.new_module(method=partial(AdversarialTraining, radius=0.02, steps=1, warmup_batches=warmup))
        training.fit(training.samples(), ShortRuns(), module=module, **options)
        return capsys.readouterr().out

    batches = len(training.samples()) // 2
    assert f"warmup_batches is {4 * batches}: the radius rises to 0.005 only, not to 0.02" in said(4 * batches)
    assert "warmup_batches" not in said(batches)
    assert "warmup_batches" not in said(batches, accumulate_grad_batches=2), "batches are counted, not steps"
