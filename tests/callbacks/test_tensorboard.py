"""Panels, figures and texts go to each TensorBoardLogger; the closing lines name where curves are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.support.resumable import RECIPE

Fit = Callable[..., Any]


@pytest.fixture
def fit(tmp_path: Path, seglight_cli: Callable[..., Any]) -> Fit:
    """`fit` for an epoch with loggers of these names, each in a folder of its own."""

    def run(*names: str) -> Any:
        loggers = [
            {"class_path": f"lightning.pytorch.loggers.{name}", "init_args": {"save_dir": str(tmp_path / str(k))}}
            for k, name in enumerate(names)
        ]
        recipe = yaml.safe_load(RECIPE)
        recipe["trainer"] |= {"max_epochs": 1, "logger": loggers}
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        ran = seglight_cli("fit", "-c", tmp_path / "recipe.yaml", "--run_dir", tmp_path / "run")
        assert ran.rc == 0, ran.err
        return ran.out

    return run


def events_of(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_tensorboard_has_everything_behind_another_logger_too(fit: Fit, tmp_path: Path) -> None:
    said = fit("CSVLogger", "TensorBoardLogger", "TensorBoardLogger")
    for number in (1, 2):
        folder = tmp_path / str(number) / "lightning_logs" / "version_0"
        events = events_of(folder)
        assert "val/miou" in events.Tags()["scalars"]
        assert {"panels/0", "val/confusion"} <= set(events.Tags()["images"])
        assert "config/text_summary" in events.Tags()["tensors"]
        assert f"curves      tensorboard --logdir {folder}\n" in said
    assert f"curves      {tmp_path}/0/lightning_logs/version_0/metrics.csv\n" in said
    assert not list((tmp_path / "run").glob("events*"))
    assert f"--logdir {tmp_path / 'run'}" not in said


def test_without_events_none_are_named(fit: Fit, tmp_path: Path) -> None:
    said = fit("CSVLogger")
    assert "tensorboard" not in said
    assert f"curves      {tmp_path}/0/lightning_logs/version_0/metrics.csv\n" in said


def test_without_a_logger_the_curves_are_in_the_run_folder(fit: Fit, tmp_path: Path) -> None:
    assert f"curves      {tmp_path / 'run'}/metrics.jsonl\n" in fit()
