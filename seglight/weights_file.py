"""Files that torch.save wrote, read without running anything that stands in them."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from seglight.errors import UserError


def read_weights_only(path: str | Path) -> Any:
    """What stands in a file, its tensors on the CPU.

    Raises:
        UserError: It holds more than weights, or is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused, no checkpoint or one with more than weights in it: only what loads weights-only is read"
        ) from error
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not readable as a checkpoint, it is cut off or damaged: take another") from error
