"""The log of a training is read incrementally, also if the training removes lines and logs them again."""

import json
from pathlib import Path

import pytest

from seglight.commands.sweep.learning_curve import LearningCurve, Report
from tests.support.small_sweeps import small_sweep


def line(step: int, miou: float | None) -> str:
    return json.dumps({"step": step, "epoch": step // 10 - 1, "val/miou": miou}) + "\n"


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def values(curve: LearningCurve) -> list[float]:
    return [report.value for report in curve.reports()]


def test_only_complete_lines_with_the_objective_are_read(tmp_path: Path) -> None:
    curve, path = LearningCurve(small_sweep(), tmp_path), tmp_path / "metrics.jsonl"
    assert curve.reports() == []
    append(path, json.dumps({"step": 5, "epoch": 0, "train/loss": 1.0}) + "\n" + line(10, 0.1) + line(20, 0.2)[:9])
    assert curve.reports() == [Report(10, 0, 0.1)]
    append(path, line(20, 0.2)[9:] + line(30, None))
    assert values(curve)[:2] == [0.1, 0.2]
    assert str(values(curve)[2]) == "nan"


def test_lines_are_read_once(tmp_path: Path) -> None:
    curve, path = LearningCurve(small_sweep(), tmp_path), tmp_path / "metrics.jsonl"
    append(path, line(10, 0.1))
    assert values(curve) == [0.1]
    path.write_text("x" * (path.stat().st_size - 1) + "\n" + line(20, 0.2))
    assert values(curve) == [0.1, 0.2]


def test_a_resumed_training_logs_the_steps_after_its_checkpoint_again(tmp_path: Path) -> None:
    curve, path = LearningCurve(small_sweep(), tmp_path), tmp_path / "metrics.jsonl"
    append(path, line(10, 0.1) + line(20, 0.2) + line(30, 0.3))
    assert values(curve) == [0.1, 0.2, 0.3]
    path.write_text(line(10, 0.1))
    assert values(curve) == [0.1, 0.2, 0.3]
    append(path, line(20, 0.25) + line(30, 0.3) + line(40, 0.4))
    assert values(curve) == [0.1, 0.25, 0.3, 0.4]


def test_lines_of_other_lengths_after_a_resume(tmp_path: Path) -> None:
    """The file has grown beyond the previous offset before it is read again."""
    curve, path = LearningCurve(small_sweep(), tmp_path), tmp_path / "metrics.jsonl"
    append(path, line(10, 0.1) + line(20, 0.2))
    assert values(curve) == [0.1, 0.2]
    path.write_text(line(10, 0.1) + line(20, 0.222222) + line(30, 0.3))
    assert values(curve) == [0.1, 0.222222, 0.3]


@pytest.mark.parametrize(
    ("trainer", "continues"),
    [
        ({"max_epochs": 3}, True), ({"max_epochs": 2}, False), ({"max_steps": 20}, False),
        ({"max_steps": 21, "max_epochs": -1}, True), ({"max_steps": -1, "max_epochs": 9}, True),
    ],
)  # fmt: skip
def test_the_last_report_by_epochs_or_steps(tmp_path: Path, trainer: dict[str, int], continues: bool) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps({"trainer": trainer}))
    assert LearningCurve(small_sweep(), tmp_path).continues_after(Report(step=20, epoch=1, value=0.5)) == continues
