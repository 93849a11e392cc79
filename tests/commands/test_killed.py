"""`export` and `release` killed at any moment leave complete files or none.

Covers: inference.torch_predictor.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import seglight
from seglight.checkpoints.checkpoint import weights_checksum
from seglight.commands.export import writing
from seglight.commands.export.graph import Deployed, program_of
from seglight.commands.release.command import release
from seglight.inference.exported.runtimes import PROGRAM, load_exported
from seglight.inference.torch_predictor import TorchPredictor
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from tests.support.checkpoint_files import NAMES, card, net_config, write
from tests.support.tiny import TinyNet

IMAGE = np.zeros((64, 64, 3), np.uint8)


def killed(work: Callable[[], Any], folder: Path, moment: int) -> bool:
    """Run in a process that SIGKILL ends at an event in a folder: a file opened, renamed or removed there.

    Returns:
        Whether it was killed; otherwise there are fewer events.
    """
    child = os.fork()
    if child == 0:
        left = moment

        def hook(event: str, args: Any) -> None:
            nonlocal left
            if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(args[0]).startswith(str(folder)):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        torch.set_num_threads(1)  # threads of OpenMP do not survive a fork
        sys.addaudithook(hook)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or status == 0
    return os.WIFSIGNALED(status)


def moments(work: Callable[[], Any], folder: Path, whole: Callable[[], Any]) -> int:
    """Kill at one event after the other, until there is none; returns their number."""
    for moment in range(100):
        ended = not killed(work, folder, moment)
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            whole()
        if ended:
            assert not [path for path in folder.iterdir() if path.name.startswith(".")]
            return moment
    raise AssertionError("more than 100 events")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2"])
def test_export_over_an_older_one(suffix: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is the old or the new one; for OpenVINO it may be missing, as it cannot replace two files at once."""
    out = folder / f"net{suffix}"
    predictors, checksums = [], []
    for _ in range(2):
        net = TinyNet(2).eval()
        predictors.append(TorchPredictor(net, card(["a", "b"]), "", "cpu"))
        checksums.append(weights_checksum(net.state_dict()))
    writing.export(predictors[0], out, (64, 64))
    program = program_of(Deployed(predictors[1].net), (64, 64))
    monkeypatch.setattr(writing, "program_of", lambda *_: program)  # traced only once

    def whole() -> None:
        assert suffix == ".xml" or out.exists()
        if out.exists():
            assert load_exported(out, trust=(PROGRAM,)).metadata.card.provenance.checksum in checksums

    assert moments(lambda: writing.export(predictors[1], out, (64, 64)), folder, whole) > 1
    assert load_exported(out, trust=(PROGRAM,)).metadata.card.provenance.checksum == checksums[1]


def test_release(folder: Path, tmp_path: Path) -> None:
    net = EncoderDecoder(len(NAMES), TimmEncoder("test_resnet", None), partial(FPN, channels=32), aux_index=-2)
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    checkpoint = write(tmp_path / "a.ckpt", net_config(), state)
    out = folder / "net"
    count = moments(
        lambda: release(str(checkpoint), str(out)), folder, lambda: seglight.load(out, device="cpu").predict(IMAGE)
    )
    assert count >= 4  # three files and the rename of the folder
