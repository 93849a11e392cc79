"""Lines about the progress: when, and how much time is left."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from seglight.commands.card.progress import EVERY, FIRST, Work, duration, shown


def test_lines_say_how_much_time_is_left() -> None:
    lines: list[str] = []
    now = 100.0
    work = Work(
        "attack sea", 1000, Progress(console=Console(file=io.StringIO()), disable=True), lines.append, lambda: now
    )
    work.skip(200)  # by a command that was interrupted
    now += FIRST - 1
    work.advance(5)
    assert not lines
    now += 11.0  # 19 s for 50 of 800
    work.reach(250)
    assert lines == ["attack sea: 25 %, about 5 min left"], "750 at 50 in 19 s: 285 s"
    now += EVERY - 1
    work.advance(50)
    assert len(lines) == 1
    now += 23.0  # 101 s for 800 - 495
    work.reach(495)
    assert lines[1:] == ["attack sea: 49 %, about 3 min left"], "505 at 295 in 101 s: 173 s"
    now += 2 * EVERY
    work.reach(1000)
    assert len(lines) == 2, "nothing is left to be said"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (89, "89 s"), (100, "2 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_log_gets_lines_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with shown() as work:
        one = work("corruptions", 10)
        one.next = 0.0
        one.advance(1)
    out, err = capsys.readouterr()
    assert out.startswith("corruptions: 10 %, about ")
    assert err == ""
