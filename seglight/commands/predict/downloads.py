"""Copies of remote inputs on this machine's disk, for as long as they are needed."""

import itertools
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from seglight.commands.predict.inputs import Source
from seglight.commands.predict.outputs import of_temporary_files
from seglight.system.lookahead import in_order
from seglight.system.remote import RemoteFile, Storage
from seglight.system.remote_errors import StorageError

R = TypeVar("R")

THREADS = 8
"""Number of downloads at a time: a small one is a matter of waiting."""

AHEAD = 16
"""Number of inputs that are looked up and downloaded before they are needed, at most."""

AHEAD_BYTES = 1 << 30
"""Bytes of them at most, unless a single one is larger."""


class Copy:
    """A file that is removed with the last reference to this object.

    Args:
        path: Path of the file.
    """

    def __init__(self, path: Path) -> None:
        weakref.finalize(self, path.unlink, missing_ok=True)


class Downloads:
    """Threads that download inputs, and the folder of the copies; used in a `with` block."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS)
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._storages: dict[str, Storage] = {}
        self._numbers = itertools.count(1)

    def __enter__(self) -> "Downloads":
        """Begin to use them."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what is under way, and remove the copies."""
        for storage in self._storages.values():
            storage.interrupt()
        self._pool.shutdown(cancel_futures=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def each(self, function: Callable[[Source], R], sources: Iterable[Source]) -> Iterator[R]:
        """Yield the results of a function for sources in order; it is called in threads for those that come next.

        Args:
            function: Function that looks a source up and may `fetch` it.
            sources: Sources in the order of the results.
        """
        return in_order(self._pool, function, sources, AHEAD, _size, AHEAD_BYTES)

    def fetch(self, source: Source) -> Source:
        """The same source with a copy of its file on this disk, unless it is a file of this machine.

        Raises:
            UserError: The object is gone, or the storage does not answer.
            StorageError: The storage does not answer at all, or the disk is full.
        """
        if source.remote is None or source.copy is not None:
            return source
        try:
            return self._copied(source, source.remote)
        except OSError as error:
            raise StorageError(of_temporary_files(error)) from error

    def _copied(self, source: Source, file: RemoteFile) -> Source:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="seglight-"))
            scheme = file.url.partition("://")[0]
            if scheme not in self._storages:
                self._storages[scheme] = Storage(file.url)
            path = self._folder / f"{next(self._numbers):08}{source.path.suffix}"
        copy = Copy(path)
        self._storages[scheme].download(file, path)
        return source._replace(path=path, copy=copy)


def _size(source: Source) -> int:
    return 0 if source.remote is None else source.remote.size
