"""How often, and after which waits, a call is repeated."""

import pytest

from seglight.system import retries
from seglight.system.retries import pause, retried


class Flaky:
    """Fails a number of times, then returns the number of calls."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise ConnectionError(f"failure {self.calls}")
        return self.calls


def test_it_is_repeated_until_it_succeeds() -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    assert retried(Flaky(3), lambda error: True, 4, wait) == 4
    assert len(waits) == 3
    for seconds, most in zip(waits, (0.5, 1, 2), strict=True):
        assert most / 2 <= seconds <= most


def test_the_number_of_attempts_is_bounded() -> None:
    call = Flaky(9)
    with pytest.raises(ConnectionError, match="failure 4"):
        retried(call, lambda error: True, 4, lambda seconds: False)
    assert call.calls == 4


def test_a_failure_that_lasts_is_not_repeated() -> None:
    call = Flaky(9)
    with pytest.raises(ConnectionError, match="failure 1"):
        retried(call, lambda error: "1" not in str(error), 4, lambda seconds: False)
    assert call.calls == 1


def test_waiting_is_given_up() -> None:
    call = Flaky(9)
    with pytest.raises(ConnectionError, match="failure 2"):
        retried(call, lambda error: True, 4, lambda seconds: call.calls == 2)
    assert call.calls == 2


def test_waits_do_not_grow_without_end() -> None:
    assert all(pause(failures) <= retries.LONGEST_WAIT for failures in (1, 10, 2000))
    assert len({pause(1) for _ in range(9)}) > 1, "several processes do not come back at once"
