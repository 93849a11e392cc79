"""Checkpoint files: written beside in a thread, synced and renamed; damage is noticed by checksum."""

import io
import os
import threading
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from seglight.errors import say

LAST, PREVIOUS = "last.ckpt", "last.previous.ckpt"
"""The newest exact checkpoint of a run and the one before it."""


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's plugin that writes checkpoints, one at a time.

    The checkpoint is serialised at once, into memory, so that training may go on; a thread brings it to the disk. What
    can't be written (a full disk) leaves no part of a file behind and the files that were there as they were; it is
    said in a line, and training goes on.

    Attributes:
        error: Why the last file could not be written, or None.
    """

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.thread: threading.Thread | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Serialise, and begin to write; waits for the file before."""
        self.wait()
        content = io.BytesIO()
        torch.save(checkpoint, content)
        self.thread = threading.Thread(target=self._write, args=(content, Path(path)))
        self.thread.start()

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As Lightning's, when all is written."""
        self.wait()
        return super().load_checkpoint(path, *args, **kwargs)

    def remove_checkpoint(self, path: str | Path) -> None:
        """As Lightning's, when all is written."""
        self.wait()
        super().remove_checkpoint(path)

    def wait(self) -> None:
        """Until nothing is being written."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None

    def teardown(self) -> None:
        """Called by Lightning at the end."""
        self.wait()

    def _write(self, content: io.BytesIO, path: Path) -> None:
        try:
            write_checkpoint(content, path)
            self.error = None
        except OSError as error:
            self.error = error
            say(f"{path} could not be written ({error.strerror}): the files before it are as they were")


def write_checkpoint(content: io.BytesIO, path: Path) -> None:
    """Write beside, sync and rename; of `last.ckpt` the one before is kept.

    Raises:
        OSError: It could not be written; no part of it is left.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        part.unlink(missing_ok=True)
        raise
    if path.name == LAST and path.exists():
        path.replace(path.with_name(PREVIOUS))
    part.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # a rename is on the disk when its folder is
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
