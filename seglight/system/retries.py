"""Calls that are repeated after failures that may pass: a bounded number of times, after waits that grow."""

import random
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_WAIT = 0.5
"""Seconds before the second attempt; doubled before each further one."""

LONGEST_WAIT = 16.0
"""Seconds that are never exceeded between two attempts."""

_random = random.Random()  # of its own: the global generators are those of nets


def retried(
    call: Callable[[], T], may_pass: Callable[[Exception], bool], attempts: int, wait: Callable[[float], bool]
) -> T:
    """Call a function again until it succeeds.

    Waits are shortened at random by up to a half, so that many processes do not come back in the same moment.

    Args:
        call: Function that may fail.
        may_pass: Function that tells whether a failure may be gone at the next attempt.
        attempts: Largest number of calls.
        wait: Function that waits for a number of seconds and returns True to give up, such as `threading.Event.wait`.

    Returns:
        What the function returns.

    Raises:
        Exception: The last failure.
    """
    failures = 0
    while True:
        try:
            return call()
        except Exception as error:
            failures += 1
            if failures >= attempts or not may_pass(error) or wait(pause(failures)):
                raise


def pause(failures: int) -> float:
    """Seconds to wait after a number of failures in a row."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - 1, 30)) * _random.uniform(0.5, 1)
