"""`seglight serve` as a process of its own, and its mistakes.

Covers: commands.serve.run.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import seglight
from seglight.commands.serve import run
from seglight.commands.serve.run import _ready, url
from tests.support.command import Ran
from tests.support.exported import red
from tests.support.served import decoded, picture, png

TOKEN = "0123456789abcdef"


@contextmanager
def started(*args: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server as its own group of processes, once it is ready, and its address."""
    command = [sys.executable, "-m", "seglight", "serve", "--port", "0", *map(str, args)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stderr is not None
        lines = []
        while not (found := re.search(r"at (http://127\.0\.0\.1:\d+)/$", line := process.stderr.readline().rstrip())):
            assert line, f"ended with {process.wait(20)}: {lines}"
            lines.append(line)
        yield process, found[1]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=20)


def processes_of(group: int) -> list[Path]:
    """Folders in /proc of the processes of a group that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, number = (folder / "stat").read_text().rpartition(") ")[2].split()[:3]
        except OSError:
            continue
        if int(number) == group and state != "Z":
            found.append(folder)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_server_from_its_start_to_its_end(tmp_path: Path, number: signal.Signals, code: int) -> None:
    model = red(tmp_path / "red.onnx")
    (tmp_path / "token").write_text(TOKEN)
    image = picture(40, 50)
    with started(model, "--token", tmp_path / "token", "--workers", 2) as (process, address):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.post(f"{address}/predict", content=png(image)).status_code == 401
        found = httpx.post(f"{address}/predict", content=png(image), headers=headers, timeout=20)
        assert found.status_code == 200, found.text
        assert (decoded(found.content) == seglight.load(model).predict(image)).all()
        assert found.headers["x-seglight-model"] == "red"
        group = processes_of(process.pid)
        assert len(group) >= 3, "the web process, and two that predict"
        for folder in group:
            assert "torch" not in (folder / "maps").read_text(), "an ONNX file is served without it"
        os.killpg(process.pid, number)
        assert process.wait(30) == code
        deadline = time.monotonic() + 10
        while processes_of(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not processes_of(process.pid)


@pytest.mark.slow
def test_a_damaged_model_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(red(tmp_path / "red.onnx").read_bytes()[:-20])
    command = [sys.executable, "-m", "seglight", "serve", "--port", "0", str(tmp_path / "net.onnx")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 2, ended.stderr
    assert ended.stderr.startswith(f"seglight: loading net\nseglight: error: {tmp_path / 'net.onnx'}: ")


def test_mistakes_before_anything_is_loaded(seglight_cli: Callable[..., Ran], tmp_path: Path) -> None:
    model = red(tmp_path / "red.onnx")
    missing = tmp_path / "folder"
    missing.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for args, line in (
            (["missing.onnx"], "missing.onnx: no such checkpoint, released folder or exported file"),
            ([model, model], "are both named 'red'"),
            ([model, "--port", port], f"--port {port} of 127.0.0.1: Address already in use"),
            ([model, "--token", tmp_path / "none"], "No such file or directory: give a file with the token"),
            ([model, "--wait", "5"], "--wait 5: give at most 10 seconds"),
            ([model, "--host", ""], "--host '': give an address of this machine, such as 127.0.0.1"),
            ([missing, "--port", 0], f"{missing}: the folder has neither"),
            ([model, "--workers", 0], "workers"),
            ([model, "--batches", 3], "batches"),
            ([], "arguments are required: models"),
        ):
            ran = seglight_cli("serve", *args)
            assert (ran.rc, ran.out) == (2, ""), args
            assert line in ran.err
            assert len(ran.err.splitlines()) == 1


def test_a_missing_package(seglight_cli: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == "prometheus_client" else name)
    ran = seglight_cli("serve", red(tmp_path / "red.onnx"))
    assert ran.rc == 2
    assert ran.err == (
        'seglight: error: serve: the package prometheus_client is missing: pip install "seglight[serve]"\n'
    )


def test_what_is_said_when_models_are_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    _ready(["a", "b"], "127.0.0.1", 80)()
    assert capsys.readouterr().err == "seglight: loaded within 0 s: serving a, b at http://127.0.0.1:80/\n"
    _ready(["a"], "0.0.0.0", 80)()
    assert capsys.readouterr().err.splitlines()[1] == (
        "seglight: other machines reach it at http://ADDRESS:80/, where ADDRESS is an IP address of this machine"
    )


def test_addresses_for_a_browser() -> None:
    assert url("127.0.0.1", 8000) == "http://127.0.0.1:8000/"
    assert url("0.0.0.0", 80) == "http://127.0.0.1:80/"
    assert url("::1", 8000) == "http://[::1]:8000/"
    assert url("::", 8000) == "http://[::1]:8000/"
    assert url("example.org", 1) == "http://example.org:1/"
