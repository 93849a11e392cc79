"""Numbers of threads; threads of OpenMP sleep at barriers in every command.

GNU OpenMP itself prints its settings.
"""

import os
import subprocess
import sys

import pytest

from seglight.system.threads import SPINS, granted_threads, sleep_at_barriers, threads_of_each


@pytest.mark.parametrize(
    ("variable", "granted"), [("3", 3), ("4,2", 4), (" 4 , 2 ", 4), ("0", None), ("", None), ("many", None)]
)
def test_the_number_in_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str, granted: int | None) -> None:
    """OpenMP reads lists, of which the first number is for the outermost regions, and ignores what is no number."""
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(6)), raising=False)
    assert granted_threads() == granted
    assert threads_of_each(4) == (granted or 1)
    assert threads_of_each(2) == (granted or 3)


@pytest.mark.parametrize("given", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}])
def test_what_the_environment_says_stays(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    sleep_at_barriers()
    assert dict(os.environ) == before


@pytest.mark.slow
def test_a_command_sets_it_before_the_library_is_loaded() -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    command = [sys.executable, "-m", "seglight", "models", "resnet"]
    done = subprocess.run(
        command, env=environment | {"OMP_DISPLAY_ENV": "verbose"}, capture_output=True, text=True, check=True
    )
    assert "GOMP_SPINCOUNT = " in done.stderr, "no GNU OpenMP was loaded"
    assert f"GOMP_SPINCOUNT = '{SPINS}'" in done.stderr
