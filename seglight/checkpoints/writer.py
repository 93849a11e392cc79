"""Checkpoint files, written to a temporary file in a thread, synced and renamed."""

import io
import threading
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from seglight.errors import say
from seglight.system.atomic import atomic_write
from seglight.system.run_files import LAST, PREVIOUS


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's plugin that writes checkpoints, one at a time.

    The checkpoint is serialised into memory, so that training can continue while a thread writes it to disk. If it
    can't be written, as on a full disk, no partial file remains, earlier files stay as they were, a line reports it,
    and training continues.

    Attributes:
        error: Error of the last file that could not be written; None: it was written.
    """

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.thread: threading.Thread | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Serialise a checkpoint and start writing it, after the previous one is written."""
        self.wait()
        content = io.BytesIO()
        torch.save(checkpoint, content)
        self.thread = threading.Thread(target=self._write, args=(content, Path(path)))
        self.thread.start()

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Do what Lightning's plugin does, after everything is written."""
        self.wait()
        return super().load_checkpoint(path, *args, **kwargs)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Do what Lightning's plugin does, after everything is written."""
        self.wait()
        super().remove_checkpoint(path)

    def wait(self) -> None:
        """Wait until nothing is being written."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None

    def teardown(self) -> None:
        """Wait for the last file; called by Lightning at the end."""
        self.wait()

    def _write(self, content: io.BytesIO, path: Path) -> None:
        try:
            write_checkpoint(content, path)
            self.error = None
        except OSError as error:
            self.error = error
            say(f"{path} could not be written ({error.strerror}): the files before it are as they were")


def write_checkpoint(content: io.BytesIO, path: Path) -> None:
    """Write a checkpoint atomically and bring it to the disk; the previous `last.ckpt` is kept.

    Raises:
        OSError: It could not be written; no part of it is left.
    """
    atomic_write(path, content.getbuffer(), sync=True, previous=path.with_name(PREVIOUS) if path.name == LAST else None)
