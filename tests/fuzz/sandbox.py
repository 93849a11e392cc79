"""Run commands on damaged and hostile files, each in a process that is watched.

    python -m tests.fuzz.sandbox SEED COUNT [FIRST]

A line of JSON for each case that ended in anything but a one-line error or a right answer; exit code 1 if there is one.
"""

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import seglight.commands.predict  # noqa: F401  # here once, not in each process
from seglight.__main__ import main
from tests.fuzz.cases import Case, Cases, wrong

SECONDS = 30
"""That a case may take; on a quiet machine it takes a tenth of one."""

MEMORY = 3 * 2**30
"""Bytes that a case may take beside what the process has at its start."""

WRITES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate")
RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn")
TALKS = ("socket.connect", "socket.bind", "socket.getaddrinfo")


def watch(out: Path, seen: list[str]) -> None:
    """Note, from now on, whatever is run, asked of the network, or written outside `out`."""

    def hook(event: str, args: Any) -> None:
        if event in RUNS or event in TALKS:
            seen.append(f"{event} {args}")
        elif event in WRITES or (event == "open" and _writes(args[1], args[2])):
            place = Path(os.fsdecode(args[0])) if isinstance(args[0], str | bytes | os.PathLike) else Path(os.devnull)
            if place != Path(os.devnull) and not place.resolve().is_relative_to(out):
                seen.append(f"{event} {args}")

    sys.addaudithook(hook)


def _writes(mode: str | None, flags: int) -> bool:
    return any(letter in mode for letter in "wax+") if mode else bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def files_below(folder: Path) -> dict[str, int]:
    """Every file below a folder, and when it was written."""
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


def run(case: Case, folder: Path) -> list[str]:
    """Run the command; gives what is wrong with how it ended."""
    out, seen = folder / "out", list[str]()
    before = files_below(folder)
    os.chdir(folder)
    watch(out, seen)
    code: object
    try:
        code = main(["predict", str(case.model), str(case.image), "--out", str(out), "--device", "cpu"])
    except SystemExit as error:
        code = error.code
    except BaseException:  # as an uncaught one ends the process
        code = 1
        traceback.print_exc()
    found = list(seen)
    after = files_below(folder)
    found += [
        f"{path} written" for path in after if before.get(path) != after[path] and not Path(path).is_relative_to(out)
    ]
    found += [f"{path} gone" for path in before.keys() - after.keys()]
    sys.stderr.flush()
    told = Path("/proc/self/fd/2").resolve().read_text(errors="replace")
    ours = [line for line in told.splitlines() if line.startswith("seglight: ")]
    if "Traceback" in told:
        found.append(told.strip().splitlines()[-1])
    elif code == 0:
        found += wrong(case, out)
        if not list(out.rglob("*.png")):
            found.append("no error, and no label map")
    elif code not in (1, 2) or not ours or "Warning: " in told:  # libpng, libtiff and OpenCV write lines of their own
        found.append(f"exit code {code}, {len(ours)} lines of ours")
    if [path for path in out.rglob("*") if ".part" in path.name]:
        found.append("a part of a file is left")
    return found


def in_child(case: Case, folder: Path) -> list[str]:
    """Run a case in a process of its own, with a limit of time and of memory."""
    verdict, told = folder.with_suffix(".verdict"), folder.with_suffix(".told")
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        file = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # pytest has a handler of its own
        signal.alarm(SECONDS)
        answer = os.open(verdict, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            found = run(case, folder)
        except BaseException as error:
            found = [f"the test itself: {error!r}"]
        os.write(answer, json.dumps(found).encode())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        what = signal.Signals(os.WTERMSIG(status)).name
        found = [f"hangs: more than {SECONDS} s" if what == "SIGALRM" else f"crashes: {what}"]
    else:
        found = json.loads(verdict.read_text())
    if found:
        found += [f"{time.monotonic() - start:.1f} s", told.read_text(errors="replace")[-600:]]
    return found


def campaign(seed: int, count: int, first: int = 0) -> int:
    """Run cases; gives how many ended badly."""
    bad = 0
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve()
        cases = Cases(root)
        for number in range(first, first + count):
            folder = root / "case"
            folder.mkdir()
            case = cases.case(seed, number, folder)
            found = in_child(case, folder)
            if found:
                bad += 1
                sys.stdout.write(json.dumps({"number": number, "case": case.name, "found": found}) + "\n")
                sys.stdout.flush()
            shutil.rmtree(folder)
    return bad


if __name__ == "__main__":
    bad = campaign(*map(int, sys.argv[1:]))
    sys.stdout.write(f"{bad} of {sys.argv[2]} ended badly\n")
    sys.exit(bool(bad))
