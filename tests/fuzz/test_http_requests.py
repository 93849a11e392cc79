"""A server that is attacked: it answers in a line, forgets nothing, writes nothing, and goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.http_requests import Reply, is_one_line
from tests.fuzz.observed_server import Held


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b'{"error": "it is too large"}', "application/json", True),
        (b'{"error": "two\\nlines"}', "application/json", False),
        (b'{"error": ""}', "application/json", False),
        (b'{"detail": "it is too large"}', "application/json", None),
        (b"Traceback (most recent call last):", "text/plain", False),
        (b"", "", True),
    ],
)
def test_errors_of_one_line(body: bytes, kind: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(KeyError):
            is_one_line(Reply(400, body, kind))
    else:
        assert is_one_line(Reply(400, body, kind)) is expected


def test_what_is_left_is_found() -> None:
    before = Held(100, 200, 30, 10, frozenset())
    assert before.more_than(before) == []
    left = Held(100 << 20, 200, 40, 20, frozenset({("/a", 1)})).more_than(before)
    assert [line.split(":")[0] for line in left] == ["('/a', 1)", "web", "descriptors", "threads"]


@pytest.mark.slow
def test_a_server_under_attack(tmp_path: Path) -> None:
    """A part of the attacks; all of them: `python -m tests.fuzz.server_attacks 7 5000`."""
    command = [sys.executable, "-m", "tests.fuzz.server_attacks", "7", "600", "--patience", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "600 requests from 0 of seed 7: 0 mistakes"
