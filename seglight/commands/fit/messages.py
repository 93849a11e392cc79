"""What Lightning and its libraries print during a command, and is not shown."""

import logging
import warnings
from typing import Any

from seglight.training import before_run

UNWANTED: dict[str, dict[str, Any]] = {
    ".*LeafSpec.*deprecated": {"module": "lightning"},  # theirs to fix
    # the state of best.ckpt had this key in earlier versions, and is found all the same
    ".* add the following callbacks: ..ModelCheckpoint.'monitor': 'val/miou'[^{]*$": {},
    "The number of training batches .* smaller than the logging interval": {},  # ShortRuns
    r"\s*Dump of a value that does not round-trip: a tuple": {},  # albumentations' ranges
    "Checkpoint directory .* exists and is not empty": {},  # when a run resumes
    "The `srun` command is available": {},  # said where it is wrong, and only there
}
"""Warnings of Lightning that are not shown: the beginning of their text, and options of the filter."""


def quiet_lightning() -> None:
    """Hide the messages that say nothing new to the user; what callbacks were asked to print is shown."""
    for name in ("lightning.pytorch", "lightning.fabric"):  # seeds, devices that are missing, advertisements
        logging.getLogger(name).setLevel(logging.WARNING)
    before_run.show_callback_messages()
    for message, options in UNWANTED.items():
        warnings.filterwarnings("ignore", message, **options)
