"""Two processes with uneven masks step as one process does on the images of both."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from seglight.losses import MaskClassificationLoss
from seglight.training.mask_classification import MaskClassificationModule
from tests.support.accumulation import CLASSES, IGNORE, uneven_images
from tests.support.processes import in_processes
from tests.support.tiny_masks import TinyMaskNet
from tests.support.training import collate, constant

SHARES = ([0, 6, 8, 7], [4, 2, 5, 1])
"""Images of each process, two in a step: in the first step an image of each has no labels, in the second only some."""


def data(indices: list[int]) -> list[dict[str, Any]]:
    every = uneven_images(10)
    return [{"image": every[k][0], "mask": every[k][1], "name": f"im{k}"} for k in indices]


def weights(indices: list[int], batch_size: int, **options: Any) -> list[Tensor]:
    """The weights after an epoch of SGD, of which the gradient is the only part."""
    torch.manual_seed(0)
    module = MaskClassificationModule(
        partial(TinyMaskNet, dropout=0.0), CLASSES, IGNORE, ["a", "b", "c"], [(0, 0, 0)] * CLASSES,
        loss=partial(MaskClassificationLoss, num_points=64), optimizer=partial(torch.optim.SGD, lr=0.05),
        schedule=constant,
    )  # fmt: skip
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary", "use_distributed_sampler")
    trainer = Trainer(
        accelerator="cpu", max_epochs=1, limit_val_batches=0, **dict.fromkeys(quiet, False), **options,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(data(indices), batch_size, collate_fn=collate)
    trainer.fit(module, loader, loader)
    return [parameter.detach() for parameter in module.net.parameters()]


def train(rank: int, folder: Path) -> None:
    torch.save(weights(SHARES[rank], 2, devices=2, strategy="ddp"), folder / f"{rank}.pt")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    in_processes(2, train, folder)
    return folder


def test_as_one_process_on_the_images_of_both(trained: Path) -> None:
    """Image k of process r has the points of image 2 k + r of one process: they are drawn by its place."""
    first, second = SHARES
    joined = [index for pair in zip(first, second, strict=True) for index in pair]
    expected = weights(joined, 4)
    torch.manual_seed(0)
    start = list(TinyMaskNet(CLASSES, dropout=0.0).parameters())
    for rank in range(2):
        found = torch.load(trained / f"{rank}.pt")
        for mine, theirs, before in zip(found, expected, start, strict=True):
            step = float((theirs - before.detach()).abs().max())
            assert step > 0
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4 * step)
