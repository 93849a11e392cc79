"""Losses that gather over the batch: two processes with uneven shares have the gradient of one with all images."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from seglight.losses import (
    BoundaryLoss,
    CrossEntropy,
    Dice,
    Focal,
    LovaszSoftmax,
    OHEMCrossEntropy,
    Tversky,
    WeightedSum,
)  # fmt: skip
from tests.support.loss_cases import IGNORE, drawn, value_and_gradient
from tests.support.processes import in_processes

LOSSES: dict[str, Callable[[int], nn.Module]] = {
    "CrossEntropy": CrossEntropy,
    "OHEMCrossEntropy": partial(OHEMCrossEntropy, min_kept=0),
    "Focal": Focal,
    "Dice": Dice,
    "Tversky": partial(Tversky, gamma=4 / 3),
    "LovaszSoftmax": LovaszSoftmax,
    "per image": partial(LovaszSoftmax, per_image=True),
    "all": partial(LovaszSoftmax, classes="all"),
    "BoundaryLoss": BoundaryLoss,
    "WeightedSum": partial(WeightedSum, losses=[CrossEntropy, Dice, LovaszSoftmax], weights=[1.0, 0.5, 0.3]),
}
SHARES = slice(0, 1), slice(1, 3)


def images() -> tuple[Tensor, Tensor]:
    """Three of two classes; the first shows class 0 only, in a few pixels."""
    logits, mask = drawn("two_classes")
    mask[0] = IGNORE
    mask[0, :3] = 0
    return logits, mask


def train(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", rank=rank, world_size=2)
    logits, mask = (part[SHARES[rank]] for part in images())
    results = {name: value_and_gradient(loss(IGNORE), logits, mask) for name, loss in LOSSES.items()}
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, tuple[Tensor, Tensor]]]:
    folder = tmp_path_factory.mktemp("trained")
    in_processes(2, train, folder)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", LOSSES)
def test_as_one_process_with_all_images(name: str, trained: list[dict[str, tuple[Tensor, Tensor]]]) -> None:
    value, gradient = value_and_gradient(LOSSES[name](IGNORE), *images())
    values, gradients = zip(*(results[name] for results in trained), strict=True)
    torch.testing.assert_close(sum(values) / 2, value)  # as the log of a training averages them
    # DistributedDataParallel averages gradients
    torch.testing.assert_close(torch.cat(gradients) / 2, gradient, rtol=0, atol=1e-6 * float(gradient.abs().max()))
