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
        length: Samples in the split.
        seed: With the epoch, decides the order.
        rank: This process.
        world_size: Number of processes.
    """

    def __init__(self, length: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.length, self.seed, self.rank, self.world_size = length, seed, rank, world_size
        self.epoch = 0
        self.start = (0, 0)

    def start_at(self, epoch: int, samples: int) -> None:
        """Let this epoch, the next one, begin after so many samples of all processes; nothing is read to get there.

        The processes share what is left. Every other epoch begins at its first sample.
        """
        # a loader with workers asks for samples before Lightning has told it the epoch
        self.epoch, self.start = epoch, (epoch, samples)

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
        """The epoch whose samples these are, and their indices."""
        return self.epoch, np.random.default_rng((self.seed, self.epoch)).permutation(self.length)


class SameSamples(TrainSampler, SequentialSampler):  # type: ignore[misc]
    """The samples of the first epoch, in the order of their index, in every epoch: for a net to learn by heart.

    By being a SequentialSampler it keeps Lightning from putting one in its place, which knows no (epoch, index).

    Args:
        length: Samples in the split.
        seed: Unused.
        rank: This process.
        world_size: Number of processes.
    """

    def _order(self) -> tuple[int, NDArray[np.int64]]:
        return 0, np.arange(self.length)


def sampler_kind(trainer: Trainer | None) -> type[TrainSampler]:
    """What gives the order of training samples: that of a trainer, which may be one that overfits, or of none."""
    overfits = isinstance(trainer, Trainer) and trainer.overfit_batches > 0  # type: ignore[attr-defined]
    return SameSamples if overfits else TrainSampler


class EvalSampler(Sampler[list[Key]]):
    """Batches of images r, r + world_size, ... for rank r: each image exactly once, none twice to make shares even.

    A rank beyond the last image has one batch of no images, so that it goes along with what all ranks do together.

    Args:
        length: Images in the split.
        batch_size: Images of a batch; the last one may have fewer.
        rank: This process.
        world_size: Number of processes.
    """

    def __init__(self, length: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        own = range(rank, length, world_size)
        self.batches = [own[start : start + batch_size] for start in range(0, max(1, len(own)), batch_size)]
        self.start = 0

    def start_at(self, batches: int) -> None:
        """Let the next pass, and no other, begin after so many batches of this process."""
        self.start = batches

    def __iter__(self) -> Iterator[list[Key]]:
        start, self.start = self.start, 0
        yield from ([(0, index) for index in batch] for batch in self.batches[start:])

    def __len__(self) -> int:
        return len(self.batches)
