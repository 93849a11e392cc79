"""`predict` in shards around a model that needs no net: the files are those of a single process, however jobs end.

Covers: commands.predict.occupied, commands.predict.request, commands.predict.shards.shard,
commands.predict.shards.table, commands.predict.shards.worker.
"""

import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.executors.executor import CANCELLED, GONE
from seglight.commands.executors.job import LOCK
from seglight.commands.executors.local import LocalExecutor
from seglight.commands.predict.occupied import written_without_shards
from seglight.commands.predict.request import Request
from seglight.commands.predict.shards import command as shards
from seglight.commands.predict.shards.coordinator import Coordinator
from seglight.commands.predict.shards.shard import PLAN, Shard, write_job
from seglight.commands.predict.shards.table import ROWS, LiveTable, shard_table
from seglight.system.signals import STOP
from seglight.system.terminal import PlainConsole
from tests.support.command import Ran
from tests.support.in_process_jobs import InProcess, LostError
from tests.support.stand_in import Reds

Predict = Callable[..., Ran]

KINDS = ("overlay", "probabilities", "csv", "coco", "coco_polygons")


def image(seed: int, size: tuple[int, int] = (20, 30)) -> NDArray[np.uint8]:
    """Noise without the red that the model refuses."""
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Images of two sizes, a TIFF of three pages, a video, and two files that fail."""
    folder = tmp_path / "images"
    (folder / "town").mkdir(parents=True)
    for seed in range(9):
        name = f"{'town/' if seed % 3 else ''}{seed}.png"
        Image.fromarray(image(seed, (20, 30) if seed % 2 else (9, 40))).save(folder / name)
    tifffile.imwrite(folder / "scan.tif", np.stack([image(seed) for seed in range(3)]), photometric="rgb")
    writer = cv2.VideoWriter(str(folder / "drive.avi"), cv2.VideoWriter.fourcc(*"FFV1"), 10, (48, 32))
    for seed in range(5):
        writer.write(np.minimum(image(seed, (32, 48)), 200))
    writer.release()
    (folder / "4 damaged.png").write_bytes((folder / "0.png").read_bytes()[:60])
    Image.fromarray(np.full((20, 30, 3), 255, np.uint8)).save(folder / "town" / "red.png")
    (tmp_path / "model.ckpt").write_bytes(b"a model")
    return folder


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Reds:
    model = Reds()
    monkeypatch.setattr("seglight.commands.predict.command.load", lambda *args, **options: model)
    monkeypatch.setattr(Coordinator.__init__, "__defaults__", (0.0, 0.0))
    return model


@pytest.fixture
def predict(
    model: Reds, inputs: Path, tmp_path: Path, seglight_cli: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> Predict:
    """`seglight predict` of the inputs on Slurm, for which an executor in this process stands in."""

    def run(*args: object, out: Path = tmp_path / "out", executor: InProcess | None = None) -> Ran:
        own = executor or InProcess()
        monkeypatch.setattr(shards, "executor_for", lambda *_: own)
        return seglight_cli("predict", tmp_path / "model.ckpt", inputs, "--out", out, "--executor", "slurm", *args)

    return run


@pytest.fixture
def alone(predict: Predict, inputs: Path, tmp_path: Path, seglight_cli: Callable[..., Ran]) -> Callable[..., Ran]:
    """`seglight predict` of the inputs in a single process, into the folder `alone`."""
    return lambda *args: seglight_cli("predict", tmp_path / "model.ckpt", inputs, "--out", tmp_path / "alone", *args)


def same(ran: Ran, other: Ran, tmp_path: Path) -> None:
    """Files, summary, failures and exit code are the same."""
    assert files(tmp_path / "out") == files(tmp_path / "alone")
    assert ran.rc == other.rc
    assert ran.out.replace(f"{tmp_path}/out", f"{tmp_path}/alone") == other.out
    failed = [line for line in ran.err.splitlines() if " failed: " in line]
    assert failed == other.err.splitlines()


# ------------------------------------------------------------------------------------------------ the same bytes


@pytest.mark.parametrize(("parallel", "batch"), [(1, 1), (2, 3), (5, 1), (50, 2)])
def test_the_files_are_those_of_a_single_process(
    predict: Predict, alone: Callable[..., Ran], tmp_path: Path, parallel: int, batch: int
) -> None:
    options = ("--batch", batch, "--save", *KINDS)
    executor = InProcess()
    ran = predict("--parallel", parallel, *options, executor=executor)
    assert ran.rc == 1, "two images fail"
    same(ran, alone(*options), tmp_path)
    assert len(executor.started) == min(parallel, {1: 13, 2: 7, 3: 2}[batch])
    assert len(executor.batches) == 1, "one array"


def test_batches_are_those_of_a_single_process(
    predict: Predict, alone: Callable[..., Ran], model: Reds, tmp_path: Path
) -> None:
    assert predict("--parallel", 3, "--batch", 2).rc == 1
    divided = list(model.batches)
    model.batches.clear()
    alone("--batch", 2)
    assert divided == model.batches


def test_videos(predict: Predict, alone: Callable[..., Ran], tmp_path: Path) -> None:
    ran = predict("--parallel", 4, "--save", "video")
    other = alone("--save", "video")
    for name in ("out", "alone"):
        assert (tmp_path / name / "video" / "drive.mp4").exists()
        (tmp_path / name / "video" / "drive.mp4").unlink()  # its header states when it was made
    same(ran, other, tmp_path)


def test_relative_paths(predict: Predict, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = predict("--parallel", 2, out=Path("out"))
    assert ran.rc == 1
    assert ran.out == "17 label maps in out\n"


# ------------------------------------------------------------------------------------------------ run again


def test_what_is_done_stays(predict: Predict, model: Reds, tmp_path: Path) -> None:
    assert predict("--parallel", 2, "--save", "csv").rc == 1
    (tmp_path / "out" / "0.png").unlink()
    first = files(tmp_path / "out")
    model.batches.clear()
    ran = predict("--parallel", 3, "--save", "csv")
    assert ran.out == f"17 label maps in {tmp_path}/out, 16 of them from before\n"
    assert sum(model.batches) == 2, "the image that was removed, and the one that is refused"
    assert files(tmp_path / "out") == first | {"0.png": files(tmp_path / "out")["0.png"]}


def test_a_lost_job_continues(
    predict: Predict, alone: Callable[..., Ran], model: Reds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine dies after it has written some label maps: they are kept, and counted as written by this command."""
    real = model.predict_batch
    calls: list[int] = []

    def lost(images: Any) -> Any:
        calls.append(1)
        if len(calls) in (4, 7):
            raise LostError
        return real(images)

    monkeypatch.setattr(model, "predict_batch", lost)
    executor = InProcess()
    ran = predict("--parallel", 3, "--save", "overlay", "csv", executor=executor)
    assert executor.started == ["0000", "0001", "0002", "0001", "0002"]
    assert "shard 0001: its job vanished" in ran.err
    assert "shard 0002: its job vanished" in ran.err
    monkeypatch.setattr(model, "predict_batch", real)
    same(ran, alone("--save", "overlay", "csv"), tmp_path)


