"""The part `attacks` of a card: scores under attack, and whether the attacks can be trusted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seglight.commands.card.attack_counts import AttackCounts
from seglight.commands.card.attack_list import CLEAN, WORST, Planned
from seglight.commands.card.attack_runs import AttackedSplit, AttackRuns, chosen
from seglight.commands.card.gradient_masking import IMAGES, masking_checks, runs_of_checks
from seglight.commands.card.progress import shown, tell
from seglight.commands.card.scores import plain
from seglight.interfaces import Labelled
from seglight.metrics.object_size import ObjectSizeIoU
from seglight.ops.iou import class_iou, mean_iou, ratio
from seglight.robustness import APGD, FGSM, PGD, SEA, Attack, AttackFactory, CosPGD, SegPGD
from seglight.robustness.worst_case import worst_by_accuracy, worst_by_miou

FACTORIES: Mapping[str, AttackFactory] = {
    "fgsm": lambda radius, steps, ignore_index: FGSM(radius, 1, ignore_index),
    "pgd": PGD,
    "pgd_l2": partial(PGD, norm="l2"),
    "segpgd": SegPGD,
    "cospgd": CosPGD,
    "apgd": APGD,
    "sea": SEA,
}
"""Attacks by their names in `--attacks`."""


@dataclass(frozen=True)
class AttackOptions:
    """How a net is attacked.

    Args:
        attacks: Attacks and radii.
        steps: Number of gradient steps of each attack, and of each of the three runs of SEA.
        images: Largest number of images; they are spread evenly over the split.
        batch_size: Number of images that are attacked together.
        seed: Seed of the attacks.
    """

    attacks: Sequence[Planned]
    steps: int = 50
    images: int = 100
    batch_size: int = 4
    seed: int = 0


def attacked_scores(
    net: nn.Module,
    split: Labelled,
    num_classes: int,
    ignore_index: int,
    options: AttackOptions,
    out: Path,
    class_pixels: Sequence[int] | None = None,
    other: nn.Module | None = None,
) -> dict[str, Any]:
    """Attack the images of a split, and compute the scores of the net on the attacked images.

    Counts of finished batches are kept in `out`: an interrupted call resumes there, and gives the same numbers. Several
    processes share the batches; each of them calls this function, and returns the same numbers as one would. Whatever
    the inferer of a recipe, the net sees each image whole.

    Args:
        net: Net that takes images (B, bands, H, W) of values from 0 to 255, in evaluation mode on its device.
        split: Labelled images.
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        options: Attacks, steps and images.
        out: Folder of the card.
        class_pixels: Number of pixels of each class in the split: SEA weighs classes by its inverse. None: by that of
            each image.
        other: Another net, whose adversarial images are tried on this one. None: that check is left out.

    Returns:
        `attacks`: by the name of the attack and its radius the scores under attack, with rows for the clean images
        and the worst case over several attacks; and `gradient_masking`.

    Raises:
        UserError: `out` holds counts of other attacks, or the net can't be attacked.
    """
    device = next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
    indices = chosen(len(split), options.images)
    asked = ", ".join(f"{planned.name}:{planned.shown}" for planned in options.attacks)
    tell(f"attacks     {asked} of {options.steps} steps on {len(indices)} images")
    if number := runs_of_checks(options.attacks, other):
        tell(f"            then {number} attacks on {min(IMAGES, len(indices))} images, which check the gradients")
    with shown() as work:
        attacked = AttackedSplit(net, split, num_classes, ignore_index, device)
        runs = AttackRuns(attacked, out, options.batch_size, work)
        counts = {Planned(CLEAN, "0"): runs.run(CLEAN, None, indices)}
        for planned in options.attacks:
            attack = _attack(planned, options.steps, ignore_index, class_pixels)
            counts[planned] = runs.run(_file_name(planned), attack, indices, options.seed)
        checks = masking_checks(runs, counts, indices, options.steps, options.seed, other)
    rows = {planned: (planned.steps(options.steps), each) for planned, each in counts.items()}
    rows |= {key: (options.steps, each) for key, each in _worst(counts).items()}
    found: dict[str, dict[str, Any]] = {}
    for planned, (steps, each) in rows.items():
        found.setdefault(planned.name, {})[planned.shown] = {
            **scores_under_attack(each),
            "steps": steps,
            "images": len(each),
        }
    return {"attacks": found, "gradient_masking": {"checks": checks}}


def scores_under_attack(counts: AttackCounts) -> dict[str, Any]:
    """Scores of the worst case: of each image for the accuracy, and of all together for the mean IoU and the rest.

    Args:
        counts: Counts of each image under one or more attacks.
    """
    image = np.arange(len(counts))
    right = counts.hit[image, worst_by_accuracy(counts.hit)].sum()
    worst = worst_by_miou(counts.hit, counts.true, counts.predicted)
    sums = counts.hit[image, worst].sum(0), counts.true.sum(0), counts.predicted[image, worst].sum(0)
    return {
        "miou": plain(mean_iou(*sums).item()),
        "accuracy": plain(ratio(right, counts.true.sum()).item()),
        "classes": [plain(value) for value in class_iou(*sums)],
        "sizes": [plain(value) for value in _by_size(counts.sizes[image, worst].sum(0))],
    }


def _by_size(sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean IoU over the classes of each bin, from the counts (4, C, bins) of `ObjectSizeIoU`."""
    metric = ObjectSizeIoU(sizes.shape[1], -1)
    metric.objects, metric.found, metric.missed, metric.wrong = torch.from_numpy(sizes)
    iou = ObjectSizeIoU.compute(metric).iou.numpy()
    there = ~np.isnan(iou)
    return ratio(np.where(there, iou, 0).sum(0), there.sum(0))


def _attack(planned: Planned, steps: int, ignore_index: int, class_pixels: Sequence[int] | None) -> Attack:
    if planned.name == "sea" and class_pixels is not None:
        weights = [1 / max(1, pixels) for pixels in class_pixels]
        return SEA(planned.radius, steps, ignore_index, class_weights=weights)
    return FACTORIES[planned.name](planned.radius, steps, ignore_index)


def _file_name(planned: Planned) -> str:
    return f"{planned.name}_{planned.shown.replace('/', '-')}"


def _worst(counts: Mapping[Planned, AttackCounts]) -> dict[Planned, AttackCounts]:
    """The counts of all attacks together within each radius of the maximum norm that there are several for.

    An attack of a smaller radius, and the clean image, are allowed within a larger one.
    """
    bounded = {planned: each for planned, each in counts.items() if planned.norm == "linf"}
    found = {}
    for planned in sorted(bounded, key=lambda planned: planned.radius):
        within = [each for other, each in bounded.items() if other.radius <= planned.radius]
        if len(within) > 2:  # more than the clean images and one attack
            found[Planned(WORST, planned.shown)] = AttackCounts.side_by_side(within)
    return found
