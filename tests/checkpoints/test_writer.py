"""Checkpoint files when the disk is full and when bytes are lost.

Covers: checkpoints.torch_file.
"""

import io
import os
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seglight.checkpoints.torch_file import is_whole
from seglight.checkpoints.writer import CheckpointFiles
from tests.support.resumable import differences, leaves


def content(value: float) -> dict[str, Any]:
    return {"state_dict": {"weight": torch.full((40, 40), value), "bias": torch.arange(5)}, "epoch": int(value)}


def save(files: CheckpointFiles, path: Path, value: float) -> None:
    files.save_checkpoint(content(value), path)
    files.wait()


def weight(path: Path) -> float:
    return float(torch.load(path, weights_only=True)["state_dict"]["weight"][0, 0])


def test_the_checkpoint_before_is_kept(tmp_path: Path) -> None:
    files, path = CheckpointFiles(), tmp_path / "checkpoints" / "last.ckpt"
    for value in range(3):
        save(files, path, value)
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["last.ckpt", "last.previous.ckpt"]
    assert (weight(path), weight(path.with_name("last.previous.ckpt"))) == (2, 1)


def test_what_is_saved_is_what_was_there_when_it_was_asked_for(tmp_path: Path) -> None:
    files, state = CheckpointFiles(), content(1)
    files.save_checkpoint(state, tmp_path / "best.ckpt")
    state["state_dict"]["weight"].zero_()
    assert float(files.load_checkpoint(tmp_path / "best.ckpt", weights_only=True)["state_dict"]["weight"][0, 0]) == 1


def test_a_full_disk_costs_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files may have 1000 bytes for a while, as the system says no on a full disk."""
    files, path = CheckpointFiles(), tmp_path / "last.ckpt"
    save(files, path, 0)
    save(files, path, 1)
    capsys.readouterr()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        save(files, path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    said = capsys.readouterr().err
    assert said == f"seglight: {path} could not be written (File too large): the files before it are as they were\n"
    assert files.error is not None
    assert sorted(file.name for file in tmp_path.iterdir()) == ["last.ckpt", "last.previous.ckpt"]
    assert (weight(path), weight(path.with_name("last.previous.ckpt"))) == (1, 0)
    save(files, path, 3)
    assert (weight(path), weight(path.with_name("last.previous.ckpt")), files.error) == (3, 1, None)


@pytest.fixture
def whole() -> bytes:
    file = io.BytesIO()
    torch.save(content(1), file)
    return file.getvalue()


def test_a_checkpoint_that_is_cut_off_is_noticed(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(whole)
    assert is_whole(path)
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 200, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert not is_whole(path), cut


def test_a_flipped_bit_is_noticed_or_changes_nothing(whole: bytes, tmp_path: Path) -> None:
    path, rng, noticed = tmp_path / "last.ckpt", np.random.default_rng(0), 0
    expected = dict(leaves(content(1)))
    for position in rng.integers(8 * len(whole), size=400):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            loaded = torch.load(path, weights_only=True) if is_whole(path) else None
        except RuntimeError:  # in the table of the entries, which torch reads more strictly
            loaded = None
        # one in what pads the file, or in a date, is as good as none
        noticed += loaded is None
        assert loaded is None or differences(dict(leaves(loaded)), expected) == []
    assert noticed > 200


def test_no_file_is_not_whole(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "none.ckpt")
    assert os.listdir(tmp_path) == []
