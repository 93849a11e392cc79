"""Who holds the lock of a folder: a process that describes itself in a file, and whether it is alive."""

import json
import os
import platform
import shlex
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

SHOWN = 300
"""Characters of a command that are shown."""


@dataclass(frozen=True)
class Holder:
    """A process, as it describes itself in the file.

    Args:
        host: Name of its machine.
        kernel: Identifies a boot of a machine.
        space: Identifies the process numbers that `pid` is one of, which containers have of their own.
        pid: Its number.
        started: Clock ticks from boot to its start, as in /proc; None where there is no /proc.
        since: Time at which it took the lock, to the second, with the time zone.
        command: Its command line.
        job: Identifies the processes that torchrun or Slurm started with it; "" where nobody did.
        stopping: Whether it was told to stop, and is saving.
    """

    host: str
    kernel: str
    space: str
    pid: int
    started: int | None
    since: str
    command: str
    job: str
    stopping: bool = False

    @classmethod
    def here(cls, job: str) -> "Holder":
        """This process."""
        command = shlex.join([Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]]) if sys.orig_argv else "python"
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        host = platform.node()
        return cls(host, _kernel(), _space(), os.getpid(), _started(os.getpid()), since, command, job)

    def __str__(self) -> str:
        command = self.command if len(self.command) <= SHOWN else f"{self.command[:SHOWN]}..."
        stopping = ", which is stopping" if self.stopping else ""
        told = f"`{command}` (pid {self.pid} on {self.host}, since {self.since}{stopping})"
        return "".join(letter if letter.isprintable() else "?" for letter in told)


def read_holder(number: int) -> Holder | None:
    """Who an opened file names; None where it is empty, or not written to its end yet."""
    try:
        content: Any = json.loads(os.pread(number, 2**16, 0))
        return Holder(**content)
    except (OSError, ValueError, TypeError):
        return None


def write_holder(number: int, holder: Holder) -> None:
    """Replace the content of an opened file.

    Raises:
        OSError: It can't be written.
    """
    text = json.dumps(asdict(holder)).encode()
    os.pwrite(number, text, 0)
    os.ftruncate(number, len(text))
    os.fsync(number)


def is_alive(former: Holder) -> bool:
    """Whether a process of this machine is there, and still the same one: numbers are given again."""
    if former.started is not None:
        return _started(former.pid) == former.started
    try:
        os.kill(former.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _started(pid: int) -> int | None:
    """Clock ticks from boot to a process's start; None where there is none, or a dead one whose parent did not ask."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # its name may hold anything
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def _kernel() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:  # Linux alone has it
        return platform.node()


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