def test_jobs_that_were_done_before_they_were_lost(predict: Predict, alone: Callable[..., Ran], tmp_path: Path) -> None:
    executor = InProcess([GONE, 75, -15, 1])
    ran = predict("--parallel", 2, executor=executor)
    assert executor.started == ["0000", "0001"] * 3, "each twice again"
    same(ran, alone(), tmp_path)


def test_a_shard_that_fails(predict: Predict, tmp_path: Path) -> None:
    ran = predict("--parallel", 2, "--save", "csv", "coco", executor=InProcess([CANCELLED]))
    assert ran.rc == 1
    log = tmp_path / "out" / ".predict" / "0000" / "log.txt"
    lines = [line for line in ran.err.splitlines() if " failed: " in line]
    cause = f"shard 0000: its job was cancelled by hand ({log})"
    assert lines[0] == f"seglight: failed: {cause}: repeat the command to predict the rest"
    assert lines[-2:] == [
        f"seglight: failed: {tmp_path}/out/{name}: not written, because a shard failed"
        for name in ("shares.csv", "coco.json")
    ]
    assert not list((tmp_path / "out").glob("*.csv"))
    assert log.exists()
    ran = predict("--parallel", 2, "--save", "csv", "coco")
    assert ran.rc == 1
    assert (tmp_path / "out" / "shares.csv").exists()
    assert not (tmp_path / "out" / ".predict").exists()


# ------------------------------------------------------------------------------------------------ mistakes, and Ctrl-C


