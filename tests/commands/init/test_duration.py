"""Times and sizes of memory on the command line."""

import pytest

from seglight.commands.init.duration import bytes_of, plain_time, seconds_of
from seglight.errors import UserError


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("22m", 1320), ("1h30m", 5400), ("90s", 90), ("1.5h", 5400), ("1d", 86400)]
)
def test_times(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "2 hours", "h", "-2h", "0m", "2h3"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match=r"^--time "):
        seconds_of(text)


@pytest.mark.parametrize(
    ("text", "size"), [("8GB", 8 * 10**9), ("500MiB", 500 * 2**20), ("1.5gb", 1_500_000_000), ("8 GB", 8 * 10**9)]
)
def test_sizes(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["8", "GB", "-1GB", "0GB", "8G"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match=r"^--memory "):
        bytes_of(text)


def test_times_for_people() -> None:
    assert [plain_time(s) for s in (0.25, 12.4, 240, 7200, 5400)] == ["0.25 s", "12 s", "4 min", "2 h", "1 h 30 min"]
