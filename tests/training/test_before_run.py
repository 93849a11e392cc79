"""What is refused in one line before a run starts, and monitors that work.

Covers: callbacks.best_checkpoint.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from seglight.callbacks.best_checkpoint import BestCheckpoint
from seglight.training.before_run import NO_LOGGERS, PACKAGES, REFUSED
from tests.support.resumable import RECIPE, BrokenOff, break_off_at, differences, final

CALLBACKS, LOGGERS = "lightning.pytorch.callbacks", "lightning.pytorch.loggers"
KEYS = "use one of train/loss, lr/decoder, val/miou, val/acc, val/loss, val/iou/ground, "
HERE = "tests.training.test_before_run"
MIOU = {"monitor": "val/miou", "mode": "max"}
NAN = float("nan")
Fit = Callable[..., Any]


class TakesOne:
    """No hook: it would be called with two."""

    def __call__(self, trainer: Trainer) -> None:
        pass


class TakesTwo:
    def __call__(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pass


class Adds(Callback):
    """Logs a value of its own."""

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log("val/own", torch.tensor(1.0))


@pytest.fixture
def fit(tmp_path: Path, seglight_cli: Callable[..., Any]) -> Fit:
    """`fit` with a small net, callbacks and loggers; an epoch, unless told otherwise."""

    def run(callbacks: Any, *args: object, folder: str = "run", **trainer: Any) -> Any:
        recipe = yaml.safe_load(RECIPE)
        recipe["trainer"] |= {"max_epochs": 1, "callbacks": callbacks} | trainer
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        return seglight_cli("fit", "-c", tmp_path / "recipe.yaml", "--run_dir", tmp_path / folder, *args)

    return run


def named(name: str, **options: Any) -> dict[str, Any]:
    return {"class_path": f"{CALLBACKS}.{name}", "init_args": options}


NEEDED: dict[str, dict[str, Any]] = {
    "ModelPruning": {"pruning_fn": "l1_unstructured"},
    "OnExceptionCheckpoint": {"dirpath": "x"},
    "StochasticWeightAveraging": {"swa_lrs": 0.1},
}
EMA = {"class_path": "seglight.callbacks.EMA"}


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_a_callback_that_does_harm(kind: type, fit: Fit, tmp_path: Path) -> None:
    ran = fit([named(kind.__name__, **NEEDED.get(kind.__name__, {}))])
    assert (ran.rc, ran.err) == (2, f"seglight: error: trainer.callbacks: {kind.__name__} {REFUSED[kind]}\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        *(
            (kind.__name__, f"{kind.__name__}: the package {package} is missing: pip install {package}")
            for kind, (package, _) in PACKAGES.items()
        ),
        *((name, f"{name} {why}") for name, why in NO_LOGGERS.items()),
    ],
)
def test_a_logger_that_there_is_not(name: str, line: str, fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglight.training.before_run.find_spec", lambda module: None)
    for logger in ({"class_path": f"{LOGGERS}.{name}"}, [{"class_path": f"{LOGGERS}.{name}"}]):
        ran = fit([], logger=logger)
        assert (ran.rc, ran.err) == (2, f"seglight: error: trainer.logger: {line}\n")


@pytest.mark.parametrize(
    ("callbacks", "trainer", "line"),
    [
        ([named("EarlyStopping", monitor="val/mIoU")], {}, f"EarlyStopping: monitor val/mIoU is never logged: {KEYS}"),
        ([named("ModelCheckpoint", monitor="miou")], {}, f"ModelCheckpoint: monitor miou is never logged: {KEYS}"),
        (
            [named("EarlyStopping", monitor="val/miou")],
            {"limit_val_batches": 0},
            "EarlyStopping: monitor val/miou is never logged: use one of train/loss, lr/decoder",
        ),
        (
            [named("EarlyStopping", monitor="train/loss")],
            {"log_every_n_steps": 0},
            "EarlyStopping: monitor train/loss is never logged: use one of val/miou, ",
        ),
        ([named("EarlyStopping", monitor="val/miou", mode="up")], {}, "EarlyStopping: `mode` can be min, max, got up"),
        ([named("Timer"), named("Timer")], {}, "two times Timer: "),
        ([EMA, named("WeightAveraging")], {}, "EMA and WeightAveraging: a checkpoint holds one average"),
        (
            [named("TQDMProgressBar"), named("RichProgressBar")],
            {"enable_progress_bar": True},
            "TQDMProgressBar and RichProgressBar: there is one bar",
        ),
        ([named("TQDMProgressBar")], {}, "TQDMProgressBar: trainer.enable_progress_bar is false"),
        ([named("ModelCheckpoint")], {"enable_checkpointing": False}, "trainer.enable_checkpointing is false"),
        ([named("LearningRateMonitor")], {"logger": False}, "LearningRateMonitor: it needs a logger"),
        ([named("DeviceStatsMonitor")], {"logger": False}, "DeviceStatsMonitor: it needs a logger"),
        ([named("ModelCheckpoint", save_last=True)], {}, "ModelCheckpoint with save_last: seglight itself writes"),
        ([named("EarlyStopping", **MIOU, patience=-1)], {}, "EarlyStopping: patience -1: give a whole number from 0"),
        ([named("EarlyStopping", **MIOU, min_delta=NAN)], {}, "EarlyStopping: min_delta nan: nothing compares with it"),
        ([named("EarlyStopping", **MIOU, stopping_threshold=NAN)], {}, "EarlyStopping: stopping_threshold nan: "),
        *(
            ([named("ModelCheckpoint", filename=name)], {}, f"ModelCheckpoint: filename {name}: ")
            for name in ("{val/miou:d}", "{nope!x", "{epoch", "{step:.2q}", "{}", "{epoch}-}")
        ),
        *(
            ([named("LambdaCallback", on_fit_start=hook)], {}, f"LambdaCallback: on_fit_start: {hook.split('.')[-1]} ")
            for hook in ("torch.nn.Identity", "torch.nn.MSELoss", f"{HERE}.TakesOne")
        ),
        ([named("LambdaCallback", setup=f"{HERE}.TakesTwo")], {}, "setup: TakesTwo cannot be called with (trainer, "),
        ([named("ModelCheckpoint", filename="best")], {}, "ModelCheckpoint with filename best: seglight itself writes"),
    ],
)
def test_callbacks_that_do_not_fit(callbacks: Any, trainer: dict[str, Any], line: str, fit: Fit) -> None:
    ran = fit(callbacks, **trainer)
    assert ran.rc == 2
    assert ran.err.count("\n") == 1
    assert line in ran.err


@pytest.mark.parametrize(
    "schedule", ["torch.optim.lr_scheduler.ReduceLROnPlateau", "lightning.pytorch.cli.ReduceLROnPlateau"]
)
def test_a_schedule_that_follows_a_score(schedule: str, fit: Fit) -> None:
    options = {"monitor": "val/loss"} if "cli" in schedule else {}
    value = json.dumps({"class_path": schedule, "init_args": options})
    ran = fit([], "--model.schedule", value)
    assert ran.rc == 2
    assert ran.err.startswith("seglight: error: model.schedule: ReduceLROnPlateau follows a score")


def test_psutil_is_named_where_it_is_missing(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglight.training.before_run.find_spec", lambda module: None)
    ran = fit([named("DeviceStatsMonitor", cpu_stats=True)])
    assert ran.err.endswith("DeviceStatsMonitor: the package psutil is missing: pip install psutil\n")


def test_a_key_that_another_callback_logs_is_left_to_it(fit: Fit) -> None:
    adds = {"class_path": "tests.training.test_before_run.Adds"}
    ran = fit([adds, named("EarlyStopping", monitor="val/own", patience=5)])
    assert ran.rc == 0
    assert "EarlyStopping: seglight itself does not log val/own: Adds has to" in ran.err


def test_training_loss_is_logged_before_it_is_looked_at(fit: Fit) -> None:
    """An epoch has 6 steps, 8 epochs 48: every fourth would be logged, and one callback stops the run for it."""
    stops = named("EarlyStopping", monitor="train/loss", stopping_threshold=100.0)
    ran = fit([stops], max_epochs=80, log_every_n_steps=50)
    assert ran.rc == 0, ran.err
    assert "stopped     Stopping threshold reached: train/loss = " in ran.out
    assert "logging every 6 steps: trainer.log_every_n_steps 50 is too many" in ran.out


def test_one_callback_needs_no_list_and_a_timer_says_that_it_ended_the_run(fit: Fit) -> None:
    ran = fit(named("Timer", duration={"seconds": 0}))
    assert ran.rc == 0, ran.err
    assert "stopped     after " in ran.out


def test_a_checkpoint_of_an_earlier_version_resumes(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`best.ckpt` had the state key of a plain ModelCheckpoint, and two parameter groups had one name."""
    callbacks = [EMA, {"class_path": "seglight.callbacks.ExactCheckpoint", "init_args": {"every_n_steps": 4}}]
    assert fit(callbacks, folder="whole", max_epochs=2).rc == 0
    with monkeypatch.context() as patch:
        break_off_at(9, patch)
        with pytest.raises(BrokenOff):
            fit(callbacks, folder="former", max_epochs=2)
    path = tmp_path / "former" / "checkpoints" / "last.ckpt"
    saved = torch.load(path, weights_only=True)
    own = saved["exact"]["processes"][0]
    former = ModelCheckpoint(monitor="val/miou", mode="max").state_key
    for states in (saved["callbacks"], own["callbacks"]):
        states[former] = states.pop(BestCheckpoint(tmp_path).state_key)
        del states["ShortRuns"]
    del own["model_checkpoints"], own["metrics"]
    for group in saved["optimizer_states"][0]["param_groups"]:
        group["name"] = group["name"].removesuffix("/no_decay")
    torch.save(saved, path)
    resumed = fit(callbacks, "--resume", folder="former", max_epochs=2)
    assert resumed.rc == 0, resumed.err
    assert differences(final(tmp_path / "former"), final(tmp_path / "whole")) == []
