"""Callbacks and loggers of a recipe, checked before a run starts: each works, or is refused in one line."""

import inspect
import logging
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BaseFinetuning,
    BasePredictionWriter,
    Callback,
    Checkpoint,
    DeviceStatsMonitor,
    EarlyStopping,
    LambdaCallback,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelPruning,
    OnExceptionCheckpoint,
    ProgressBar,
    SpikeDetection,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.loggers import CometLogger, CSVLogger, MLFlowLogger, WandbLogger
from torch.optim.lr_scheduler import ReduceLROnPlateau

from seglight.errors import UserError, one_line, say
from seglight.system.class_paths import imported
from seglight.system.run_files import CHECKPOINTS
from seglight.training.semantic import SegmentationModule

REFUSED: dict[type[Callback], str] = {
    BackboneFinetuning: "freezes an attribute `backbone`, which the module does not have: use "
    "seglight.callbacks.FreezeEncoder and model.groups.encoder_lr_scale",
    BaseFinetuning: "is a base class that freezes nothing: use seglight.callbacks.FreezeEncoder",
    BasePredictionWriter: "writes what Trainer.predict gives, which `fit` does not call: use `seglight predict`",
    ModelPruning: "saves no masks, so that a resumed run would train what it had pruned: choose a smaller net, or "
    "`seglight export` to int8",
    OnExceptionCheckpoint: "makes Lightning start the next run from its file without being asked: seglight saves "
    "checkpoints/last.ckpt; for a file of an exception's step, use ModelCheckpoint with save_on_exception",
    ProgressBar: "is a base class that shows nothing: use seglight.callbacks.ProgressBar, Lightning's "
    "RichProgressBar or TQDMProgressBar, or trainer.enable_progress_bar: false",
    SpikeDetection: "cannot load its own state in Lightning 2.6, and no loader leaves out the batches that it writes "
    "down: use --on_nonfinite skip and trainer.gradient_clip_val",
    StochasticWeightAveraging: "replaces the schedule and adds an epoch, and does not resume exactly: use "
    "seglight.callbacks.SWA, and PreciseBN after it",
}
"""Callbacks that `fit` refuses: what is wrong, and what to use instead."""

BASES = (BaseFinetuning, ProgressBar)
"""Base classes in `REFUSED`, subclasses of which may be complete."""

PACKAGES: dict[type, tuple[str, str]] = {
    CometLogger: ("comet-ml", "comet_ml"),
    MLFlowLogger: ("mlflow", "mlflow"),
    WandbLogger: ("wandb", "wandb"),
}
"""Loggers that need a package which seglight does not install: names of the package and of its module."""

NO_LOGGERS = {
    "Logger": "is a base class that logs nothing: use CSVLogger or TensorBoardLogger",
    "LitLogger": "is not a lightning.pytorch Logger in Lightning 2.6: no recipe can name it: use TensorBoardLogger",
    "NeptuneLogger": "is no longer supported by Lightning: use TensorBoardLogger, MLFlowLogger or WandbLogger",
}
"""Names in lightning.pytorch.loggers that the parser refuses, and why."""

RESERVED = ("best", "last", "last.previous")
"""Names without `.ckpt` of the files that seglight itself writes to `checkpoints`."""

OWN = ("seglight", "lightning")
"""Packages whose callbacks only log keys that are known here."""


class _VerboseCallbacks(logging.Filter):
    """Passes what verbose callbacks log, of the messages that Lightning sends to one logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or record.filename in ("model_checkpoint.py", "timer.py")


VERBOSE_CALLBACKS = _VerboseCallbacks()


def show_callback_messages() -> None:
    """Show what ModelSummary and callbacks with `verbose` log: Lightning's loggers are silent otherwise."""
    logging.getLogger("lightning.pytorch.callbacks").setLevel(logging.INFO)
    shared = logging.getLogger("lightning.fabric.utilities.rank_zero")
    shared.setLevel(logging.INFO)
    shared.addFilter(VERBOSE_CALLBACKS)


def refused_class(complaint: str) -> str | None:
    """Return the message about a class that the parser refuses by its type; None if it names no such class."""
    if re.search(r"[.']ReduceLROnPlateau'", complaint):
        return PLATEAU
    found = re.search(rf"(?:'class_path': '|Given value: )[\w.]*\b({'|'.join(NO_LOGGERS)})\b", complaint)
    return f"trainer.logger: {found[1]} {NO_LOGGERS[found[1]]}" if found else None


PLATEAU = (
    "model.schedule: ReduceLROnPlateau follows a score, and schedules are called with the optimizer and the number of "
    "steps: use seglight.optim.WarmupPoly or WarmupCosine"
)


