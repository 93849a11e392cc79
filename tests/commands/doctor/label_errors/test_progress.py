"""How far a judgement is, in logs."""

import pytest

from seglight.commands.doctor.label_errors.progress import Lines, progress


def test_a_log_says_at_once_what_is_judged_and_then_nothing_for_half_a_minute(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress("val", 3) as advance:
        for _ in range(6):
            advance()
    assert capsys.readouterr() == ("", "seglight: val: 3 images are judged, in 2 passes\n")


def test_a_log_has_a_line_each_half_minute_but_none_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = Lines("val", 4, lambda: now)
    for seconds in (10.0, 31.0, 40.0, 62.0, 70.0, 80.0, 90.0, 200.0):
        now = seconds
        lines.advance()
    assert capsys.readouterr().err.splitlines() == [
        "seglight: val: pass 1 of 2, 2 of 4 images",
        "seglight: val: pass 2 of 2, 0 of 4 images",
    ]
