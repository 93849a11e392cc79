"""Files written beside and renamed: complete or not at all, whoever else writes them at the same time."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from seglight.system.atomic import LONGEST_NAME, atomic_folder, atomic_path, atomic_write, remove_parts

FILE = """
import sys
from pathlib import Path
from seglight.system.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as part:
    part.write_bytes(b"theirs")
    print("half", flush=True)
    sys.stdin.readline()
"""

FOLDER = """
import sys
from pathlib import Path
from seglight.system.atomic import atomic_folder
with atomic_folder(Path(sys.argv[1])) as part:
    (part / "one").write_bytes(b"theirs")
    print("half", flush=True)
    sys.stdin.readline()
"""


def half_done(script: str, path: Path) -> subprocess.Popen[str]:
    """A process that has written the half, and the rest once it's given a line."""
    command = [sys.executable, "-c", script, str(path)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    return process


def test_two_processes_write_the_same_file(tmp_path: Path) -> None:
    """Each renames what is its own: the last one's stays."""
    path = tmp_path / "scores.000.npz"
    with half_done(FILE, path) as process:
        with atomic_path(path) as part:
            part.write_bytes(b"ours, and more of it")
        assert path.read_bytes() == b"ours, and more of it"
        _, said = process.communicate("go on\n")
    assert (process.returncode, said) == (0, "")
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == [path.name]


def test_two_processes_write_the_same_folder(tmp_path: Path) -> None:
    """One of them fails, and takes nothing of the other away."""
    path = tmp_path / "net"
    with half_done(FOLDER, path) as process:
        with suppress(KeyError), atomic_folder(path) as part:
            (part / "two").write_bytes(b"ours")
            raise KeyError("no")
        _, said = process.communicate("go on\n")
    assert (process.returncode, said) == (0, "")
    assert (path / "one").read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["net"]
    assert os.listdir(path) == ["one"]


def in_a_fork(work: Callable[[], None]) -> None:
    """A process that has seen no folder yet, as every command is one."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(("script", "writes"), [(FILE, atomic_path), (FOLDER, atomic_folder)])
def test_what_killed_processes_left_is_cleared(
    script: str, writes: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path
) -> None:
    """And nothing else: neither what a process writes that runs, nor what is another machine's, nor files of people."""
    theirs = [f".other.{'0' * 8}-{2**22 + 1}.part.png", ".mine.part.png", "mine.part"]
    for name in theirs:
        (tmp_path / name).write_bytes(b"")
    with half_done(script, tmp_path / "killed.png") as killed, half_done(script, tmp_path / "running.png") as running:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert len(os.listdir(tmp_path)) == len(theirs) + 2

        def write() -> None:
            with atomic_path(tmp_path / "new.png") as part:
                part.write_bytes(b"")

        in_a_fork(write)
        left = set(os.listdir(tmp_path)) - {*theirs, "new.png"}
        assert len(left) == 1
        assert left.pop().startswith(".running.")
        _, said = running.communicate("go on\n")
    assert (running.returncode, said) == (0, "")
    assert sorted(os.listdir(tmp_path)) == sorted([*theirs, "new.png", "running.png"])


@pytest.mark.parametrize("letters", [LONGEST_NAME - 20, LONGEST_NAME - 4])
def test_the_longest_names(letters: int, tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * letters}.png"
    with atomic_path(path) as part:
        part.write_bytes(b"1")
        assert part.suffix == ".png"
    with atomic_folder(tmp_path / ("b" * letters)) as part:
        (part / "one").write_bytes(b"1")
    assert sorted(os.listdir(tmp_path)) == [path.name, "b" * letters]


@pytest.mark.parametrize("content", ["caf\u00e9\n", b"\x00\xff", memoryview(b"bytes")])
def test_atomic_write(content: str | bytes | memoryview, tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for _ in range(2):
        atomic_write(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else bytes(content))
    assert os.listdir(path.parent) == ["file"]


def test_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the folder, which holds the name; nothing is synced where nobody asks."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(number: int) -> None:
        events.append(f"sync {Path(os.readlink(f'/proc/self/fd/{number}')).suffix or 'folder'}")
        fsync(number)

    def replaced(self: Path, target: Path) -> Path:
        events.append(f"rename to {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    path = tmp_path / "folder" / "a.txt"
    atomic_write(path, "1")
    atomic_write(path, "2", sync=True, previous=path.with_name("b.txt"))
    assert events == ["rename to a.txt", "sync .txt", "rename to b.txt", "rename to a.txt", "sync folder"]
    assert (path.read_text("utf-8"), path.with_name("b.txt").read_text("utf-8")) == ("2", "1")


def test_a_failed_sync_leaves_the_former_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, previous = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"second")
    previous.write_bytes(b"first")

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic_write(path, b"third", sync=True, previous=previous)
    assert (path.read_bytes(), previous.read_bytes()) == (b"second", b"first")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_parts_of_any_process_are_removed_on_request(tmp_path: Path) -> None:
    """Of other machines, and under the names that earlier versions gave them."""
    for name in (f".last.{'0' * 8}-1.part.ckpt", "last.ckpt.part", "a.part.png", "last.ckpt", "apart"):
        (tmp_path / name).write_bytes(b"")
    remove_parts(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["apart", "last.ckpt"]