def check_entries(config: Any, fit: bool) -> None:
    """Check the parsed options of a command before anything is built.

    Args:
        config: Options of the command; enumerations in options of callbacks become plain values.
        fit: Whether the command is `fit`: `validate` and `test` only build the callbacks of a training.

    Raises:
        UserError: A callback is refused; a logger or a callback needs a package that is not installed.
    """
    for _, kind in entries(config.trainer.logger):
        package, module = next((PACKAGES[base] for base in kind.__mro__ if base in PACKAGES), (None, ""))
        if package is not None and find_spec(module) is None:
            raise UserError(f"trainer.logger: {kind.__name__}: the package {package} is missing: pip install {package}")
    for entry, kind in entries(config.trainer.callbacks):
        for key, value in entry.init_args.items():
            if isinstance(value, Enum):  # a default that no YAML can hold
                entry.init_args[key] = value.value
        base = next((base for base in kind.__mro__ if base in REFUSED), None)
        if fit and base is not None and (base is kind or base not in BASES):
            raise UserError(f"trainer.callbacks: {kind.__name__} {REFUSED[base]}")
        _check_hooks(vars(entry.init_args) if fit and issubclass(kind, LambdaCallback) else {})
        if issubclass(kind, DeviceStatsMonitor) and find_spec("psutil") is None and _asks_cpu(entry.init_args):
            raise UserError("trainer.callbacks: DeviceStatsMonitor: the package psutil is missing: pip install psutil")
    for _, kind in entries(config.model.schedule):
        if issubclass(kind, ReduceLROnPlateau):
            raise UserError(PLATEAU)


def _check_hooks(options: dict[str, Any]) -> None:
    """Check that the hooks of a LambdaCallback can be called as Lightning calls them."""
    for hook, given in options.items():
        kind = imported(given["class_path"]) if given is not None and "class_path" in given else None
        arguments = list(inspect.signature(getattr(Callback, hook)).parameters)[1:]
        if isinstance(kind, type) and not _takes(kind, arguments):
            raise UserError(
                f"trainer.callbacks: LambdaCallback: {hook}: {kind.__name__} cannot be called with "
                f"({', '.join(arguments)}): name a class whose __call__ takes them, or write a Callback of your own"
            )


def _takes(kind: type, arguments: list[str]) -> bool:
    """Whether objects of a class can be called with the arguments of a hook; `stage` is passed by keyword."""
    if issubclass(kind, torch.nn.Module):  # takes any arguments, for `forward`
        return False
    named = {name: None for name in arguments if name == "stage"}
    try:
        inspect.signature(kind.__call__).bind(None, *[None] * (len(arguments) - len(named)), **named)
    except TypeError:
        return False
    return True


def _asks_cpu(options: Any) -> bool:
    wanted = options.get("cpu_stats")
    return bool(wanted) or (wanted is None and not torch.cuda.is_available())


def entries(given: Any) -> Iterator[tuple[Any, type]]:
    """Yield the parsed options of one class or of several, each with its class."""
    for entry in given if isinstance(given, list) else [given]:
        if isinstance(entry, Namespace) and "init_args" in entry and "class_path" in entry:
            module, _, name = entry.class_path.rpartition(".")
            yield entry, getattr(import_module(module), name)


def prepare_outputs(config: Any, run_dir: Path, resumed: bool) -> None:
    """Direct the files of a recipe's callbacks and loggers to the run folder, and keep them when the run is resumed.

    A `ModelCheckpoint` without a folder writes to `checkpoints`, whichever loggers there are. A resumed run replaces
    the checkpoints of steps that it repeats, and a `CSVLogger` writes to its next version: Lightning would delete the
    table of the version before.

    Args:
        config: Options of `trainer`; they are changed.
        run_dir: The run folder.
        resumed: Whether the run is resumed.

    Raises:
        UserError: A checkpoint would replace one of seglight's own.
    """
    folder = (run_dir / CHECKPOINTS).resolve()
    for entry, kind in entries(config.callbacks):
        options = entry.init_args
        if not issubclass(kind, ModelCheckpoint) or "dirpath" not in options:
            continue
        options.dirpath = options.dirpath or str(folder)
        inside = Path(options.dirpath).expanduser().resolve() == folder
        if inside and (options.get("save_last") or options.get("filename") in RESERVED):
            what = "save_last" if options.get("save_last") else f"filename {options.filename}"
            raise UserError(
                f"trainer.callbacks: {kind.__name__} with {what}: seglight itself writes {folder}/last.ckpt and "
                "best.ckpt: leave it out, or give another dirpath"
            )
        if resumed and inside and "{step" in (options.get("filename") or "{step"):
            options.enable_version_counter = False
    for entry, kind in entries(config.logger):
        if resumed and issubclass(kind, CSVLogger) and entry.init_args.get("version") is not None:
            version = entry.init_args.version
            say(f"CSVLogger: version {version} holds the run so far: the resumed run writes the next one")
            entry.init_args.version = None


