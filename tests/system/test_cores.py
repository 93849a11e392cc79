"""Cores that a process may use."""

import os

import pytest

from seglight.system.cores import usable_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system confines no process to some cores")
def test_a_process_that_is_confined_to_one_core() -> None:
    allowed = os.sched_getaffinity(0)
    assert usable_cores() == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(("number", "cores"), [(6, 6), (None, 1)])
def test_a_system_that_confines_no_process(monkeypatch: pytest.MonkeyPatch, number: int | None, cores: int) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: number)
    assert usable_cores() == cores
