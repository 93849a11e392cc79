"""Checks of the values of Lightning's Trainer arguments, one function an argument.

Each is called with all arguments and the command, "fit", "validate" or "test", and returns why the value does not work
and what to do, or None. Class configurations are dicts with `class_path` and `init_args`.
"""

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

Options = Mapping[str, Any]
"""The Trainer's arguments by name, as parsed and before any class is built."""

Complaint = Callable[[Options, str], str | None]

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")

PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")
"""Precisions with weights of 32 bits, by Lightning's names."""

NOT_FLOAT32 = "losses and scores are exact for weights of 32 bits: use 32-true, or 16-mixed or bf16-mixed"
NO_LENGTH = "the learning rate's schedule needs to know where the run ends: give max_epochs or max_steps"
SHARE = "give a whole number of batches, or a share of them from 0.0 to 1.0"
INTERVAL = "give a number of batches from 1, or a share of the epoch above 0.0 up to 1.0"
NO_XLA = "seglight runs on CPUs and GPUs, not on TPUs"


def anything(options: Options, command: str) -> None:
    """Accept any value that the parser and Lightning accept."""


def whole_number(name: str, least: int, *, none: bool = True) -> Complaint:
    """Return a check for whole numbers from `least` up.

    Args:
        name: Name of the argument.
        least: Smallest accepted value.
        none: Whether null is accepted.
    """

    def complaint(options: Options, command: str) -> str | None:
        value = options[name]
        right = (value is None and none) or (_is_number(value) and value == int(value) and value >= least)
        return None if right else f"give a whole number from {least}"

    return complaint


def max_epochs(options: Options, command: str) -> str | None:
    """Require an end of the training and at least one epoch."""
    value, endless = options["max_epochs"], options["max_steps"] == -1
    if command != "fit" or options["fast_dev_run"]:
        return None
    if value is None:
        return NO_LENGTH if endless and options["max_time"] is not None else None
    if value == -1:
        return NO_LENGTH if endless else None
    return None if value > 0 else "nothing would be trained: give a whole number from 1, or use `validate`"


def max_steps(options: Options, command: str) -> str | None:
    """Require at least one step."""
    value = options["max_steps"]
    if command != "fit" or value == -1 or value > 0:
        return None
    return "nothing would be trained: give a whole number from 1, -1 for no limit, or use `validate`"


def minimum(kind: str) -> Complaint:
    """Return a check for a `min_` below zero or above its `max_`; `kind` is "epochs" or "steps"."""

    def complaint(options: Options, command: str) -> str | None:
        least, most = options[f"min_{kind}"], options[f"max_{kind}"]
        if command != "fit" or least is None:
            return None
        if least < 0:
            return "give a whole number from 0"
        above = most is not None and most != -1 and least > most
        return f"it is more than max_{kind} {most}: lower it" if above else None

    return complaint


def max_time(options: Options, command: str) -> str | None:
    """Require a time above zero."""
    value = options["max_time"]
    return None if value is None or (_seconds(value) or 0) > 0 else "give a time above zero as DD:HH:MM:SS"


def limit(split: str, needed_by: str) -> Complaint:
    """Return a check for numbers of batches; 0 is refused by the command that needs batches of the split.

    Args:
        split: Name of the split: "train", "val", "test" or "predict".
        needed_by: Name of the command, or "".
    """

    def complaint(options: Options, command: str) -> str | None:
        value, overfit = options[f"limit_{split}_batches"], options["overfit_batches"]
        if value is None:
            return None
        if not _is_share(value):
            return SHARE
        if value == 0 and command == needed_by:
            return f"`{command}` needs batches: {SHARE}, not 0"
        both = command == "fit" and split in ("train", "val") and overfit and value not in (1.0, overfit)
        return f"overfit_batches {overfit} sets it too: remove one of them" if both else None

    return complaint


def overfit_batches(options: Options, command: str) -> str | None:
    """Require a number of batches, or a share of them."""
    return None if _is_share(options["overfit_batches"]) else SHARE


def val_check_interval(options: Options, command: str) -> str | None:
    """Require a number of batches, a share of the epoch, or a time."""
    value, every = options["val_check_interval"], options["check_val_every_n_epoch"]
    if value is None:
        return None
    if not isinstance(value, int | float):
        return None if (_seconds(value) or 0) > 0 else f"{INTERVAL}, or a time above zero as DD:HH:MM:SS"
    if value == 0 or not _is_share(value):
        return INTERVAL
    if every is None and isinstance(value, float):
        return "with check_val_every_n_epoch null it counts batches over epochs: give a whole number from 1"
    return None