def check_callbacks(given: Sequence[Callback], config: Any) -> None:
    """Check the callbacks of a recipe against each other and against options of the trainer.

    Args:
        given: Callbacks of the recipe.
        config: Options of `trainer`, with loggers built.

    Raises:
        UserError: Two callbacks share a key in checkpoints, or a callback lacks a logger or is switched off.
    """
    kept = Counter(c.state_key for c in given if type(c).state_dict is not Callback.state_dict)
    twice = next((key for key, count in kept.items() if count > 1), None)
    if twice is not None:
        raise UserError(
            f"trainer.callbacks: two times {twice}: their states in a checkpoint would be one: leave one out"
        )
    switched: tuple[tuple[Any, bool, str], ...] = (
        (Checkpoint, config.enable_checkpointing is False, "trainer.enable_checkpointing is false"),
        (ProgressBar, config.enable_progress_bar is False, "trainer.enable_progress_bar is false"),
        (
            LearningRateMonitor | DeviceStatsMonitor,
            config.logger in (False, []),
            "it needs a logger: trainer.logger is false",
        ),
    )
    for kind, off, why in switched:
        found = [callback for callback in given if isinstance(callback, kind)]
        if off and found:
            raise UserError(f"trainer.callbacks: {type(found[0]).__name__}: {why}: change one of the two")
    for sole, why in ((WeightAveraging, "a checkpoint holds one average"), (ProgressBar, "there is one bar")):
        found = [callback for callback in given if isinstance(callback, sole)]
        if len(found) > 1:
            names = " and ".join(type(callback).__name__ for callback in found)
            raise UserError(f"trainer.callbacks: {names}: {why}: leave one of them out")


def _check_numbers(callback: EarlyStopping) -> None:
    name = f"trainer.callbacks: {type(callback).__name__}"
    if callback.patience < 0:
        raise UserError(f"{name}: patience {callback.patience}: give a whole number from 0")
    for key in ("min_delta", "stopping_threshold", "divergence_threshold"):
        if math.isnan(getattr(callback, key) or 0):
            raise UserError(f"{name}: {key} nan: nothing compares with it: give a number")


def check_monitors(given: Sequence[Callback], module: SegmentationModule, config: Any) -> None:
    """Check that the monitors of callbacks are logged; if other callbacks may log, an unknown key is only announced.

    Args:
        given: Callbacks of the recipe.
        module: Module that is trained.
        config: Options of `trainer`.

    Raises:
        UserError: A key is unknown; the message names the known ones. Or a number of EarlyStopping is NaN, or the name
            of a checkpoint cannot be formatted.
    """
    keys = module.log_keys()
    known = [
        *(keys["train"] if config.log_every_n_steps != 0 else []),
        *(keys["val"] if config.limit_val_batches != 0 else []),
    ]
    for callback in given:
        if isinstance(callback, EarlyStopping):
            _check_numbers(callback)
        if isinstance(callback, ModelCheckpoint):
            _try_filename(callback, known)
    others = sorted({type(c).__name__ for c in given if type(c).__module__.split(".")[0] not in OWN})
    rates = any(isinstance(callback, LearningRateMonitor) for callback in given)
    for callback in given:
        if not isinstance(callback, EarlyStopping | ModelCheckpoint):
            continue
        if callback.monitor in (None, *known):
            _say_mode(callback)
            continue
        name, key = type(callback).__name__, str(callback.monitor)
        if (rates and key.startswith("lr-")) or (isinstance(callback, ModelCheckpoint) and key in ("epoch", "step")):
            continue
        if others:
            say(f"trainer.callbacks: {name}: seglight itself does not log {key}: {', '.join(others)} has to")
            continue
        raise UserError(f"trainer.callbacks: {name}: monitor {key} is never logged: use one of {', '.join(known)}")


def _try_filename(callback: ModelCheckpoint, known: Sequence[str]) -> None:
    """Format the name of a checkpoint as a training does: scores are floats, epoch and step are integers."""
    counts = {name: torch.tensor(1) for name in ("epoch", "step")}
    try:
        callback.format_checkpoint_name({name: torch.tensor(0.5) for name in known} | counts)
    except Exception as error:
        raise UserError(
            f"trainer.callbacks: {type(callback).__name__}: filename {callback.filename}: {one_line(error)}: give a "
            "template such as {epoch}-{val/miou:.3f}"
        ) from error


def _say_mode(callback: EarlyStopping | ModelCheckpoint) -> None:
    if callback.mode == "min" and str(callback.monitor).startswith(("val/miou", "val/acc", "val/iou/")):
        say(
            f"trainer.callbacks: {type(callback).__name__}: mode is min, Lightning's default, and {callback.monitor} "
            "is better the larger it is: set mode: max"
        )


def construction_complaint(error: ValueError) -> str | None:
    """Return the cause of the parser's error when a callback or a logger cannot be built; None for other errors."""
    text = str(error)
    if not text.startswith("Does not validate against any of the Union subtypes"):
        return None
    cause = text.partition("Errors:")[2].strip().removeprefix("- ").split("\n  - ")[0]
    names = re.findall(r"class_path='[^']*?([^.']+)'", text)
    return f"{', '.join(dict.fromkeys(names))}: {' '.join(cause.split())}"
