"""Files of torch.save, read without running any code that they contain."""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from seglight.errors import UserError


def read_weights_only(path: str | Path) -> Any:
    """Read the content of a file, its tensors on the CPU.

    Raises:
        UserError: The file holds more than weights, or is damaged.
    """
    unreadable = UserError(f"{path}: not readable as a checkpoint, it is cut off or damaged: take another")
    if zipfile.is_zipfile(path) and not is_whole(Path(path)):
        raise unreadable
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of other programs: an error follows if they are unsafe
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused, no checkpoint or one with more than weights in it: only what loads weights-only is read"
        ) from error
    except Exception as error:  # torch checks little of what it reads: damage raises errors of any type
        raise unreadable from error


def is_whole(path: Path) -> bool:
    """Whether all entries of a file of torch.save fit their checksums, which torch.load does not check.

    Torch compresses nothing: a compressed entry can only have been added to fill the memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
            return stored and archive.testzip() is None
    except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, RuntimeError):
        return False  # so damaged that the entries can't be listed
