"""Run commands on damaged and hostile files, each in a process that is watched.

    python -m tests.fuzz.sandbox SEED COUNT [FIRST] [--processes N]

A line of JSON for each case that ended in anything but a one-line error or a right answer, one for each hundred that a
process has done, and at the end how many ended how; exit code 1 if one ended badly. A case is made of the seed and its
number alone: a campaign that was stopped resumes at FIRST, and a case is repeated by COUNT 1.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import seglight.commands.doctor.command
import seglight.commands.fit.cli
import seglight.commands.predict.command
import seglight.commands.summary
import seglight.commands.sweep.dry_run  # noqa: F401  # here once, not in each process
from seglight.__main__ import main
from tests.fuzz.cases import Case, Cases

SECONDS, WAIT = 30, 300
"""Of a processor that a case may take, a tenth of which it takes, and by the clock."""

MEMORY = 3 * 2**30
"""Bytes that a case may take beside what the process has at its start."""

WRITES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate")
RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn")
HARMLESS = (["git"], ["uname"], [sys.executable, "-c", "import sys, json; print(json.dumps(sys.path))"])
"""Beginnings of commands by which a run notes its commit and machine, and jsonargparse looks for stubs of types."""

TALKS = ("socket.connect", "socket.bind", "socket.getaddrinfo")

ANSWER, MESSAGE, BAD = "answered", "refused in a line", "ended badly"
"""How cases end."""


def watch(out: Path, seen: list[str]) -> None:
    """Note, from now on, whatever is run, asked of the network, or written outside `out`."""

    def hook(event: str, args: Any) -> None:
        if event in RUNS or event in TALKS:
            if not (event == "subprocess.Popen" and any(args[1][: len(one)] == one for one in HARMLESS)):
                seen.append(f"{event} {args}")
        elif event in WRITES or (event == "open" and _writes(args[1], args[2])):
            place = Path(os.fsdecode(args[0])) if isinstance(args[0], str | bytes | os.PathLike) else Path(os.devnull)
            nameless = event == "open" and place.is_dir()  # a temporary file, which shows that one can be written
            if not nameless and place != Path(os.devnull) and not place.resolve().is_relative_to(out):
                seen.append(f"{event} {args}")

    sys.addaudithook(hook)


def _writes(mode: str | None, flags: int) -> bool:
    return any(letter in mode for letter in "wax+") if mode else bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def files_below(folder: Path) -> dict[str, int]:
    """Every file below a folder, and when it was written."""
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


def run(case: Case, folder: Path) -> tuple[str, list[str]]:
    """Run the command; gives how it ended, and what is wrong with it."""
    out, seen = folder / "out", list[str]()
    before = files_below(folder)
    os.chdir(folder)
    watch(out, seen)
    code: object
    try:
        code = main(case.words(out))
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
        found += case.wrong(out)
    elif code not in (1, 2) or not ours or "Warning: " in told:  # libpng, libtiff and OpenCV write lines of their own
        found.append(f"exit code {code}, {len(ours)} lines of ours")
    if [path for path in out.rglob("*") if ".part" in path.name]:
        found.append("a part of a file is left")
    return ANSWER if code == 0 else MESSAGE, found


def in_child(case: Case, folder: Path) -> tuple[str, list[str]]:
    """Run a case in a process of its own, with a limit of time and of memory; gives the same."""
    verdict, told = folder.with_suffix(".verdict"), folder.with_suffix(".told")
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        file = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        streams = [open(n, "w", buffering=1, errors=sys.stderr.errors, closefd=False) for n in (1, 2)]  # noqa: SIM115
        sys.stdout, sys.stderr = streams  # under pytest, they are not those of the process
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in (signal.SIGALRM, signal.SIGPROF):  # pytest has handlers of its own
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(WAIT)
        answer = os.open(verdict, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            ended = run(case, folder)
        except BaseException as error:
            ended = (BAD, [f"the test itself: {error!r}"])
        os.write(answer, json.dumps(ended).encode())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        what = signal.Signals(os.WTERMSIG(status)).name
        hangs = {"SIGPROF": f"hangs: more than {SECONDS} s", "SIGALRM": f"waits: more than {WAIT} s"}
        outcome, found = BAD, [hangs.get(what, f"crashes: {what}")]
    else:
        outcome, found = json.loads(verdict.read_text())
    if found:
        outcome = BAD
        found += [f"{time.monotonic() - start:.1f} s", told.read_text(errors="replace")[-600:]]
    return outcome, found


def campaign(cases: Cases, root: Path, seed: int, numbers: Iterator[int]) -> Counter[str]:
    """Run cases, and print those that ended badly; gives how many ended how."""
    outcomes: Counter[str] = Counter()
    root.mkdir()
    for number in numbers:
        folder = root / "case"
        folder.mkdir()
        case = cases.case(seed, number, folder)
        outcome, found = in_child(case, folder)
        outcomes[outcome] += 1
        if found:
            _print({"number": number, "case": case.name, "found": found})
        if outcomes.total() % 100 == 0:
            _print({"up to": number, "by this process": dict(outcomes)})
        shutil.rmtree(folder)
    return outcomes


def _print(content: dict[str, Any]) -> None:
    os.write(1, (json.dumps(content) + "\n").encode())  # whole lines, of several processes too


def in_processes(seed: int, count: int, first: int, processes: int) -> Counter[str]:
    """Share cases out among processes; gives how many ended how."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve()
        cases = Cases(root)
        children = []
        for worker in range(processes):
            child = os.fork()
            if child == 0:
                try:
                    own = campaign(
                        cases, root / str(worker), seed, iter(range(first + worker, first + count, processes))
                    )
                    (root / f"{worker}.json").write_text(json.dumps(own))
                    os._exit(0)
                except BaseException:
                    traceback.print_exc()
                os._exit(1)
            children.append(child)
        statuses = [os.waitpid(child, 0)[1] for child in children]
        if any(statuses):
            sys.exit("a process ended before its cases did")
        for worker in range(processes):
            outcomes.update(json.loads((root / f"{worker}.json").read_text()))
    return outcomes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.sandbox", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    sys.dont_write_bytecode = True
    ended = in_processes(options.seed, options.count, options.first, options.processes)
    shares = ", ".join(f"{ended[outcome]} {outcome}" for outcome in (ANSWER, MESSAGE, BAD))
    sys.stdout.write(f"{ended.total()} cases from {options.first} of seed {options.seed}: {shares}\n")
    sys.exit(bool(ended[BAD]))
