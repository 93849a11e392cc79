"""Learning curves from what a run has logged."""

import json
from pathlib import Path

from seglight.commands.card.curves import POINTS, curves_of, thinned


def test_metrics_jsonl(tmp_path: Path) -> None:
    lines = [
        {"step": 10, "epoch": 0, "train/loss": 1.5},
        {"step": 20, "epoch": 0, "train/loss": None, "val/miou": 0.25},
        {"step": 20, "epoch": 0, "train/loss": 1.25},
        {"step": 30, "epoch": 1, "val/iou/sky": 0.5},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 40, "train/lo')  # killed while it was written
    assert curves_of(tmp_path) == {
        "train/loss": [[10, 1.5], [20, 1.25]],
        "val/miou": [[20, 0.25]],
        "val/iou/sky": [[30, 0.5]],
    }


def test_metrics_csv_of_lightning(tmp_path: Path) -> None:
    (tmp_path / "version_0").mkdir()
    (tmp_path / "version_0" / "metrics.csv").write_text(
        "epoch,step,train/loss,val/miou\n0,4,1.5,\n0,9,,0.5\n1,9,1.0,nan\n"
    )
    assert curves_of(tmp_path) == {"train/loss": [[4, 1.5], [9, 1.0]], "val/miou": [[9, 0.5]]}


def test_nothing_was_logged(tmp_path: Path) -> None:
    assert curves_of(tmp_path) is None
    (tmp_path / "metrics.jsonl").write_text("")
    assert curves_of(tmp_path) is None


def test_long_curves_are_thinned_to_their_first_and_last_point() -> None:
    curve = [[step, 0.5] for step in range(3 * POINTS + 1)]
    found = thinned(curve)
    assert len(found) <= POINTS + 1
    assert found[0] == curve[0]
    assert found[-1] == curve[-1]
    assert found[1][0] == 4
    assert thinned(curve[:POINTS]) == curve[:POINTS]
