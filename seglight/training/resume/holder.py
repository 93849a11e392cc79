"""The holder of a folder's lock: the description that a process writes to the lock file, and whether it is alive."""

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
    """Description of a process in the lock file.

    Args:
        host: Name of the machine.
        kernel: Identifier of a boot of the machine.
        space: Identifier of the namespace of `pid`; a container has its own.
        pid: Process id.
        started: Clock ticks from boot to the start of the process, as in /proc; None without /proc.
        since: Time at which the process took the lock, to the second, with the time zone.
        command: Command line.
        job: Identifier of the processes that torchrun or Slurm started together; "" without them.
        stopping: Whether the process was asked to stop and is saving.
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
        """Describe this process."""
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
    """Read the holder from an open file; None if it is empty or only partly written."""
    try:
        content: Any = json.loads(os.pread(number, 2**16, 0))
        return Holder(**content)
    except (OSError, ValueError, TypeError):
        return None


def write_holder(number: int, holder: Holder) -> None:
    """Replace the content of an open file.

    Raises:
        OSError: The file can't be written.
    """
    text = json.dumps(asdict(holder)).encode()
    os.pwrite(number, text, 0)
    os.ftruncate(number, len(text))
    os.fsync(number)


def is_alive(former: Holder) -> bool:
    """Whether a process of this machine runs and is still the same one: process ids are reused."""
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
    """Clock ticks from boot to the start of a process; None if there is none, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # its name may contain anything
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def _kernel() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:  # only Linux has it
        return platform.node()


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
