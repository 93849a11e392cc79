"""`--early_stopping val/miou:5`: Lightning's EarlyStopping in a few letters."""

import re

from lightning.pytorch.callbacks import EarlyStopping

from seglight.errors import UserError, say

LARGER_IS_BETTER = re.compile(r"(^|/)(miou|acc|iou)(/|$)")
SMALLER_IS_BETTER = re.compile(r"loss|error")


def early_stopping(text: str) -> EarlyStopping:
    """The callback that stops a run when a score has not improved in a number of validations.

    Args:
        text: Monitor and patience, such as "val/miou:5". The mode follows from the monitor: accuracies and IoUs are
            better the larger they are, losses the smaller they are.

    Raises:
        UserError: The text is malformed.
    """
    monitor, colon, patience = text.rpartition(":")
    if not colon or not monitor or not patience.isdecimal():
        raise UserError(f"--early_stopping {text}: give a monitor and a number of validations, such as val/miou:5")
    smaller = SMALLER_IS_BETTER.search(monitor) is not None
    if not smaller and not LARGER_IS_BETTER.search(monitor):
        say(f"--early_stopping {text}: {monitor} is taken for a score that is better the larger it is")
    return EarlyStopping(monitor, patience=int(patience), mode="min" if smaller else "max")
