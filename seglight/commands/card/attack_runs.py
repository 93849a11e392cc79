"""Attacks on the images of a split, in batches; what is finished is kept, so that an interrupted run is resumed."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seglight.checkpoints.checkpoint import weights_checksum
from seglight.commands.card.attack_counts import AttackCounts
from seglight.commands.card.progress import Work
from seglight.errors import UserError, one_line
from seglight.images.opencv import single_threaded_opencv
from seglight.inference.whole import WholeImage
from seglight.interfaces import Labelled
from seglight.robustness import Attack
from seglight.system.ranks import rank, sum_over_ranks, world_size

FOLDER = "attacks"
"""Folder of the counts, within that of the card."""


class AttackedSplit(NamedTuple):
    """The images that are attacked, and the net.

    Attributes:
        net: Net that takes images (B, bands, H, W) of values from 0 to 255.
        split: Labelled images.
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        device: Device of the net.
    """

    net: nn.Module
    split: Labelled
    num_classes: int
    ignore_index: int
    device: torch.device


def chosen(length: int, images: int) -> list[int]:
    """Indices of at most `images` images that are evenly spread over a split of a length."""
    return [int(index) for index in np.unique(np.linspace(0, length - 1, min(length, images)).round())]


class AttackRuns:
    """Runs attacks, and counts what the net predicts.

    Several processes share the batches; each of them has the counts of all. They are kept in files, so that a batch is
    attacked once.

    Args:
        attacked: Net and split.
        out: Folder of the card; counts are kept in its folder `attacks`.
        batch_size: Number of images that are attacked together.
        work: Shows the progress of a run of a name and a number of forward passes.
    """

    def __init__(self, attacked: AttackedSplit, out: Path, batch_size: int, work: Callable[[str, int], Work]) -> None:
        self.attacked = attacked
        self.folder = out / FOLDER
        self.batch_size = batch_size
        self.work = work
        self.weights = weights_checksum(attacked.net.state_dict())

    def run(
        self, name: str, attack: Attack | None, indices: Sequence[int], seed: int = 0, source: nn.Module | None = None
    ) -> AttackCounts:
        """Attack images, but for those whose counts are there already.

        Args:
            name: Name of the run; its counts are kept in a folder of this name.
            attack: The attack; None: the images stay as they are.
            indices: Images of the split.
            seed: Seed of the attack.
            source: Net that is attacked, whose images the net of the split then predicts; None: that net itself.

        Raises:
            UserError: Counts of another run are kept under the name, an image can't be attacked, or the logits are not
                finite.
        """
        batches = [list(indices[start : start + self.batch_size]) for start in range(0, len(indices), self.batch_size)]
        identity = self._identity(attack, seed, source)
        files = [self.folder / name / f"{number:05d}.npz" for number in range(len(batches))]
        each = 1 if attack is None else attack.passes
        work = self.work(f"attack {name}", each * len(indices))
        done = 0
        for number, (batch, path) in enumerate(zip(batches, files, strict=True)):
            done += each * len(batch)
            if number % world_size() != rank():
                continue
            if AttackCounts.load(path, f"{identity} {batch}") is None:
                self._attacked(attack, batch, seed, source, work).save(path, f"{identity} {batch}")
                work.reach(done)
            else:
                work.skip(done - work.done)
        work.reach(work.total)
        sum_over_ranks(torch.zeros(1, device=self.attacked.device))  # waits for the files of the other processes
        parts = [AttackCounts.load(path, f"{identity} {batch}") for batch, path in zip(batches, files, strict=True)]
        if missing := [path for path, part in zip(files, parts, strict=True) if part is None]:
            raise UserError(f"{missing[0]}: another process has not written it here: name a folder that they share")
        return AttackCounts.joined([part for part in parts if part is not None])

    def _identity(self, attack: Attack | None, seed: int, source: nn.Module | None) -> str:
        """What the counts depend on, but for the indices of the images."""
        settings = None if attack is None else f"{type(attack).__name__} {attack.built_with}"
        others = None if source is None else weights_checksum(source.state_dict())
        return json.dumps([self.weights, self.attacked.split.fingerprint, settings, seed, others])

    def _attacked(
        self, attack: Attack | None, batch: Sequence[int], seed: int, source: nn.Module | None, work: Work
    ) -> AttackCounts:
        """Attack a batch; images of different sizes one after the other."""
        images, masks, names = zip(*map(self._read, batch), strict=True)
        together = len({image.shape for image in images}) == 1
        groups = [list(range(len(batch)))] if together else [[k] for k in range(len(batch))]
        parts = []
        for group in groups:
            # channels last without a copy, as batches of the loaders are
            image = torch.stack([images[k].permute(1, 2, 0) for k in group]).permute(0, 3, 1, 2)
            mask = torch.stack([masks[k] for k in group]).to(self.attacked.device)
            seeds = [2**32 * seed + batch[k] for k in group]
            try:
                with self._shown(source or self.attacked.net, work):
                    parts.append(self._counted(attack, image.to(self.attacked.device), mask, seeds, source))
            except UserError as error:
                raise UserError(f"{names[group[0]]}: {one_line(error)}") from error
        return AttackCounts.joined(parts)

    def _counted(
        self, attack: Attack | None, image: Tensor, mask: Tensor, seeds: Sequence[int], source: nn.Module | None
    ) -> AttackCounts:
        net = self.attacked.net
        candidates = iter([image]) if attack is None else attack.candidates(source or net, image, mask, seeds)
        labels = [WholeImage().labels(net, one).cpu() for one in candidates]
        return AttackCounts.count(labels, mask.cpu(), self.attacked.num_classes, self.attacked.ignore_index)

    def _read(self, index: int) -> tuple[Tensor, Tensor, str]:
        with single_threaded_opencv():
            image, mask, name = self.attacked.split.read(index)
        pixels, labels = (np.require(array, requirements=["C", "W"]) for array in (image, mask))
        return torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(labels), name

    @contextmanager
    def _shown(self, net: nn.Module, work: Work) -> Iterator[None]:
        """Advance at each forward pass, of which an attack takes hundreds."""
        handle = net.register_forward_hook(lambda _, images, __: work.advance(world_size() * len(images[0])))
        try:
            yield
        finally:
            handle.remove()
