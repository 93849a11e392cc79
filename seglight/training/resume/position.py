"""The position of a run, as Lightning's loops store it in a checkpoint."""

from typing import Any, TypedDict

from lightning.pytorch import Trainer

from seglight.training.lightning_internals import logged_steps, write_logged_steps

Counts = dict[str, dict[str, Any]]
"""Counters of one of Lightning's loops: since the start (`total`) and since the last reset (`current`)."""


class Position(TypedDict):
    """A position between two batches, with no gradient accumulated.

    Attributes:
        epoch: Number of finished epochs.
        batches: Number of batches of this epoch that each process has finished.
        samples: Number of samples of this epoch that all processes have finished.
        evaluated: Number of finished batches of the current evaluation, or None outside of one.
        logged: Number of optimizer steps as loggers count them.
    """

    epoch: int
    batches: int
    samples: int
    evaluated: int | None
    logged: int


def position_of(trainer: Trainer, batch_size: int, evaluated: int | None) -> Position:
    """Read the position of a run before a batch of training or evaluation, or at its end.

    Args:
        trainer: Trainer of the run.
        batch_size: Samples of a batch of one process.
        evaluated: Number of finished batches of the current evaluation, or None outside of one.
    """
    loop: Any = trainer.fit_loop
    epoch, batches = loop.epoch_progress.current.processed, loop.epoch_loop.batch_progress.current.completed
    if epoch == loop.epoch_progress.current.ready:  # at the end of the run, whose last epoch may be cut off
        whole = batches >= trainer.num_training_batches
        epoch, batches = (epoch, 0) if whole else (epoch - 1, batches)
    return {
        "epoch": epoch,
        "batches": batches,
        "samples": batches * batch_size * trainer.world_size,
        "evaluated": evaluated,
        "logged": logged_steps(trainer),
    }


def write_position(loops: dict[str, Any], position: Position) -> None:
    """Write a position into the state of Lightning's fit loop, which then continues there.

    Lightning infers from its counters where it was interrupted: within an epoch after its last finished batch, or with
    one batch of the evaluation started and not finished. The counters written here have only these two meanings.

    Args:
        loops: State of the fit loop in a checkpoint; it is changed.
        position: Position to continue at.
    """
    set_counters(loops["epoch_progress"], "total", position["epoch"], begun=1)
    set_counters(loops["epoch_progress"], "current", position["epoch"], begun=1)
    train = loops["epoch_loop.batch_progress"]
    set_counters(train, "total", train["total"]["completed"])
    set_counters(train, "current", position["batches"])
    train["is_last_batch"] = train["is_last_batch"] and position["evaluated"] is not None
    evaluation = loops["epoch_loop.val_loop.batch_progress"]
    set_counters(evaluation, "total", evaluation["total"]["completed"], begun=int(position["evaluated"] is not None))
    set_counters(evaluation, "current", position["evaluated"] or 0)
    write_logged_steps(loops, position["logged"])


def set_counters(progress: Counts, kind: str, done: int, begun: int = 0) -> None:
    """Set the counters of a loop.

    Args:
        progress: Counters; they are changed.
        kind: "total" or "current".
        done: Number of finished items.
        begun: Number of items that were started and not finished.
    """
    progress[kind] |= {"ready": done + begun, "started": done + begun, "processed": done, "completed": done}


def rescaled_position(position: Position, samples: int, step_samples: int, batches: int) -> Position:
    """Convert a position to another number of samples a step; a started evaluation starts again.

    Args:
        position: Position that was saved.
        samples: Samples of the training split.
        step_samples: Samples of a step of all processes, at present.
        batches: Batches of an epoch of each process, at present.
    """
    left = (samples - position["samples"]) // step_samples
    begun = None if position["evaluated"] is None and left else 0
    return {**position, "batches": max(0, batches - left), "evaluated": begun}