def test_a_mistake_that_only_a_job_finds(predict: Predict, tmp_path: Path) -> None:
    executor = InProcess()
    ran = predict("--parallel", 3, "--save", "ade", executor=executor)
    assert ran.rc == 2
    told = "seglight: error: --save ade: the model has 4 classes, the benchmark 150\n"
    assert [line for line in ran.err.splitlines(keepends=True) if "error" in line] == [told]
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_replaced_while_jobs_wait(predict: Predict, alone: Callable[..., Ran], tmp_path: Path) -> None:
    """The other shards would be those of another model, and a table would be of both."""

    class Replaced(InProcess):
        def poll(self, job: Any) -> int | str | None:
            if job.folder.name == "0001":
                (tmp_path / "model.ckpt").write_bytes(b"another")
            return super().poll(job)

    options = ("--save", "csv")
    ran = predict("--parallel", 3, *options, executor=Replaced())
    assert ran.rc == 2
    told = f"{tmp_path}/model.ckpt: replaced since the command was started: repeat the command"
    assert ran.err.splitlines()[-1] == f"seglight: error: {told}"
    assert not (tmp_path / "out" / "shares.csv").exists()
    assert not (tmp_path / "out" / ".predict").exists()
    same(predict("--parallel", 3, *options), alone(*options), tmp_path)


@pytest.mark.parametrize(("args", "says"), [(["--parallel", "0"], "parallel"), (["--executor", "k8s"], "executor")])
def test_wrong_options(predict: Predict, args: list[str], says: str) -> None:
    ran = predict(*args)
    assert ran.rc == 2
    assert len(ran.err.splitlines()) == 1
    assert says in ran.err


def test_a_package_that_is_missing(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "find_spec", lambda name: None)
    ran = predict()
    assert ran.rc == 2
    assert ran.err == (
        'seglight: error: submitit is not installed, and --executor slurm needs it: run pip install "seglight[sweep]"\n'
    )


def test_two_commands_do_not_write_to_one_folder(predict: Predict, tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        try:
            with shards.locked(tmp_path / "out" / ".predict", "--out"):
                (tmp_path / "held").touch()
                signal.pause()
        finally:
            os._exit(0)
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "held").exists():
            assert time.monotonic() < deadline, "the lock was not taken"
            time.sleep(0.001)
        ran = predict()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ran.rc == 2
    assert f"{tmp_path}/out/.predict: in use by" in ran.err
    assert predict().rc == 1, "the lock of a process that was killed does not hold"


def test_a_command_without_shards_waits_for_jobs(predict: Predict, alone: Callable[..., Ran], tmp_path: Path) -> None:
    class Meanwhile(InProcess):
        refused: Ran | None = None

        def poll(self, job: Any) -> int | str | None:
            self.refused = self.refused or alone("--save", "csv")
            return super().poll(job)

    executor = Meanwhile()
    assert predict("--parallel", 2, out=tmp_path / "alone", executor=executor).rc == 1
    assert executor.refused is not None
    assert executor.refused.rc == 2
    assert executor.refused.err == (
        f"seglight: error: {tmp_path}/alone: a command with --parallel writes there: wait until it ends, or choose "
        "another --out\n"
    )
    assert alone().rc == 1
    assert not (tmp_path / "alone" / ".predict").exists()


def test_shards_wait_for_a_command_without(predict: Predict, tmp_path: Path, alone: Callable[..., Ran]) -> None:
    with written_without_shards(str(tmp_path / "alone")):
        executor = InProcess()
        ran = predict("--parallel", 2, out=tmp_path / "alone", executor=executor)
        assert ran.rc == 2
        assert ran.err == (
            f"seglight: error: {tmp_path}/alone: another `seglight predict` writes there: wait until it ends, or "
            "choose another --out\n"
        )
        assert not executor.started
        assert alone().rc == 1, "of two commands without shards, each may predict a part by hand"
    assert predict("--parallel", 2, out=tmp_path / "alone").rc == 1
    assert not (tmp_path / "alone" / ".predict").exists()


