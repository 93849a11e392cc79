"""What is shown while training steps are tried."""

import subprocess
import sys
from pathlib import Path

import pytest

from seglight.commands.init.draft import model_part
from seglight.commands.init.nets import LARGE, SMALL, Net
from seglight.commands.init.question import Answer, Question
from seglight.commands.init.trials import Trials

DEVICE = ("a processor", 2, {"torch": "1"})


def question(net: Net, accelerator: str, precision: str, last: bool) -> Question:
    model = model_part(net, "random", last)
    return Question(model, 3, (64, 96), 8, precision, accelerator, (64, 96), 10**9, *DEVICE)


def test_a_trial_is_said_when_it_was_measured_and_not_when_it_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = '{"step": 1.234, "image": 0.1, "peak": 1000}', '{"exceeded": true}'
    script = f"for answer in {answers}: input(); print(answer, flush=True)"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Trials, "_started", lambda trials: process)
    small, large = question(SMALL, "cpu", "32-true", True), question(LARGE, "gpu", "bf16-mixed", False)
    with Trials() as trials:
        trials.process = process
        assert trials.ask(small) == trials.ask(small) == Answer(1.2, 0.1, 1000)
        assert trials.ask(large).exceeded
        assert (trials.asked, trials.found) == (2, 1)
    assert capsys.readouterr().err.splitlines() == [
        "seglight:   tf_efficientnet_lite0, 8 crops of 64x96, channels_last: 1.2 s a step",
        "seglight:   convnext_tiny, 8 crops of 64x96, bf16-mixed, contiguous: more memory than there is",
    ]
