"""`--early_stopping MONITOR:PATIENCE` as the callback that it stands for."""

import pytest

from seglight.errors import UserError
from seglight.training.early_stopping import early_stopping


@pytest.mark.parametrize(
    ("text", "monitor", "patience", "mode"),
    [
        ("val/miou:5", "val/miou", 5, "max"),
        ("val/acc:1", "val/acc", 1, "max"),
        ("val/iou/road:10", "val/iou/road", 10, "max"),
        ("val/loss:3", "val/loss", 3, "min"),
        ("train/loss:0", "train/loss", 0, "min"),
    ],
)
def test_monitor_patience_and_mode(text: str, monitor: str, patience: int, mode: str) -> None:
    callback = early_stopping(text)
    assert (callback.monitor, callback.patience, callback.mode) == (monitor, patience, mode)


@pytest.mark.parametrize("text", ["val/miou", "5", ":5", "val/miou:", "val/miou:-1", "val/miou:many"])
def test_malformed(text: str) -> None:
    with pytest.raises(UserError, match=f"^--early_stopping {text}: give a monitor and a number of validations"):
        early_stopping(text)


def test_the_mode_of_other_names_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert early_stopping("val/f1:2").mode == "max"
    assert "val/f1 is taken for a score that is better the larger it is" in capsys.readouterr().err
