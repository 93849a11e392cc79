"""A lock on a folder: one process at a time writes there, and a second one reports which process holds the lock.

The lock is a POSIX record lock (fcntl) on `FOLDER/.lock`, in which its holder describes itself. The kernel releases it
when the holder ends, however it ends, and processes that the holder forks (loader workers) do not inherit it: after a
SIGKILL the next process takes over at once. The `filelock` package was considered; it uses flock(2), which forked
workers inherit and keep for seconds after their parent was killed, and it does not say who holds a lock.

What holds where:

- On one machine, on any file system, containers that share a kernel included: exactly one process gets the lock, and
  that of a holder that was killed is taken over at once.
- On several machines with a file system that shares record locks (NFS 4, NFS 3 with lockd, Lustre with `-o flock`,
  GPFS, CephFS): exactly one process gets it. The server drops the lock of a process that died at once, and that of a
  machine that crashed when its lease ends.
- On several machines whose mounts keep locks to themselves (NFS with `nolock` or `local_lock`, sshfs), or have none at
  all: the holder updates the file's time every ten seconds. This does not hold for two machines that start within the
  same second, nor for a holder that was suspended for more than a minute.

As no machine knows which of the two latter kinds a mount is, the lock of another machine, or of this one before it was
rebooted, is taken over only after a minute without an update, by the file server's clock. Whoever knows better may
delete the file.
"""

import errno
import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from seglight.errors import UserError, say
from seglight.training.resume.holder import Holder, is_alive, read_holder, write_holder

FILE = ".lock"
"""In the folder; it is removed when the holder ends by itself."""

BEAT, SILENT = 10.0, 60.0
"""Seconds between two updates of the file's time, and after how many without one another machine takes over."""

PATIENCE = 90.0
"""Seconds that a run which resumes waits for a process before it that is saving, or is on a machine that has died."""

GRACE = 10.0
"""Seconds that the kernel may take to clear a killed process away: one with much memory, or on a GPU, takes some."""

RETRIES = 100
"""Attempts to lock a file that others remove in the same moment."""

