"""The lock of a folder: processes that race for it, holders that are killed, and other machines.

Covers: training.resume.holder.
"""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from seglight.errors import UserError
from seglight.training.resume import lock
from seglight.training.resume.holder import Holder
from seglight.training.resume.lock import FILE, FolderInUseError, FolderLock, locked, wait_for_first
from tests.support import resumable
from tests.support.fabricate import folder as fabricated
from tests.support.resumable import differences, final, write_recipe


def fork(work: Callable[[], int]) -> int:
    """Do something in a process of its own; gives its id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def holding(folder: Path, then: Callable[[], None] = lambda: time.sleep(60)) -> int:
    """A process that has the lock when this returns."""

    def work() -> int:
        with locked(folder):
            (folder / "ready").touch()
            then()
        return 0

    child = fork(work)
    wait_for((folder / "ready").exists)
    return child


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def refused(folder: Path) -> str:
    with pytest.raises(FolderInUseError) as caught, locked(folder):
        pass
    return str(caught.value)


def foreign(folder: Path, age: float, **changes: Any) -> None:
    """Leave the file of a holder, this process but for some changes, that was last updated some seconds ago."""
    folder.mkdir(exist_ok=True)
    here = Holder.here("")
    content = {**vars(here), "command": "seglight fit", "host": "node7", "pid": 4711, **changes}
    (folder / FILE).write_text(json.dumps(content))
    then = time.time() - age
    os.utime(folder / FILE, (then, then))


def test_of_many_that_start_at_once_one_wins(tmp_path: Path) -> None:
    go = tmp_path / "go"

    def work() -> int:
        wait_for(go.exists)
        try:
            with locked(tmp_path / "run"):
                (tmp_path / f"won{os.getpid()}").touch()
                wait_for((tmp_path / "enough").exists)
        except FolderInUseError as error:
            (tmp_path / f"lost{os.getpid()}").write_text(str(error))
            return 2
        return 0

    children = [fork(work) for _ in range(24)]
    go.touch()
    wait_for(lambda: len([*tmp_path.glob("won*"), *tmp_path.glob("lost*")]) == 24)
    (tmp_path / "enough").touch()
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(codes) == [0] + [2] * 23
    winner = children[codes.index(0)]
    assert all(f"(pid {winner} on " in path.read_text() for path in tmp_path.glob("lost*"))
    assert not list((tmp_path / "run").glob("*")), "nothing was written to it"


def test_no_two_have_it_while_others_come_and_go(tmp_path: Path) -> None:
    """The file is removed at each release, and may be locked by who opened it before."""
    inside = tmp_path / "inside"

    def work() -> int:
        for _ in range(60):
            try:
                with locked(tmp_path / "deep" / "run"):
                    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                    inside.unlink()
            except FolderInUseError:
                time.sleep(0.001)
        return 0

    children = [fork(work) for _ in range(6)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 6
    assert not list(tmp_path.rglob(FILE))


def test_who_has_it(tmp_path: Path) -> None:
    child = holding(tmp_path)
    told = refused(tmp_path)
    kill(child)
    assert f"(pid {child} on {os.uname().nodename}, since {time.strftime('%Y-%m-%d %H:')}" in told
    assert "pytest" in told, "the command"
    assert "\n" not in told


def test_killed_it_is_taken_over_at_once(tmp_path: Path) -> None:
    """Also while its parent has not asked for its end, and while what it forked lives on."""

    def with_worker() -> None:
        worker = fork(lambda: time.sleep(60) or 0)
        (tmp_path / "worker").write_text(str(worker))
        time.sleep(60)

    child = holding(tmp_path, with_worker)
    wait_for(lambda: (tmp_path / "worker").exists() and (tmp_path / "worker").read_text() != "")
    assert "in use" in refused(tmp_path)
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
    with locked(tmp_path):
        pass
    os.kill(int((tmp_path / "worker").read_text()), signal.SIGKILL)
    os.waitpid(child, 0)


def test_an_exception_releases(tmp_path: Path) -> None:
    def failing() -> None:
        with locked(tmp_path / "run"):
            assert "this process" in refused(tmp_path / "run")
            (tmp_path / "run" / "something").touch()
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["something"]
    with locked(tmp_path / "run"):
        pass


def test_another_machine_has_a_minute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign(tmp_path, 50, kernel="another")
    told = refused(tmp_path)
    assert "in use by `seglight fit` (pid 4711 on node7, since " in told
    foreign(tmp_path, 70, kernel="another")
    with locked(tmp_path):
        pass
    assert "taken over from `seglight fit` (pid 4711 on node7" in capsys.readouterr().err
    foreign(tmp_path, 0, space="another")
    with locked(tmp_path):  # a container of this machine: the kernel would know of its lock
        pass


def test_a_holder_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.1)
    with locked(tmp_path):
        os.utime(tmp_path / FILE, (0, 0))
        wait_for(lambda: (tmp_path / FILE).stat().st_mtime > 1e9)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*_: object) -> None:
        raise OSError(number, "no locks here")

    parent, mine = os.getppid(), Holder.here("")
    started = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19])
    monkeypatch.setattr(fcntl, "lockf", none)
    foreign(tmp_path, 0, pid=parent, started=started)
    assert f"(pid {parent} on " in refused(tmp_path)
    assert "its file system has no locks" in capsys.readouterr().err
    foreign(tmp_path, 0, pid=parent, started=started + 1)  # the number was given again
    with locked(tmp_path):
        assert json.loads((tmp_path / FILE).read_text())["pid"] == mine.pid
    foreign(tmp_path, 0, kernel="another")
    assert "on node7" in refused(tmp_path)

    def later(seconds: float) -> None:
        foreign(tmp_path, 0, kernel="another", command="a moment later")

    monkeypatch.setattr(time, "sleep", later)
    (tmp_path / FILE).unlink()
    assert "a moment later" in refused(tmp_path)


def test_who_resumes_waits_for_one_that_stops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        told = False
        with locked(tmp_path, stopping=lambda: told):
            (tmp_path / "ready").touch()
            wait_for((tmp_path / "tell").exists)
            told = True
            time.sleep(2)
            (tmp_path / "saved").touch()
        return 0

    child = fork(work)
    wait_for((tmp_path / "ready").exists)
    before = time.monotonic()
    with pytest.raises(FolderInUseError), locked(tmp_path, patience=30):
        pass
    assert time.monotonic() - before < 10, "it runs, nobody knows for how long"
    (tmp_path / "tell").touch()
    wait_for(lambda: '"stopping": true' in (tmp_path / FILE).read_text())
    assert "which is stopping" in refused(tmp_path)
    with locked(tmp_path, patience=30):
        assert (tmp_path / "saved").exists()
    assert capsys.readouterr().err.count("waiting up to 30 s for it to end") == 1
    os.waitpid(child, 0)


def test_processes_of_a_job_wait_for_their_first(tmp_path: Path) -> None:
    wait_for_first(tmp_path / "none", "job 2")
    foreign(tmp_path, 1000, job="job 1")
    with pytest.raises(UserError, match="node7"):
        wait_for_first(tmp_path, "job 2", patience=0.3)

    def work() -> int:
        time.sleep(0.5)
        with locked(tmp_path, job="job 2"):
            time.sleep(60)
        return 0

    child = fork(work)
    wait_for_first(tmp_path, "job 2", patience=20)
    kill(child)


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kept")
    (tmp_path / FILE).symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match=r"\.lock: a link, where a lock has to be a file of its own: remove it"):
        FolderLock(tmp_path).acquire()
    assert (tmp_path / "other").read_text() == "kept"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"nothing can be written there \(Not a directory\): choose another --out"):
        FolderLock(tmp_path / "file" / "x", "--out").acquire()


def test_trainings_that_race(tmp_path: Path) -> None:
    """One of four trains, as if it were alone; the others say in one line who does."""
    write_recipe(tmp_path)
    go = tmp_path / "go"

    command = ["fit", "-c", tmp_path / "recipe.yaml", "--run_dir", tmp_path / "run"]
    logs = [tmp_path / f"{k}.log" for k in range(4)]
    children = [resumable.start(command, log, partial(wait_for, go.exists)) for log in logs]
    go.touch()
    codes = [resumable.wait(child) for child in children]
    assert sorted(codes) == [0, 2, 2, 2], [log.read_text() for log in logs]
    winner = children[codes.index(0)].pid
    for code, log in zip(codes, logs, strict=True):
        if code:
            assert log.read_text().startswith(f"seglight: error: {tmp_path}/run: in use by `"), log.read_text()
            assert log.read_text().count("\n") == 1
            assert f"(pid {winner} on " in log.read_text()
    assert resumable.wait(resumable.fit(tmp_path / "alone")) == 0
    assert differences(final(tmp_path / "run"), final(tmp_path / "alone")) == []
    assert not (tmp_path / "run" / FILE).exists()


def test_commands_in_a_folder_that_is_in_use(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    data = fabricated(tmp_path / "data")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "model: {net: {class_path: tests.support.tiny.TinyNet}}\n"
        f"data: {{class_path: seglight.data.FolderDataModule, init_args: {{root: {data}}}}}\n"
    )
    (tmp_path / "sweep.yaml").write_text("")
    child = holding(tmp_path / "run")
    before = sorted((tmp_path / "run").rglob("*"))
    for command in (
        ("fit", "-c", recipe, "--run_dir", tmp_path / "run"),
        ("fit", "-c", recipe, "--run_dir", tmp_path / "run", "--resume"),
        ("fit", "-c", recipe, "--run_dir", tmp_path / "run", "--seeds", "0,1"),
        ("validate", "-c", recipe, "--run_dir", tmp_path / "run"),
        ("test", "-c", recipe, "--run_dir", tmp_path / "run"),
        ("sweep", "-c", tmp_path / "sweep.yaml", "--out", tmp_path / "run"),
        ("cache", "-c", recipe, "--out", tmp_path / "run"),
    ):
        ran = seglight_cli(*command)
        assert (ran.rc, ran.out, ran.err.count("\n")) == (2, "", 1), ran.err
        assert f"{tmp_path}/run: in use by `" in ran.err
        assert f"(pid {child} on " in ran.err
        option = "--out" if "--out" in command else "--run_dir"
        assert ran.err.endswith(f"wait until it ends, or choose another {option}\n")
    assert sorted((tmp_path / "run").rglob("*")) == before
    kill(child)


def test_runs_of_the_same_second_have_folders_of_their_own(
    tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda form: "noon")
    recipe = write_recipe(tmp_path)
    short = ("--trainer.max_steps", 1, "--trainer.limit_val_batches", 1, "--trainer.enable_checkpointing", "false")
    for name in ("noon", "noon-2", "noon-3"):
        assert seglight_cli("fit", "-c", recipe.name, *short).rc == 0
        assert (tmp_path / "runs" / "recipe" / name / "config.yaml").exists()
    assert seglight_cli("fit", "-c", recipe.name, "--trainer.max_steps", "many").rc == 2
    assert seglight_cli("fit", "-c", recipe.name, "--model.loss", "torch.nn.Nothing").rc == 2
    assert sorted(path.name for path in (tmp_path / "runs" / "recipe").iterdir()) == ["noon", "noon-2", "noon-3"]


def test_a_killed_training_is_resumed_at_once(tmp_path: Path) -> None:
    """Its loader workers are alive for seconds still."""
    write_recipe(tmp_path)
    slowly = ("--model.net.init_args.seconds", 0.2, "--data.init_args.num_workers", 1)
    child = resumable.fit(tmp_path / "run", *slowly)
    wait_for((tmp_path / "run" / "checkpoints" / "last.ckpt").exists, 60)
    child.kill()  # the process alone, not its group
    again = resumable.fit(tmp_path / "run", "--data.init_args.num_workers", 0, "--model.net.init_args.seconds", 0.2)
    assert resumable.wait(again) == 0, (tmp_path / "run.log").read_text()
    child.join()
    assert "in use" not in (tmp_path / "run.log").read_text()


@pytest.mark.slow
def test_two_programs(tmp_path: Path) -> None:
    """As typed: the second is refused, and takes over when the first is killed."""
    recipe = write_recipe(tmp_path)
    command = [sys.executable, "-m", "seglight", "fit", "--run_dir", str(tmp_path / "run"), "-c", str(recipe)]
    slowly = ["--model.net.init_args.seconds", "4"]
    first = subprocess.Popen([*command, *slowly], stdout=subprocess.DEVNULL)
    wait_for((tmp_path / "run" / "metrics.jsonl").exists, 100)
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (second.returncode, second.stderr.count("\n")) == (2, 1)
    assert f"-m seglight fit --run_dir {tmp_path}/run" in second.stderr
    first.kill()
    first.wait()
    assert subprocess.run([*command, "--resume", "force"], capture_output=True, check=False).returncode == 0