def gradient_clip_val(options: Options, command: str) -> str | None:
    """Require a bound; 0 and null disable clipping."""
    value = options["gradient_clip_val"]
    return None if value is None or (_is_number(value) and value >= 0) else "give a bound above 0, or null for none"


def gradient_clip_algorithm(options: Options, command: str) -> str | None:
    """Require "norm" or "value", together with a bound."""
    value = options["gradient_clip_algorithm"]
    if value is None:
        return None
    if value not in ("norm", "value"):
        return "give norm or value"
    return None if options["gradient_clip_val"] else "nothing is clipped without gradient_clip_val: give that too"


def precision(options: Options, command: str) -> str | None:
    """Require weights of 32 bits."""
    value = str(options["precision"])
    return NOT_FLOAT32 if value.startswith(("64", "transformer")) or value in ("16-true", "bf16-true") else None


def accelerator(options: Options, command: str) -> str | None:
    """Require a CPU or a GPU."""
    value = options["accelerator"]
    return None if not isinstance(value, str) or value in ACCELERATORS else f"give one of {', '.join(ACCELERATORS)}"


def devices(options: Options, command: str) -> str | None:
    """Require a number, a list or "auto"; on the CPU, a number of processes."""
    value = options["devices"]
    if value == "auto":
        return None
    count = int(value) if isinstance(value, str) and value.removeprefix("-").isdecimal() else value
    if isinstance(count, bool) or count in (0, []):
        return "give the number of devices, a list of them, or auto"
    if options["accelerator"] == "cpu" and not (isinstance(count, int) and count > 0):
        return "on the CPU it is a number of processes: give a whole number from 1"
    return None


def strategy(options: Options, command: str) -> str | None:
    """Require processes that run the command again or are forked."""
    value = options["strategy"]
    name = value if isinstance(value, str) else str((value.get("init_args") or {}).get("start_method"))
    if "spawn" in name:
        return "objects of the recipe cannot be passed to spawned processes: use ddp"
    return f"{NO_XLA}: use auto or ddp" if "xla" in name or "tpu" in name else None


def barebones(options: Options, command: str) -> str | None:
    """Refuse barebones, which disables all logs."""
    return "it disables the logs, checkpoints and scores of a run: remove it" if options["barebones"] else None


def profiler(options: Options, command: str) -> str | None:
    """Require a profiler for CPUs and GPUs."""
    return f"{NO_XLA}: use simple, advanced or pytorch" if options["profiler"] == "xla" else None


def plugins(options: Options, command: str) -> str | None:
    """Refuse another writer of checkpoints."""
    value = options["plugins"]
    classes = [str(plugin["class_path"]) for plugin in (value if isinstance(value, list) else [value]) if plugin]
    if any("CheckpointIO" in name for name in classes):
        return "seglight writes checkpoints itself, to a temporary file that is renamed: remove the CheckpointIO"
    return None


def default_root_dir(options: Options, command: str) -> str | None:
    """Refuse default_root_dir in favour of --run_dir."""
    return None if options["default_root_dir"] is None else "all files of a run go to one folder: use --run_dir"


def model_registry(options: Options, command: str) -> str | None:
    """Refuse model_registry: nothing is uploaded."""
    unused = options["model_registry"] is None
    return None if unused else "no model is uploaded or downloaded: remove it, and see `seglight release`"


def fast_dev_run(options: Options, command: str) -> str | None:
    """Require a number of batches, true or false."""
    return None if options["fast_dev_run"] >= 0 else "give true, false or a number of batches"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _is_share(value: Any) -> bool:
    """Whether a value is a whole number from 0, or a share in [0, 1]."""
    return _is_number(value) and (0 <= value <= 1 or (1 < value < math.inf and value == int(value)))


def _seconds(value: Any) -> float | None:
    """Seconds of DD:HH:MM:SS, of a timedelta or of its keywords; None for other values."""
    try:
        if isinstance(value, str):
            value = dict(zip(("days", "hours", "minutes", "seconds"), map(int, value.split(":")), strict=True))
        return (value if isinstance(value, timedelta) else timedelta(**value)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
