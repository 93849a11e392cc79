"""Kept measurements."""

from dataclasses import replace
from pathlib import Path

import pytest

from seglight.commands.init.question import Answer, LoadingQuestion, Question, keep, kept_answer, path_of

QUESTION = Question({"net": "x"}, 3, (64, 64), 8, "32-true", "cpu", (64, 64), 10**9, "a processor", 2, {"torch": "1"})


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_an_answer_is_kept_for_its_question_only(tmp_path: Path) -> None:
    assert kept_answer(QUESTION) is None
    keep(QUESTION, Answer(1.5, 0.25, 10**8))
    assert kept_answer(QUESTION) == Answer(1.5, 0.25, 10**8)
    assert path_of(QUESTION).is_relative_to(tmp_path / "cache" / "seglight")
    for change in (
        {"batch": 4},
        {"threads": 1},
        {"device": "another"},
        {"versions": {"torch": "2"}},
        {"crop": (64, 96)},
    ):
        assert kept_answer(replace(QUESTION, **change)) is None  # type: ignore[arg-type]
    loading = LoadingQuestion(".jpg", (64, 64), (64, 64), "a.B", "a processor", {})
    assert kept_answer(loading) is None


def test_damaged_files_are_measured_again() -> None:
    keep(QUESTION, Answer(1.0))
    for text in ("", "{", "[]", '{"answer": {"steps": 3}}'):
        path_of(QUESTION).write_text(text)
        assert kept_answer(QUESTION) is None


def test_a_cache_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep(QUESTION, Answer(1.0))
    assert "can't be kept" in capsys.readouterr().err


def test_two_digits() -> None:
    assert Answer(1.2345, 0.009876, 123_456_789).rounded() == Answer(1.2, 0.0099, 120_000_000)
