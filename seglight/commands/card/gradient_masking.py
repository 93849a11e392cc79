"""Checks whether gradients are masked: then attacks fail although the net is not robust.

Athalye, Carlini & Wagner 2018, arXiv 1802.00420, section 3.1, list the signs: a larger radius does not help the attack,
one step is stronger than several, random images are stronger than the gradient, attacks without a bound fail, and
images of another net's gradients are stronger than those of its own. A check that fails says that the scores under
attack may be too good; checks that pass do not prove that they are right.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seglight.checkpoints.checkpoint import weights_checksum
from seglight.commands.card.attack_counts import AttackCounts
from seglight.commands.card.attack_list import CLEAN, Planned
from seglight.commands.card.attack_runs import AttackRuns
from seglight.robustness import FGSM, PGD, Attack
from seglight.robustness.attacks.ball import Ball
from seglight.robustness.attacks.victim import Victim

IMAGES = 8
"""Number of images of the checks that need attacks of their own."""

STEPS = 50
"""Largest number of steps of these attacks."""

RESTARTS = 3
"""Number of random starts that are compared."""

TOLERANCE = 0.01
"""Accuracy by which a weaker attack may be stronger, which chance explains."""

SPREAD = 0.05
"""Accuracy by which the worst of the random starts may be below the first."""

UNBOUNDED = 0.5
"""Radius within which nothing is recognisable."""

LEFT = 0.1
"""Accuracy that may be left within it; where one class has more of the pixels, its share, which is what a net leaves
that answers it everywhere."""


class RandomSigns(Attack):
    """No attack: each value is changed by the radius, up or down by chance."""

    def perturb(self, victim: Victim, ball: Ball, seeds: Sequence[int]) -> Tensor:
        """The images at random corners of the ball."""
        direction = ball.start(seeds) - ball.clean
        return ball.project(ball.clean + ball.radius * torch.where(direction < 0, -1.0, 1.0))


def masking_checks(
    runs: AttackRuns,
    counts: Mapping[Planned, AttackCounts],
    indices: Sequence[int],
    steps: int,
    seed: int,
    other: nn.Module | None,
) -> list[dict[str, Any]]:
    """Check the attacks of a card, and run a few weak ones to compare with.

    Args:
        runs: Runs attacks.
        counts: Counts under each attack that was asked for.
        indices: Images of the split that were attacked.
        steps: Number of steps of the attacks.
        seed: Seed of the attacks.
        other: Another net, or None.

    Returns:
        `name`, `passed` and `detail` of each check.
    """
    if not any(each.true.any() for each in counts.values()):  # nothing is labelled
        return []
    checks = _larger_radius(counts)
    radii = [planned for planned in counts if planned.name != CLEAN and planned.norm == "linf"]
    if not radii:
        return checks
    largest = max(radii, key=lambda planned: planned.radius)
    clean = next(each for planned, each in counts.items() if planned.name == CLEAN)
    labelled = [index for index, pixels in zip(indices, clean.true.sum(1), strict=True) if pixels]
    few = labelled[:: max(1, len(labelled) // IMAGES)][:IMAGES]
    ignored = runs.attacked.ignore_index
    attack = PGD(largest.radius, min(steps, STEPS), ignored)
    at = f"at {largest.shown} on {len(few)} images"

    starts = [runs.run(f"check_pgd_{k}", attack, few, seed + k) for k in range(RESTARTS)]
    own = starts[0].accuracy()
    noise = runs.run("check_noise", RandomSigns(largest.radius, 1, ignored), few, seed).accuracy()
    one = runs.run("check_fgsm", FGSM(largest.radius, 1, ignored), few, seed).accuracy()
    every = AttackCounts.side_by_side(starts).accuracy()
    # from the image itself: a random start within this radius destroys the image without any gradient
    far = PGD(UNBOUNDED, attack.steps, ignored, random_start=False)
    unbounded = runs.run("check_unbounded", far, few, seed)
    mine = f"{attack.steps} steps of PGD leave an accuracy of {own:.3f} {at}"
    checks += [
        _check("stronger than noise", own <= noise + TOLERANCE, f"{mine}, noise of the same size {noise:.3f}"),
        _check("several steps stronger than one", own <= one + TOLERANCE, f"{mine}, one step {one:.3f}"),
        _check(
            "random restarts agree",
            own - every <= SPREAD,
            f"{mine}, the worst of {RESTARTS} random starts of each image {every:.3f}",
        ),
        unbounded_check(unbounded, attack.steps),
    ]
    if other is not None:
        name = f"check_transfer_{weights_checksum(other.state_dict())[:16]}"  # a resumed card may name another net
        moved = runs.run(name, attack, few, seed, other).accuracy()
        detail = f"{mine}, on images made with the gradients of the other net {moved:.3f}"
        checks.append(_check("stronger than transfer", own <= moved + TOLERANCE, detail))
    return checks


def runs_of_checks(attacks: Sequence[Planned], other: nn.Module | None) -> int:
    """Number of attacks that `masking_checks` runs.

    Args:
        attacks: The attacks that were asked for.
        other: Another net, or None.
    """
    bounded = any(planned.norm == "linf" for planned in attacks)
    return (RESTARTS + 3 + (other is not None)) if bounded else 0  # noise, one step, and without a bound


def unbounded_check(counts: AttackCounts, steps: int) -> dict[str, Any]:
    """Check that no more is left within half of the range than an answer without a look at the image gets right.

    A bound below that would be missed by nets whose gradients are honest: where everything has been destroyed, they
    answer the most frequent class.

    Args:
        counts: Counts of an attack within half of the range.
        steps: Number of its steps.
    """
    pixels = counts.true.sum(0)
    most = float(pixels.max() / pixels.sum())
    left = counts.accuracy()
    return _check(
        "nothing is recognised without a bound",
        left <= max(LEFT, most + TOLERANCE),
        f"{steps} steps of PGD within half of the range leave an accuracy of {left:.3f}, the most frequent class alone "
        f"has {most:.3f} of the pixels",
    )


def _larger_radius(counts: Mapping[Planned, AttackCounts]) -> list[dict[str, Any]]:
    """For each attack of several radii, whether the accuracy falls from each to the next."""
    checks = []
    for name in dict.fromkeys(planned.name for planned in counts):
        radii = sorted((planned for planned in counts if planned.name == name), key=lambda planned: planned.radius)
        if len(radii) < 2:
            continue
        left = [counts[planned].accuracy() for planned in radii]
        passed = all(after <= before + TOLERANCE for before, after in itertools.pairwise(left))
        shown = ", ".join(f"{accuracy:.3f} at {planned.shown}" for planned, accuracy in zip(radii, left, strict=True))
        checks.append(_check("a larger radius helps the attack", passed, f"{name} leaves an accuracy of {shown}"))
    return checks


def _check(name: str, passed: bool, detail: str) -> dict[str, Any]:
    return {"name": name, "passed": bool(passed), "detail": detail}