TAKEN = (errno.EAGAIN, errno.EACCES)
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""Why the kernel refuses a lock: another process has it, or the file system has no locks."""

_held: set[str] = set()
"""Real paths of the locks of this process: opening and closing a lock file again would release its lock."""


class FolderInUseError(UserError):
    """Another process holds the lock of a folder."""


class Refusal(NamedTuple):
    """Why a lock can't be taken.

    Args:
        holder: Description of the holder for messages.
        state: State of the holder: "may end" soon, because it was asked to stop, or because it is on another machine
            and may be dead; "is dying", because the kernel has not yet released everything of a killed process.
    """

    holder: str
    state: Literal["runs", "may end", "is dying"]


class FolderLock:
    """The lock of one folder.

    Args:
        folder: Folder to lock; created if it is missing, and removed on release if it is still empty.
        option: Option of the command that names the folder, for error messages.
        job: Identifier of the processes of the run, as in `Holder`.
        stopping: Function that returns whether this process was asked to stop; called twice a second.
    """

    def __init__(
        self, folder: Path, option: str = "--run_dir", job: str = "", stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self.folder = folder
        self.option = option
        self.stopping = stopping
        self.path = folder / FILE
        self.holder = Holder.here(job)
        self.made: list[Path] = []
        self.number: int | None = None
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def acquire(self, patience: float = 0.0) -> None:
        """Take the lock.

        Args:
            patience: Seconds to wait for a holder that may end soon; a line announces it.

        Raises:
            FolderInUseError: Another process holds the lock. Nothing was written.
            UserError: The folder can't be written to.
        """
        start, waits = time.monotonic(), False
        seconds = {"runs": 0.0, "may end": patience, "is dying": max(patience, GRACE)}
        try:
            while (refusal := self._try()) is not None:
                if time.monotonic() - start >= seconds[refusal.state]:
                    raise in_use(self.folder, refusal.holder, self.option)
                if refusal.state == "may end" and not waits:
                    say(f"{self.folder}: in use by {refusal.holder}: waiting up to {patience:.0f} s for it to end")
                    waits = True
                time.sleep(0.05)
        except OSError as error:
            self._remove_made()
            if error.errno == errno.ELOOP and self.path.is_symlink():  # what it points at would be written over
                raise UserError(f"{self.path}: a link, where a lock has to be a file of its own: remove it") from error
            raise UserError(
                f"{self.folder}: nothing can be written there ({error.strerror}): choose another {self.option}"
            ) from error
        self._thread.start()

    def release(self) -> None:
        """Remove the lock file, and the folders that were created for it and are still empty."""
        assert self.number is not None
        self._released.set()
        self._thread.join()
        if self._is_file(self.number):  # the folder may have been removed or renamed
            self.path.unlink()
        os.close(self.number)
        self.number = None
        _held.discard(self.real)
        self._remove_made()

    def _try(self) -> Refusal | None:
        """Try to take the lock; return why it can't be taken."""
        for _ in range(RETRIES):
            try:
                self._make_folder()
                if self.real in _held:
                    return Refusal("this process", "runs")
                number = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            except FileNotFoundError:  # whoever made the folder has just removed it
                continue
            try:
                refusal = self._take(number)
                if refusal is None and self._is_file(number):
                    self.number, number = number, -1
                    _held.add(self.real)
                    return None
            finally:
                if number >= 0:
                    os.close(number)
            if refusal is not None:
                return refusal
        return Refusal("processes that come and go", "may end")

    def _take(self, number: int) -> Refusal | None:
        """Lock the open file and describe this process in it."""
        kernel = True
        try:
            fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in TAKEN:
                return self._refusal(_introduced(number))
            if error.errno not in UNSUPPORTED:
                raise
            kernel = False
            say(f"{self.folder}: its file system has no locks: other runs are recognised by the lock file's time")
        former = read_holder(number)
        if former is not None and self._lives(former, number, kernel):
            return self._refusal(former)
        try:
            write_holder(number, self.holder)
        except OSError:
            self.path.unlink()
            raise
        if not kernel:
            time.sleep(1.0)  # of several that write at once, the last one holds the lock
            if (found := read_holder(number)) != self.holder:
                return self._refusal(found)
        return None

    def _refusal(self, holder: Holder | None) -> Refusal:
        if holder is None:
            return Refusal("another process", "runs")
        if holder.kernel != self.holder.kernel:
            return Refusal(str(holder), "may end")
        if holder.space == self.holder.space and not is_alive(holder):
            return Refusal(str(holder), "is dying")
        return Refusal(str(holder), "may end" if holder.stopping else "runs")

    def _lives(self, former: Holder, number: int, kernel: bool) -> bool:
        """Whether the holder named in a file is alive although the kernel shows no lock of it."""
        if former.kernel == self.holder.kernel and kernel:
            return False  # one kernel knows all of its locks
        if former.kernel == self.holder.kernel and former.space == self.holder.space:
            return former.pid != self.holder.pid and is_alive(former)
        with tempfile.TemporaryFile(dir=self.folder) as file:  # its time is by the file server's clock
            silence = os.fstat(file.fileno()).st_mtime - os.fstat(number).st_mtime
        if silence >= SILENT:
            say(f"{self.folder}: taken over from {former}, whose lock file was not updated for {silence:.0f} s")
        return silence < SILENT

    def _is_file(self, number: int) -> bool:
        """Whether the open file is still the one in the folder: its last holder may just have removed it."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(number))
        except FileNotFoundError:
            return False

    def _beat(self) -> None:
        """Update the time of the file, and write to it when this process was asked to stop."""
        number, last = self.number, time.monotonic()
        assert number is not None
        while not self._released.wait(0.5):
            try:
                if self.stopping() and not self.holder.stopping:
                    self.holder = replace(self.holder, stopping=True)
                    write_holder(number, self.holder)
                if time.monotonic() - last >= BEAT:
                    os.utime(number)
                    last = time.monotonic()
            except OSError as error:
                say(f"{self.path}: {error.strerror}: other machines may not notice that this run uses the folder")
                return

    def _make_folder(self) -> None:
        absent = [place for place in (self.folder, *self.folder.parents) if not os.path.lexists(place)]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.made = absent or self.made
        self.real = os.path.realpath(self.path)

    def _remove_made(self) -> None:
        for place in self.made:
            try:
                place.rmdir()
            except OSError:  # something was written to it, or another process uses it
                return


def _introduced(number: int) -> Holder | None:
    """Who has a lock: it is held for a moment before its holder describes itself."""
    for _ in range(20):
        holder = read_holder(number)
        if holder is not None:
            return holder
        time.sleep(0.05)
    return None


def in_use(folder: Path, holder: object, option: str) -> FolderInUseError:
    """Return the error that names the holder of a folder."""
    return FolderInUseError(f"{folder}: in use by {holder}: wait until it ends, or choose another {option}")


@contextmanager
def locked(
    folder: Path,
    option: str = "--run_dir",
    patience: float = 0.0,
    job: str = "",
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Hold the lock of a folder within the context; the arguments are those of `FolderLock` and `acquire`.

    Raises:
        UserError: As `FolderLock.acquire`.
    """
    lock = FolderLock(folder, option, job, stopping)
    lock.acquire(patience)
    try:
        yield
    finally:
        lock.release()


def wait_for_first(folder: Path, job: str, patience: float = 2 * PATIENCE) -> None:
    """Wait while a folder belongs to another job; the first process of this job waits for its lock.

    Args:
        folder: The run folder.
        job: Job of this process, which is not the first one.
        patience: Seconds to wait at most.

    Raises:
        FolderInUseError: The other job still holds the folder after that time.
    """
    deadline = time.monotonic() + patience
    while (holder := holder_of(folder)) is not None and holder.job != job:
        if time.monotonic() >= deadline:
            raise in_use(folder, holder, "--run_dir")
        time.sleep(0.2)


def holder_of(folder: Path) -> Holder | None:
    """Read the holder from the lock file of a folder, dead or alive; None without a file. Not for the holder itself."""
    try:
        number = os.open(folder / FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return read_holder(number)
    finally:
        os.close(number)
