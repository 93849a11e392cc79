"""Two processes with uneven labels step as one process does on the images of both, batches accumulated or not."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
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
)
from tests.support.accumulation import WEIGHTS, assert_same, ours, torchs, uneven_images
from tests.support.processes import in_processes

MEANS: dict[str, Callable[..., nn.Module]] = {
    "CrossEntropy": CrossEntropy,
    "class_weights": partial(CrossEntropy, class_weights=WEIGHTS),
    "label_smoothing": partial(CrossEntropy, label_smoothing=0.1),
    "Focal": Focal,
    "BoundaryLoss": BoundaryLoss,
}
"""Losses that are a mean over pixels: of all processes, and of all accumulated batches."""

LOSSES = MEANS | {
    "OHEMCrossEntropy": partial(OHEMCrossEntropy, threshold=0.4, min_kept=0),
    "Dice": Dice,
    "Tversky": Tversky,
    "LovaszSoftmax": LovaszSoftmax,
    "WeightedSum": partial(WeightedSum, losses=[CrossEntropy, Dice], weights=[1.0, 0.5]),
}
"""Losses whose batch is that of all processes."""

CASES = [(name, 1) for name in LOSSES] + [(name, 2) for name in MEANS]
"""A loss and the batches that are accumulated."""

SHARES = ([0, 1, 8, 9], [2, 3, 4, 5])
"""Images of each process: in the first batch of two, the second process has nothing labelled."""


def images(indices: list[int]) -> list[tuple[Tensor, Tensor]]:
    every = uneven_images(10)
    return [every[index] for index in indices]


def train(rank: int, folder: Path) -> None:
    together: dict[str, Any] = {"devices": 2, "strategy": "ddp", "use_distributed_sampler": False}
    for name, batches in CASES:
        weights = [weight.detach() for weight in ours(images(SHARES[rank]), 2, batches, LOSSES[name], **together)]
        torch.save(weights, folder / f"{name}-{batches}-{rank}.pt")


@pytest.fixture(autouse=True)
def threads_of_the_processes() -> Iterator[None]:
    """The net's last digits depend on their number, and an error at the edge of a bin falls to a side by its last."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    in_processes(2, train, folder)
    return folder


@pytest.mark.parametrize(("name", "batches"), CASES)
def test_as_one_process_on_the_images_of_both(name: str, batches: int, trained: Path) -> None:
    joined = images([*SHARES[0][:2], *SHARES[1][:2], *SHARES[0][2:], *SHARES[1][2:]])
    expected = ours(joined, 4 * batches, 1, LOSSES[name])
    for rank in range(2):
        assert_same(torch.load(trained / f"{name}-{batches}-{rank}.pt"), expected)


def test_the_reference_is_torchs_own() -> None:
    joined = images([0, 1, 2, 3, 8, 9, 4, 5])
    assert_same(ours(joined, 4, 1), torchs([joined[:4], joined[4:]]))
