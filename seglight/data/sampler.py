"""The order of samples: a permutation of (seed, epoch) for training, each image once for evaluation."""

from collections.abc import Iterator

import numpy as np
from lightning.pytorch import Trainer
from numpy.typing import NDArray
from torch.utils.data import Sampler, SequentialSampler

Key = tuple[int, int]
"""(epoch, index) of a sample."""


class TrainSampler(Sampler[Key]):
    """Rank r takes every world_size-th entry of the permutation, all ranks the same number.

    Args:
        length: Number of samples in the split.
        seed: Seed of the order, together with the epoch.
        rank: Rank of this process.
        world_size: Number of processes.
    """

    def __init__(self, length: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.length = length
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.start = (0, 0)

    def start_at(self, epoch: int, samples: int) -> None:
        """Start an epoch, which is the next one, after a number of samples of all processes, without reading them.

        The processes share the rest. All other epochs begin at their first sample.
        """
        # a loader with workers draws samples before Lightning calls `set_epoch`
        self.epoch = epoch
        self.start = (epoch, samples)

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Key]:
        epoch, order = self._order()
        left = order[self.start[1] if self.start[0] == self.epoch else 0 :]
        own = left[self.rank :: self.world_size][: len(left) // self.world_size]
        yield from ((epoch, int(index)) for index in own)

    def __len__(self) -> int:
        return self.length // self.world_size

    def _order(self) -> tuple[int, NDArray[np.int64]]:
        """Epoch of the samples, and their indices."""
        return self.epoch, np.random.default_rng((self.seed, self.epoch)).permutation(self.length)


class SameSamples(TrainSampler, SequentialSampler):  # type: ignore[misc]
    """The samples of the first epoch, in the order of their index, in every epoch: for overfitting on purpose.

    It is a SequentialSampler, so that Lightning does not replace it by one, which would not yield (epoch, index).

    Args:
        length: Number of samples in the split.
        seed: Unused.
        rank: Rank of this process.
        world_size: Number of processes.
    """

    def _order(self) -> tuple[int, NDArray[np.int64]]:
        return 0, np.arange(self.length)


def sampler_kind(trainer: Trainer | None) -> type[TrainSampler]:
    """Class of the training sampler for a trainer, which may overfit, or for no trainer."""
    overfits = isinstance(trainer, Trainer) and trainer.overfit_batches > 0  # type: ignore[attr-defined]
    return SameSamples if overfits else TrainSampler


class EvalSampler(Sampler[list[Key]]):
    """Batches of images r, r + world_size, ... for rank r: each image exactly once, none twice to balance the ranks.

    A rank beyond the last image has one empty batch, so that it takes part in collective operations.

    Args:
        length: Number of images in the split.
        batch_size: Number of images of a batch; the last one may have fewer.
        rank: Rank of this process.
        world_size: Number of processes.
    """

    def __init__(self, length: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        own = range(rank, length, world_size)
        self.batches = [own[start : start + batch_size] for start in range(0, max(1, len(own)), batch_size)]
        self.start = 0

    def start_at(self, batches: int) -> None:
        """Start only the next pass after a number of batches of this process."""
        self.start = batches

    def __iter__(self) -> Iterator[list[Key]]:
        start = self.start
        self.start = 0
        yield from ([(0, index) for index in batch] for batch in self.batches[start:])

    def __len__(self) -> int:
        return len(self.batches)
