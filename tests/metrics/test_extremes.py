"""Classes that tables name."""

import numpy as np
import torch
from rich.console import Console

from seglight.callbacks.report import scores_table
from seglight.metrics.extremes import extremes, extremes_line
from seglight.metrics.scores import Scores


def test_up_to_255_classes_are_all_named() -> None:
    assert extremes([None, 0.5, float("nan"), *[0.1] * 252]) == list(range(255))
    assert extremes_line(255, "IoU") == ""


def test_of_more_the_ends_are_named() -> None:
    values = np.random.default_rng(0).permutation(1000) / 1000
    order = np.argsort(values).tolist()
    assert extremes(values.tolist()) == [*order[:20], *order[-20:]]
    assert extremes([None] * 990 + [0.3, 0.2]) == [991, 990]
    assert (
        extremes_line(1000, "IoU") == "Of 1000 classes, the 20 of the lowest and the 20 of the highest IoU are shown."
    )


def test_the_table_of_a_thousand_classes_has_forty_rows() -> None:
    confusion = torch.diag(torch.arange(1, 1001)) + torch.ones(1000, 1000, dtype=torch.int64)
    table = scores_table(Scores.from_confusion(confusion, 4), [f"class {k}" for k in range(1000)], "val")
    assert table.row_count == 40
    console = Console(width=120, record=True)
    console.print(table)
    assert "Of 1000 classes, the 20 of the lowest" in console.export_text()