def test_a_command_without_shards_waits_for_jobs_of_a_killed_one(
    predict: Predict, tmp_path: Path, alone: Callable[..., Ran]
) -> None:
    own = left_by_a_killed_command(predict, tmp_path, 2)
    shutil.copytree(own, tmp_path / "alone" / ".predict")
    assert "may wait in Slurm" in alone().err
    for number in range(2):
        write_job(tmp_path / "alone" / ".predict" / f"{number:04d}", "local", "")
    with (tmp_path / "alone" / ".predict" / "0001" / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = alone()
    assert ran.rc == 2
    assert ran.err == (
        f"seglight: error: {tmp_path}/alone: jobs of an earlier command with --parallel still write there: repeat that "
        "command, or wait until they have ended\n"
    )
    assert [*(tmp_path / "alone").glob("*.png")] == []
    assert alone().rc == 1, "they have ended"


def test_a_signal_stops_the_jobs(predict: Predict, tmp_path: Path) -> None:
    class Signalled(InProcess):
        def poll(self, job: Any) -> int | str | None:
            STOP.received = signal.SIGINT
            return super().poll(job) if job.folder.name == "0000" else 75

    ran = predict("--parallel", 2, executor=Signalled())
    assert ran.rc == 130
    assert ran.err.endswith("seglight: stopped: repeat the command to continue from here\n")
    ran = predict("--parallel", 2)
    assert ran.rc == 1
    assert ran.out.startswith(f"17 label maps in {tmp_path}/out, ")
    assert not (tmp_path / "out" / ".predict").exists()


# ------------------------------------------------------------------------------------------------ a killed command


def left_by_a_killed_command(predict: Predict, tmp_path: Path, parallel: int) -> Path:
    """The folder of the shards, as it is while their jobs run; returns its path."""
    own = tmp_path / "out" / ".predict"

    class Killed(InProcess):
        def poll(self, job: Any) -> int | str | None:
            if not (tmp_path / "kept").exists():
                shutil.copytree(own, tmp_path / "kept", ignore=shutil.ignore_patterns(".lock"))
            return super().poll(job)

    predict("--parallel", parallel, executor=Killed())
    shutil.rmtree(tmp_path / "out")
    shutil.copytree(tmp_path / "kept", own)
    return own


def test_jobs_of_a_killed_command_are_taken_over(predict: Predict, tmp_path: Path) -> None:
    own = left_by_a_killed_command(predict, tmp_path, 3)
    plan = (own / "0001" / PLAN).stat().st_ino

    class Waiting(InProcess):
        polls = 0

        def poll(self, job: Any) -> int | str | None:
            assert job.name == f"job {job.folder.name}"
            if job.folder.name == "0001":
                self.polls += 1
                if self.polls == 3:  # it ends, with what it was to do done
                    assert (own / "0001" / PLAN).stat().st_ino == plan
                    self.running.remove("0001")
                    self.waiting["0001"] = None
            return super().poll(job)

    executor = Waiting(running=["0001"])
    ran = predict("--parallel", 3, executor=executor)
    assert ran.rc == 1
    assert executor.started == ["0000", "0002"]
    assert not executor.cancelled
    assert ran.out == f"17 label maps in {tmp_path}/out\n"


@pytest.mark.parametrize("changed", ["parallel", "model", "options", "cwd"])
def test_other_jobs_of_a_killed_command_are_stopped(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    left_by_a_killed_command(predict, tmp_path, 3)
    if changed == "model":
        (tmp_path / "model.ckpt").write_bytes(b"another")
    if changed == "cwd":
        monkeypatch.chdir(tmp_path)
    executor = InProcess(running=["0001", "0002"])
    args = ("--batch", 2) if changed == "options" else ()
    ran = predict("--parallel", 2 if changed == "parallel" else 3, *args, executor=executor)
    assert ran.rc == 1
    assert executor.cancelled == ["0001", "0002"]
    assert "stopping 2 jobs of an earlier command with other inputs or options" in ran.err
    assert ran.out == f"17 label maps in {tmp_path}/out\n"


def test_jobs_that_may_wait_in_slurm(predict: Predict, tmp_path: Path) -> None:
    own = left_by_a_killed_command(predict, tmp_path, 2)
    executor = InProcess()
    ran = predict("--parallel", 2, "--executor", "ray", executor=executor)
    assert ran.rc == 2
    assert ran.err == (
        "seglight: error: --executor ray: jobs of an earlier command may wait in Slurm: repeat it with --executor "
        f"slurm, or cancel them and remove {own}\n"
    )
    assert not executor.started
    for number in range(2):
        write_job(own / f"{number:04d}", "local", "")
    executor = InProcess(running=["0001"])
    assert predict("--parallel", 2, "--executor", "ray", executor=executor).rc == 1
    assert executor.cancelled == ["0001"], "found by its lock"


# ------------------------------------------------------------------------------------------------ what is shown


def test_a_line_for_each_change_without_a_terminal(predict: Predict) -> None:
    ran = predict("--parallel", 2)
    lines = [line for line in ran.err.splitlines() if line.startswith("shard ")]
    assert lines == [
        "shard 0000 running, 0 of 9 images",
        "shard 0001 running, 0 of 10 images",
        "shard 0000 finished, 9 of 9 images",
        "shard 0001 finished, 10 of 10 images",
    ]


def test_one_table_in_a_terminal(tmp_path: Path) -> None:
    own = [Shard(number, tmp_path, 100, [], starts=1) for number in range(30)]
    own[7].state = "failed"
    own[8].state = "running"
    own[8].passed = 42.0
    own[9].state = "finished"
    own[9].passed = 100.0
    screen = StringIO()
    console = PlainConsole(file=screen, force_terminal=True, color_system=None, highlight=False, width=80, height=60)
    with LiveTable(own, console) as table:
        table.changed(None)
    assert "30 shards: 1 finished, 27 waiting, 1 running, 1 failed" in screen.getvalue()
    assert "5%" in screen.getvalue(), "142 of 3000 images"
    printed = StringIO()
    PlainConsole(file=printed, width=80).print(shard_table(own))
    rows = [line.split("│")[1:-1] for line in printed.getvalue().splitlines() if "│" in line]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert cells[0] == ["0007", "failed", "0 of 100", "1"]
    assert cells[1] == ["0008", "running", "42 of 100", "1"]
    assert cells[2] == ["0000", "waiting", "0 of 100", "1"]
    assert ["0009", "finished", "100 of 100", "1"] not in cells, "what is finished needs no row"
    assert len(cells) == ROWS + 1
    assert cells[-1][1] == f"and {29 - ROWS} more"


def test_the_plan_is_plain_json(predict: Predict, tmp_path: Path) -> None:
    own = left_by_a_killed_command(predict, tmp_path, 2)
    plan = json.loads((own / "0000" / PLAN).read_text())
    assert plan["request"]["batch"] == 1
    assert plan["sources"][0] == [f"{tmp_path}/images/0.png", "0", None]


def test_a_temperature_is_said_once(predict: Predict, model: Reds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "card", replace(Reds.card, temperature=1.5))
    ran = predict("--parallel", 3, "--save", "probabilities")
    assert ran.rc == 1
    line = "seglight: probabilities are softmax(logits / 1.5), the temperature of the model card"
    assert ran.err.splitlines().count(line) == 1


@pytest.mark.parametrize(
    ("device", "slots"),
    [("auto", ["4", "6"]), ("cuda", ["4", "6"]), ("cuda:1", ["", "", ""]), ("cpu", ["", "", ""])],
)
def test_the_gpus_of_each_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, slots: list[str]) -> None:
    """A job that is to use the second GPU of the machine has to see both."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    request = Request(["best.ckpt"], "out", [], 1, None, None, device, [])
    executor = shards.executor_for("local", tmp_path, request, 3, 1)
    assert isinstance(executor, LocalExecutor)
    assert executor.free == slots


@pytest.mark.parametrize(("variable", "threads"), [(None, "2"), ("", "2"), ("3", None), ("3,2", None)])
def test_jobs_share_the_cores_that_the_command_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, threads: str | None
) -> None:
    """Of a machine of 64; a number in the environment is that of each job."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {8, 9, 10, 11}, raising=False)
    request = Request(["best.ckpt"], "out", [], 1, None, None, "cpu", [])
    executor = shards.executor_for("local", tmp_path, request, 2, 1)
    assert isinstance(executor, LocalExecutor)
    assert executor.environment.get("OMP_NUM_THREADS") == threads


@pytest.mark.parametrize(("variable", "threads"), [("3", 3), ("", None), ("4,2", 4), ("0", None)])
def test_exported_files_use_the_threads_that_a_job_is_granted(
    predict: Predict, model: Reds, monkeypatch: pytest.MonkeyPatch, variable: str, threads: int | None
) -> None:
    asked: list[Any] = []

    def load(models: Any, **options: Any) -> Reds:
        asked.append(options["threads"])
        return model

    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    monkeypatch.setattr("seglight.commands.predict.command.load", load)
    assert predict("--parallel", 2).rc == 1
    assert asked == [threads, threads]
