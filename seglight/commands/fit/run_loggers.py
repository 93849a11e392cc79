"""The loggers of a run: TensorBoard, or those that `--logger` names; all of them write into the run folder."""

import csv
import json
import os
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from netrc import NetrcParseError, netrc
from pathlib import Path
from secrets import token_hex
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from seglight.errors import UserError
from seglight.system.atomic import atomic_write
from seglight.system.hints import did_you_mean

RUNS_FILE = "loggers.json"
"""File in the run folder with the names under which Weights & Biases and MLflow know the run."""

PACKAGES = {"wandb": "wandb", "mlflow": "mlflow"}
"""Loggers that need a package which seglight does not install."""


def named(text: str | None, given: Any) -> list[str]:
    """The loggers that `--logger` names.

    Args:
        text: Value of `--logger`, names with commas between; None: it was not given.
        given: Loggers of the recipe.

    Raises:
        UserError: A name is unknown, or its package is missing; or the recipe has loggers of its own.
    """
    if text is None:
        return []
    names = [name.strip() for name in str(text).split(",")]
    for name in names:
        if name not in LOGGERS:
            instead = did_you_mean(name, LOGGERS) or f": use any of {','.join(LOGGERS)}"
            if name.lower() in ("false", "none"):
                instead = ": for a run without loggers, give --trainer.logger false"
            raise UserError(f"--logger {text}: there is no logger {name}{instead}")
        if name in PACKAGES and find_spec(PACKAGES[name]) is None:
            raise UserError(f"--logger {text}: the package {name} is missing: pip install {PACKAGES[name]}")
    if len(set(names)) < len(names):
        raise UserError(f"--logger {text}: a logger is named twice: leave one out")
    if given not in (None, True):
        raise UserError(f"--logger {text}: the recipe has trainer.logger, too: leave out one of the two")
    return names


def run_loggers(config: Namespace, run_dir: Path, step: int) -> list[Logger] | None:
    """The loggers of a run; None: those that the recipe builds, or none.

    Args:
        config: Options of the command, with those of the trainer built.
        run_dir: Run folder.
        step: Optimizer steps of the checkpoint that is resumed; what a killed run has shown of later steps is shown
            again.
    """
    names = named(config.get("logger"), config.trainer.logger)
    if not names and config.trainer.logger not in (None, True):
        return None
    return [LOGGERS[name](run_dir, step) for name in names or ["tensorboard"]]


def _tensorboard(run_dir: Path, step: int) -> Logger:
    return TensorBoardLogger(run_dir, "", "", default_hp_metric=False, purge_step=step)


def _csv(run_dir: Path, step: int) -> Logger:
    """`csv/metrics.csv`: Lightning deletes the table of the run so far, whose rows are written again."""
    path = run_dir / "csv" / "metrics.csv"
    earlier = list(_rows(path, step))
    logger = CSVLogger(run_dir, name="", version="csv")
    if path.is_file() and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it deletes the table
            logger.experiment.metrics.extend(earlier)
        logger.save()
    return logger


def _rows(path: Path, step: int) -> Iterator[dict[str, Any]]:
    """The rows of a table before a step, without empty cells."""
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if int(row.get("step") or 0) < step:
                yield {key: value for key, value in row.items() if value}


def _wandb(run_dir: Path, step: int) -> Logger:
    """`wandb/`: offline, for `wandb sync`, unless the user is logged in or has set WANDB_MODE."""
    run = _known(run_dir, "wandb") if step else None
    run = run or token_hex(4)
    _remember(run_dir, "wandb", run)
    project = os.environ.get("WANDB_PROJECT", "seglight")
    offline = "WANDB_MODE" not in os.environ and not _is_logged_in()
    return WandbLogger(
        name=run_dir.name, save_dir=run_dir, project=project, id=run, offline=offline, resume="allow"
    )  # fmt: skip


def _is_logged_in() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc().authenticators("api.wandb.ai") is not None
    except (OSError, NetrcParseError):
        return False


def _mlflow(run_dir: Path, step: int) -> Logger:
    """`mlflow.db` in the run folder, unless MLFLOW_TRACKING_URI names a server."""
    address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(run_dir / 'mlflow.db').resolve()}"
    run = _known(run_dir, "mlflow") if step else None
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "seglight")
    artifacts = None if os.environ.get("MLFLOW_TRACKING_URI") else (run_dir / "mlartifacts").resolve().as_uri()
    logger = MLFlowLogger(
        experiment, run_name=run_dir.name, tracking_uri=address, run_id=run, artifact_location=artifacts
    )
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        _remember(run_dir, "mlflow", str(logger.run_id))
    return logger


def _known(run_dir: Path, name: str) -> str | None:
    path = run_dir / RUNS_FILE
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return known.get(name)


def _remember(run_dir: Path, name: str, run: str) -> None:
    if rank_zero_only.rank != 0 or _known(run_dir, name) == run:  # type: ignore[attr-defined]
        return
    path = run_dir / RUNS_FILE
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    atomic_write(path, json.dumps({**known, name: run}, indent=2) + "\n")


LOGGERS: dict[str, Callable[[Path, int], Logger]] = {
    "csv": _csv,
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
"""Loggers by the name that `--logger` takes."""
