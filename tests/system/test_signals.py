"""Signals that this process gets, and the processes that it starts."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seglight.system.signals import SCHEDULERS, SIGNALS, ForwardedSignals, StopSignals, blocked_signals

CHILD = """
import signal, sys, time
from pathlib import Path
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
    signal.signal(number, lambda number, frame: sys.exit(number))
Path(sys.argv[1]).touch()
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[dict[int, Any]]:
    """The handlers of this process, which have to be those of before after each test."""
    before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGUSR2)}
    yield before
    assert {number: signal.getsignal(number) for number in before} == before


def child(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """A process that ends with the number of the first signal that it gets as its exit code."""
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(folder / name)], start_new_session=True)
    while not (folder / name).exists():
        assert process.poll() is None
        time.sleep(0.01)
    return process


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_every_process_gets_a_signal(number: int, tmp_path: Path) -> None:
    first, second, third = (child(tmp_path, name) for name in "abc")
    with ForwardedSignals() as signals:
        for process in (first, second, third):
            signals.add(process)
        signals.remove(third)
        send(number)
        assert signals.received == [number]
        assert [process.wait(20) for process in (first, second)] == [number, number]
        assert third.poll() is None
    third.kill()
    third.wait(20)


def test_a_process_that_is_started_later_gets_the_first_one(tmp_path: Path) -> None:
    with ForwardedSignals() as signals:
        send(signal.SIGUSR1)
        send(signal.SIGTERM)
        process = child(tmp_path, "late")
        signals.add(process)
        assert process.wait(20) == signal.SIGUSR1


def test_ignored_signals_end_nothing(tmp_path: Path) -> None:
    process = child(tmp_path, "a")
    with ForwardedSignals(SCHEDULERS, (signal.SIGINT, signal.SIGUSR2)) as signals:
        signals.add(process)
        send(signal.SIGINT)
        send(signal.SIGUSR2)
        time.sleep(0.2)
        assert process.poll() is None
        assert signals.received == []
        send(signal.SIGTERM)
        assert process.wait(20) == signal.SIGTERM


def test_signals_are_blocked_until_the_end_and_in_processes_that_are_started_within(tmp_path: Path) -> None:
    with ForwardedSignals() as signals:
        with blocked_signals():
            process = child(tmp_path, "a")
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # other threads do not block it
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            assert signals.received == []
            assert process.poll() is None
        assert signals.received == [signal.SIGTERM]
    process.kill()
    process.wait(20)


def test_the_first_signal_is_noted() -> None:
    stop = StopSignals()
    stop.install()
    try:
        assert stop.received is None
        send(signal.SIGUSR1)
        send(signal.SIGTERM)
        assert stop.received is signal.SIGUSR1
    finally:
        stop.restore()
    assert stop.received is None
