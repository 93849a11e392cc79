"""A net on corrupted images, and the consistency of its labels: what `card --robustness` adds beside the attacks.

Each kind and severity is a pass over the split whose counts are written when it is finished, image by image: an
interrupted card continues after the last one, and intervals can be computed later.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seglight.callbacks.image_scores import in_turn
from seglight.commands.card.consistency_counts import load_consistency, save_consistency
from seglight.commands.card.progress import Work, shown, tell
from seglight.commands.card.reference import Reference, relative_scores
from seglight.data.collate import collate_padded
from seglight.data.dataset import SegmentationDataset
from seglight.data.loader import Loader
from seglight.data.sampler import EvalSampler
from seglight.errors import UserError, one_line, say
from seglight.images.types import LabelMap
from seglight.interfaces import Inferer, Labelled, bands_of
from seglight.metrics.image_counts import ImageCounts, ScoredImages
from seglight.ops.confusion import confusion_matrix
from seglight.ops.iou import mean_iou
from seglight.robustness.consistency import SETTINGS, consistency
from seglight.robustness.corruptions.corrupt import CORRUPTIONS, SEVERITIES, corrupt
from seglight.system.ranks import rank, world_size

FOLDER = "corruptions"
"""Folder of the counts in that of the card: KIND-SEVERITY.npz, clean.npz and consistency.npz."""

CLEAN = "clean"


@dataclass(frozen=True)
class CorruptionOptions:
    """What is scored.

    Args:
        split: Name of the split.
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        kinds: Kinds of corruptions.
        seed: Seed of the corruptions.
        num_workers: Number of processes that read and corrupt images; 0: this one.
        memory_format: Memory format of the net.
    """

    split: str
    num_classes: int
    ignore_index: int
    kinds: tuple[str, ...] = CORRUPTIONS
    seed: int = 0
    num_workers: int = 0
    memory_format: torch.memory_format = torch.contiguous_format


@dataclass(frozen=True)
class CorruptedSplit(Labelled):
    """A split whose images are corrupted when they are read.

    Args:
        split: Images of 3 bands, uint8.
        kind: Kind of the corruption.
        severity: Its severity.
        seed: Its seed.
    """

    split: Labelled
    kind: str
    severity: int
    seed: int

    def __len__(self) -> int:
        return len(self.split)

    @property
    def fingerprint(self) -> str:
        """Identity of the split and of the corruption."""
        return f"{self.split.fingerprint} {self.kind} {self.severity} {self.seed}"

    def sources(self, index: int) -> tuple[Path, ...]:
        """Files of an image."""
        return self.split.sources(index)

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        """Corrupted image uint8 (H, W, 3), mask uint8 (H, W), name.

        Raises:
            UserError: The image is not uint8 of 3 bands.
        """
        image, mask, name = self.split.read(index)
        return corrupt(image, self.kind, self.severity, self.seed, name), mask, name


class Seen(NamedTuple):
    """An image of a pass: its name, its pixels uint8 (H, W, 3), its mask (H, W)."""

    name: str
    image: NDArray[np.uint8]
    mask: Tensor


def corrupted_scores(
    net: nn.Module,
    inferer: Inferer,
    split: Labelled,
    options: CorruptionOptions,
    out: Path,
    reference: Reference | None = None,
) -> dict[str, Any]:
    """Score a net on corrupted images, and count how consistent its labels are.

    All processes of a group call it; each takes its share of the images.

    Args:
        net: Net that takes uint8 (B, 3, H, W), in evaluation mode, on its device.
        inferer: How it is applied to an image.
        split: The images.
        options: What is scored.
        out: Folder of the card. Passes whose counts are there are not repeated.
        reference: What the scores are compared with.

    Returns:
        The keys "corruptions", "corruption_mean", "relative" and "consistency" of `robustness` in card.json.

    Raises:
        UserError: The net or an image is not for 3 bands, or an image can't be read or predicted.
    """
    if bands_of(net) != 3:
        raise UserError(f"--corruptions: the net reads {bands_of(net)} bands: corruptions need RGB images of three")
    passes = len(options.kinds) * len(SEVERITIES) + len(SETTINGS) + 1
    kinds = f"{len(options.kinds)} kind{'s' * (len(options.kinds) != 1)} of {len(SEVERITIES)} severities"
    tell(f"corruptions {kinds} and the consistency: {passes} passes over {len(split)} images")
    with shown() as work:
        run = _Run(net, inferer, split, options, out / FOLDER, work("corruptions", passes * len(split)))
        clean, same = run.consistency()
        scores = {kind: [_miou(run.corrupted(kind, severity)) for severity in SEVERITIES] for kind in options.kinds}
    return summary(_miou(clean), scores, same, reference)


def summary(
    clean: float, scores: dict[str, list[float]], same: NDArray[np.int64], reference: Reference | None
) -> dict[str, Any]:
    """The numbers as they stand in card.json; None where one is undefined.

    Args:
        clean: Mean IoU without a corruption.
        scores: Mean IoU of each severity, by kind.
        same: (settings, 2) pixels with the same label, and all that are compared, for each of `SETTINGS`.
        reference: What the scores are compared with.
    """
    means = {kind: float(np.mean(values)) for kind, values in scores.items()}
    all_common = set(CORRUPTIONS) <= set(means)
    shares: dict[str, dict[str, float | None]] = {}
    for (what, much), (kept, total) in zip(SETTINGS, same.tolist(), strict=True):
        shares.setdefault(what, {})[much] = kept / total if total else None
    return {
        "corruptions": {
            kind: {"severities": [_plain(value) for value in values], "mean": _plain(means[kind])}
            for kind, values in scores.items()
        },
        "corruption_mean": _plain(float(np.mean([means[kind] for kind in CORRUPTIONS]))) if all_common else None,
        "relative": None if reference is None else relative_scores(clean, means, reference),
        "consistency": shares,
    }


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _miou(scored: ScoredImages) -> float:
    return float(mean_iou(*(each.sum(0) for each in scored.counts.by_class())))


class _Run:
    """Passes over a split, whose counts are read if they are there.

    Args:
        net: As in `corrupted_scores`.
        inferer: As in `corrupted_scores`.
        split: As in `corrupted_scores`.
        options: As in `corrupted_scores`.
        folder: Folder of the counts.
        work: Shows the progress, in predictions of all processes.
    """

    def __init__(
        self,
        net: nn.Module,
        inferer: Inferer,
        split: Labelled,
        options: CorruptionOptions,
        folder: Path,
        work: Work,
    ) -> None:
        self.net = net
        self.inferer = inferer
        self.split = split
        self.options = options
        self.folder = folder
        self.work = work
        self.device = next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
        # looked up before any process can have written one: all of them repeat the same passes
        self.there = {path.name for path in folder.glob("*.npz")}

    def corrupted(self, kind: str, severity: int) -> ScoredImages:
        """Counts of the images under a corruption."""
        what = f"{kind}-{severity}"
        former = self._former(what)
        if former is not None:
            self.work.skip(len(self.split))
            return former
        split = CorruptedSplit(self.split, kind, severity, self.options.seed)
        found = []
        for seen in self._images(split):
            found.append((seen.name, self._count(self._labels(seen.name, seen.image), seen.mask)))
            self.work.advance(world_size())
        return self._keep(what, found)

    def consistency(self) -> tuple[ScoredImages, NDArray[np.int64]]:
        """Counts of the images as they are, and for each setting the pixels that keep their label, and all of them."""
        path = self.folder / "consistency.npz"
        former = self._former(CLEAN)
        if former is not None and path.name in self.there:
            same = load_consistency(path, len(self.split))
            if same is not None:
                self.work.skip(len(self.split) * (len(SETTINGS) + 1))
                return former, same.sum(0)
            say(f"{path}: damaged: these images are predicted again")
        found = []
        counts = []
        for name, image, mask in self._images(self.split):
            labels = self._labels(name, image)
            found.append((name, self._count(labels, mask)))
            counts.append(consistency(partial(self._labels, name), image, labels))
            self.work.advance(world_size() * (len(SETTINGS) + 1))
        counts = in_turn(counts)
        if rank() == 0:
            save_consistency(path, counts)
        return self._keep(CLEAN, found), np.sum(counts, 0)

    def _images(self, split: Labelled) -> Iterator[Seen]:
        dataset = SegmentationDataset(split, num_classes=self.options.num_classes)
        loader = Loader(
            dataset,
            batch_sampler=EvalSampler(len(dataset), 1, rank(), world_size()),
            collate_fn=collate_padded,
            num_workers=self.options.num_workers,
            generator=torch.Generator().manual_seed(0),  # otherwise it draws from the global one
        )
        for batch in loader:
            for name, image, mask in zip(batch["name"], batch["image"], batch["mask"], strict=True):
                if image.shape[0] != 3:
                    raise UserError(f"{name}: {image.shape[0]} bands: corruptions need RGB images of three")
                yield Seen(name, image.permute(1, 2, 0).numpy(), mask)

    def _labels(self, name: str, image: NDArray[np.uint8]) -> LabelMap:
        """Label map (H, W) of an image uint8 (H, W, 3)."""
        batch = torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0).to(self.device)
        try:
            with torch.inference_mode():
                labels = self.inferer.labels(self.net, batch.contiguous(memory_format=self.options.memory_format))
        except UserError as error:
            raise UserError(f"{name}: {one_line(error)}") from error
        found: LabelMap = labels[0].cpu().numpy()
        return found

    def _count(self, labels: LabelMap, mask: Tensor) -> NDArray[np.int64]:
        """Confusion matrix as its non-empty cells (N, 2): cell and number of pixels."""
        options = self.options
        confusion = confusion_matrix(
            torch.from_numpy(labels), mask, options.num_classes, options.ignore_index
        ).flatten()
        cells = confusion.nonzero().squeeze(1)
        return torch.stack([cells, confusion[cells]], 1).numpy()

    def _former(self, what: str) -> ScoredImages | None:
        """Counts that an interrupted card has written; None if there are none that can be used."""
        path = self.folder / f"{what}.npz"
        if path.name not in self.there:
            return None
        try:
            former = ScoredImages.load(path)
        except UserError:
            say(f"{path}: damaged: these images are scored again")
            return None
        fits = len(former.names) == len(self.split) and former.counts.num_classes == self.options.num_classes
        if not fits:
            say(f"{path}: counts of other images: these images are scored again")
        return former if fits else None

    def _keep(self, what: str, own: Sequence[tuple[str, NDArray[np.int64]]]) -> ScoredImages:
        """Join the counts of all processes, and write them."""
        found = in_turn(list(own))
        cells = np.concatenate([cells for _, cells in found])
        lengths = np.array([len(cells) for _, cells in found], np.int64)
        counts = ImageCounts(self.options.num_classes, lengths, cells[:, 0], cells[:, 1])
        scored = ScoredImages(self.options.split, 1, [name for name, _ in found], counts)
        if rank() == 0:
            scored.save(self.folder / f"{what}.npz")
        return scored
