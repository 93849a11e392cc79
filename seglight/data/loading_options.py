"""Checks that data modules share: batch sizes, loader processes, the seed, and the trainer's limits."""

import math

from lightning.pytorch import Trainer

from seglight.errors import UserError

MOST_WORKERS = 1024
"""Largest number of loader processes: more are a typing error, and would be started until the machine gives up."""


def check_loading(num_workers: int, seed: int, **batch_sizes: int) -> None:
    """Check the options of a loader.

    Args:
        num_workers: Number of loader processes.
        seed: Seed of order and augmentation.
        batch_sizes: Batch sizes by the names of their options.

    Raises:
        UserError: A value is out of range.
    """
    for name, size in batch_sizes.items():
        if size < 1:
            raise UserError(f"data.{name} {size}: give a whole number from 1")
    if not 0 <= num_workers <= MOST_WORKERS:
        raise UserError(f"data.num_workers {num_workers}: give a whole number from 0 to {MOST_WORKERS}")
    if not 0 <= seed < 2**32:
        raise UserError(f"the data's seed {seed}: give a whole number from 0 to {2**32 - 1}")


def check_batches(trainer: Trainer, name: str, batches: int) -> None:
    """Check that a limit leaves at least one batch of a split, and that a validation takes place within an epoch.

    Args:
        trainer: Trainer with its limits.
        name: "train", "val" or "test".
        batches: Number of batches of the whole split, for each process.

    Raises:
        UserError: There would be no batch, or no validation.
    """
    limits = {
        "train": trainer.limit_train_batches,
        "val": trainer.limit_val_batches,
        "test": trainer.limit_test_batches,
    }
    limit = limits[name]
    overfits = trainer.overfit_batches > 0 and name != "test"  # type: ignore[attr-defined]
    key = "overfit_batches" if overfits else f"limit_{name}_batches"
    if isinstance(limit, float) and limit > 0 and limit * batches < 1:
        raise UserError(
            f"trainer.{key} {limit}: less than one of the {batches} batches of the {name} split: "
            f"give a whole number of batches, or a share from {math.ceil(1000 / batches) / 1000}"
        )
    each = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    every = vars(trainer).get("val_check_interval")  # unset if validations go by time
    if name == "train" and trainer.check_val_every_n_epoch and isinstance(every, int) and every > each:
        raise UserError(
            f"trainer.val_check_interval {every}: an epoch has {each} batches: lower it, or count batches over epochs "
            "with trainer.check_val_every_n_epoch null"
        )
