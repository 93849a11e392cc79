"""The matrix of the real CamVid's validation split, whoever counts it."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from seglight.data import CamVidDataModule
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from seglight.training.semantic import SegmentationModule
from tests.support.processes import in_processes


def net(num_classes: int) -> EncoderDecoder:
    """A small one: who counts is the question, not what."""
    torch.manual_seed(0)
    decoder: Any = partial(FPN, pyramid_channels=16, channels=16)
    return EncoderDecoder(num_classes, TimmEncoder("test_efficientnet", weights="random"), decoder)


def count(rank: int, camvid: Path, out: Path, processes: int, eval_batch_size: int) -> None:
    """On one thread a process: on more a convolution adds in another order."""
    data = CamVidDataModule(str(camvid), num_workers=0, eval_batch_size=eval_batch_size)
    module = SegmentationModule(net, data.num_classes, data.ignore_index, data.class_names, data.palette)
    trainer = Trainer(
        accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto", logger=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.validate(module, data, verbose=False)
    torch.save((module.scores.confusion, module.scores.images), out / f"{rank}.pt")


@pytest.mark.slow
@pytest.mark.timeout(1300)
def test_one_two_and_three_processes_have_one_matrix(camvid_root: Path, tmp_path: Path) -> None:
    split = CamVidDataModule(str(camvid_root)).split("val")
    labelled = sum(int(np.sum(split.read(index)[1] != 255)) for index in range(101))
    matrices = []
    for processes, eval_batch_size in ((1, 1), (2, 4), (3, 2)):
        in_processes(processes, count, camvid_root, tmp_path, processes, eval_batch_size, seconds=400)
        for rank in range(processes):
            confusion, images = torch.load(tmp_path / f"{rank}.pt")
            assert (images, int(confusion.sum())) == (101, labelled)
            matrices.append(confusion)
    assert all(torch.equal(matrix, matrices[0]) for matrix in matrices)
    assert int((matrices[0].sum(0) > 0).sum()) > 3, "a net that says one thing only would prove nothing"
