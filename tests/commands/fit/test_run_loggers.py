"""`--logger` and `--early_stopping`: what a run writes with them, and how it continues.

Covers: commands.fit.options.
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import EarlyStopping

from seglight.commands.fit import run_loggers
from seglight.commands.fit.run_loggers import named
from seglight.errors import UserError
from tests.support.command import Ran

CLI = Callable[..., Ran]

RECIPE = {
    "trainer": {
        "accelerator": "cpu", "max_epochs": 3, "num_sanity_val_steps": 0, "enable_progress_bar": False,
        "log_every_n_steps": 1,
    },
    "model": {
        "net": {"class_path": "tests.support.resumable.Net"},
        "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.01}},
    },
    "data": {
        "class_path": "seglight.data.ShapesDataModule",
        "init_args": {
            "size": 32, "train_images": 4, "eval_images": 2, "batch_size": 2, "num_workers": 0,
            "augmentation": {"crop_size": 32},
        },
    },
}  # fmt: skip
"""Epochs of 2 steps."""


@pytest.fixture
def run(seglight_cli: CLI, tmp_path: Path) -> CLI:
    """`fit` of the recipe with further options."""
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    return lambda *options: seglight_cli("fit", "-c", recipe, "--run_dir", tmp_path / "run", *options)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]


def test_csv_and_tensorboard_are_written_and_continued(run: CLI, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    options = ("--logger", "csv,tensorboard")
    assert run(*options, "--trainer.max_epochs", 1).rc == 0
    first = rows(folder / "csv" / "metrics.csv")
    assert {int(row["step"]) for row in first} == {0, 1}
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    assert yaml.safe_load((folder / "config.yaml").read_text())["logger"] == "csv,tensorboard"
    assert run(*options, "--resume", "force").rc == 0
    table = rows(folder / "csv" / "metrics.csv")
    assert table[: len(first)] == first
    losses = [float(row["train/loss"]) for row in table if "train/loss" in row]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    there = {line["step"]: line["train/loss"] for line in lines if "train/loss" in line}
    assert losses == pytest.approx([there[step] for step in sorted(there)])
    assert len(losses) == 6


def test_rows_of_steps_that_are_repeated_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "metrics.csv").write_text("a,step\n1.5,0\n,1\n2.5,2\n")
    (logger,) = (run_loggers.LOGGERS["csv"](tmp_path, 2),)
    assert rows(tmp_path / "csv" / "metrics.csv") == [{"a": "1.5", "step": "0"}, {"step": "1"}]
    logger.log_metrics({"a": 3.5, "b": 1.0}, 2)
    logger.save()
    assert rows(tmp_path / "csv" / "metrics.csv")[2:] == [{"a": "3.5", "b": "1.0", "step": "2"}]


def test_a_recipe_without_them_has_no_such_keys(run: CLI, tmp_path: Path) -> None:
    assert run("--trainer.max_epochs", 1).rc == 0
    content = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert not {"logger", "early_stopping"} & set(content)


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("cvs", None, r"--logger cvs: there is no logger cvs: use any of csv,tensorboard,wandb,mlflow$"),
        ("csv,tensorbord", None, "there is no logger tensorbord: did you mean tensorboard"),
        ("csv,csv", None, "a logger is named twice"),
        ("false", None, "for a run without loggers, give --trainer.logger false"),
        ("csv", False, "the recipe has trainer.logger, too: leave out one of the two"),
    ],
)
def test_refused_names(text: str, given: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        named(text, given)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_loggers, "find_spec", lambda module: None)
    with pytest.raises(UserError, match=rf"^--logger {name}: the package {name} is missing: pip install {name}$"):
        named(name, None)


@pytest.mark.filterwarnings("ignore")  # of its libraries
def test_mlflow_continues_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for step in (0, 3):
        logger = run_loggers.LOGGERS["mlflow"](tmp_path, step)
        logger.log_metrics({"loss": float(step)}, step)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = json.loads((tmp_path / "loggers.json").read_text())["mlflow"]
    assert [metric.step for metric in client.get_metric_history(run, "loss")] == [0, 3]


def test_wandb_continues_its_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    runs = []
    for step in (0, 3):
        logger = run_loggers.LOGGERS["wandb"](tmp_path / "run", step)
        logger.log_metrics({"loss": float(step)}, step)
        runs.append(logger.version)
        logger.experiment.finish()  # type: ignore[attr-defined]
    assert runs[0] == runs[1]
    assert len(list((tmp_path / "run" / "wandb").glob(f"offline-run-*-{runs[0]}"))) >= 1


def test_early_stopping_is_lightnings_and_resumes(run: CLI, tmp_path: Path) -> None:
    options = ("--early_stopping", "val/loss:0", "--model.optimizer.lr", "1e-9")
    assert run("--trainer.max_epochs", 1, *options).rc == 0
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    expected = EarlyStopping("val/loss", patience=0, mode="min")
    assert set(saved[expected.state_key]) == set(expected.state_dict())
    ran = run("--trainer.max_epochs", 3, *options, "--resume", "force")
    assert ran.rc == 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["early_stopping"] == "val/loss:0"


def test_a_wrong_monitor_is_one_line_with_those_that_exist(run: CLI) -> None:
    ran = run("--early_stopping", "val/mio:3")
    assert ran.rc == 2
    assert "monitor val/mio is never logged: use one of train/loss, " in ran.err
    assert "val/miou, val/acc, val/loss" in ran.err
