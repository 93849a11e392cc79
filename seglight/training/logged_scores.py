"""What an evaluation logs: one by one, or at once where the classes are many."""

from collections.abc import Mapping, Sequence

import torch
from lightning.pytorch import LightningModule

from seglight.ops.label_types import IGNORE_INDEX
from seglight.system.escaping import tag
from seglight.training.lightning_internals import give_values


def class_keys(split: str, class_names: Sequence[str]) -> list[str]:
    """The keys of the classes' IoU, such as `val/iou/road`."""
    return [f"{split}/iou/{tag(name)}" for name in class_names]


def log_scores(module: LightningModule, values: Mapping[str, float], by_class: Mapping[str, float]) -> None:
    """Log the scores of an evaluation; those of more than 255 classes not by `self.log`, and not in a sanity check.

    Args:
        module: Module at the end of an evaluation.
        values: Scores of the split by key, the same on all processes.
        by_class: Scores of the classes by key, the same on all processes.
    """
    if len(by_class) <= IGNORE_INDEX:
        values = {**values, **by_class}
    elif not module.trainer.sanity_checking:
        give_values(module.trainer, by_class)
    # every process has the same values and logs them: rank_zero_only keeps Lightning from reducing each
    module.log_dict({key: torch.tensor(value) for key, value in values.items()}, sync_dist=True, rank_zero_only=True)
