"""Masks of the queries' attention that fade out in the course of a run (arXiv 2503.19108, section 3.3)."""

import struct
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.system.ranks import rank, world_size

POWER = 0.9
"""Exponent with which the share of masked queries falls."""


def equal_phases(num_blocks: int) -> list[tuple[float, float]]:
    """When each block's masks fade out, as fractions of the run: one after the other, in `num_blocks` + 2 equal phases.

    In the first phase all queries are masked, in the last none.
    """
    phases = num_blocks + 2
    return [((block + 1) / phases, (block + 2) / phases) for block in range(num_blocks)]


class MaskAnnealing(nn.Module):
    """Which queries are masked in each of the last blocks, by how much of the run is done.

    In training, a query of an image is masked at random with the probability of its block. The draw is a function of
    the seed, the fraction of the run that is done and the image's place among those of the step, of all processes and
    of accumulated batches: nothing has to be kept for a run that is resumed. In evaluation, a block masks all queries
    if its probability is one half or more, and else none, so that predictions are not random. Checkpoints hold which.

    Args:
        phases: For each block the fractions of the run at which its masks begin to fade and are gone.
        seed: Seed of the draws.

    Attributes:
        masked: Whether each block masks the queries in evaluation, bool (blocks,).

    Raises:
        UserError: A phase is not within 0 to 1, or has no length.
    """

    masked: Tensor

    def __init__(self, phases: Sequence[tuple[float, float]], seed: int = 0) -> None:
        super().__init__()
        self.phases = [(float(start), float(end)) for start, end in phases]
        if not all(0 <= start < end <= 1 for start, end in self.phases):
            raise UserError(
                f"model.net.annealing {self.phases}: give for each block two fractions of the run, the smaller first"
            )
        self.seed = seed
        self.fraction = 0.0
        self.images = 0
        """Images of this process since the progress last changed, which the places of accumulated batches follow."""
        self.probabilities = (1.0,) * len(self.phases)
        # a bool, so that averages of weights copy it
        self.register_buffer("masked", torch.ones(len(self.phases), dtype=torch.bool))
        self.in_evaluation = (True,) * len(self.phases)
        self.register_load_state_dict_post_hook(_read)  # type: ignore[no-untyped-call]

    def set_progress(self, fraction: float) -> None:
        """Set the probabilities; `fraction` of the run, from 0 to 1, is done."""
        if fraction != self.fraction:
            self.fraction = fraction
            self.images = 0
        self.probabilities = tuple(_probability(fraction, *phase) for phase in self.phases)
        in_evaluation = tuple(probability >= 0.5 for probability in self.probabilities)
        if in_evaluation != self.in_evaluation:
            self.in_evaluation = in_evaluation
            self.masked.copy_(torch.tensor(in_evaluation))

    def rows(self, images: int, queries: int) -> list[Tensor | None]:
        """For each block which queries are masked, bool (images, queries); None: the block masks none.

        Args:
            images: Number of images of this process.
            queries: Number of queries.
        """
        if self.training:
            drawn: list[Tensor | None] = self._drawn(images, queries)
            return drawn
        every = torch.ones(images, queries, dtype=torch.bool, device=self.masked.device)
        return [every if masked else None for masked in self.in_evaluation]

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _drawn(self, images: int, queries: int) -> list[Tensor | None]:
        if not any(self.probabilities):
            return [None] * len(self.probabilities)
        entropy = (self.seed, int.from_bytes(struct.pack("<d", self.fraction), "little"))
        state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(state >> 1))
        # process r has the places r, r + processes, ... of what is one batch for a single process
        first, processes = self.images * world_size(), world_size()
        shape = (first + images * processes, len(self.phases), queries)
        drawn = torch.rand(shape, generator=generator)[first + rank() :: processes].transpose(0, 1)
        self.images += images
        rows = (drawn < torch.tensor(self.probabilities)[:, None, None]).to(self.masked.device, non_blocking=True)
        return [row if probability else None for row, probability in zip(rows, self.probabilities, strict=True)]


def _probability(fraction: float, start: float, end: float) -> float:
    if fraction < start:
        return 1.0
    left: float = max(0.0, (end - fraction) / (end - start)) ** POWER
    return left


def _read(annealing: MaskAnnealing, keys: object) -> None:
    """Take what a checkpoint says about evaluation."""
    annealing.in_evaluation = tuple(annealing.masked.tolist())
