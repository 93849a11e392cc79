"""Where a run stands, as Lightning's loops keep it in a checkpoint."""

from typing import Any, TypedDict

from lightning.pytorch import Trainer

from seglight.training.lightning_internals import logged_steps, write_logged_steps

Counts = dict[str, dict[str, Any]]
"""What a progress of Lightning's loops counts, in all (`total`) and since it was reset (`current`)."""


class Position(TypedDict):
    """A place between two batches, where no gradient is under way.

    Attributes:
        epoch: Finished epochs.
        batches: Batches of this epoch that each process is done with.
        samples: The same, in samples of all processes.
        evaluated: Batches of the evaluation that is under way, or None.
        logged: Optimizer steps as loggers count them.
    """

    epoch: int
    batches: int
    samples: int
    evaluated: int | None
    logged: int


def position_of(trainer: Trainer, batch_size: int, evaluated: int | None) -> Position:
    """Of a run before a batch of training or evaluation, or at its end."""
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


def place(loops: dict[str, Any], position: Position) -> None:
    """Write a position into the state of Lightning's fit loop, so that it goes on there.

    Lightning guesses from its counters where it was interrupted: within an epoch with the last batch done, or with one
    batch of the evaluation begun and not finished. What is written here has but these two meanings.
    """
    fill(loops["epoch_progress"], "total", position["epoch"], begun=1)
    fill(loops["epoch_progress"], "current", position["epoch"], begun=1)
    train = loops["epoch_loop.batch_progress"]
    fill(train, "total", train["total"]["completed"])
    fill(train, "current", position["batches"])
    train["is_last_batch"] = train["is_last_batch"] and position["evaluated"] is not None
    evaluation = loops["epoch_loop.val_loop.batch_progress"]
    fill(evaluation, "total", evaluation["total"]["completed"], begun=int(position["evaluated"] is not None))
    fill(evaluation, "current", position["evaluated"] or 0)
    write_logged_steps(loops, position["logged"])


def fill(progress: Counts, kind: str, done: int, begun: int = 0) -> None:
    """Set a progress to so many done, and so many begun beyond them."""
    progress[kind] |= {"ready": done + begun, "started": done + begun, "processed": done, "completed": done}


def moved(position: Position, samples: int, step_samples: int, batches: int) -> Position:
    """The position for another number of samples a step; an evaluation under way starts again.

    Args:
        position: As it was saved.
        samples: Of the training split.
        step_samples: Samples a step of all processes, as it is now.
        batches: Of an epoch, for each process, as it is now.
    """
    left = (samples - position["samples"]) // step_samples
    begun = None if position["evaluated"] is None and left else 0
    return {**position, "batches": max(0, batches - left), "evaluated": begun}
