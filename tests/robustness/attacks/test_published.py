"""Attacks against their published code, which was run once on the net and the images of tests/support/attacked.py.

APGD and SEA: `apgd_largereps` of semseg/attacker.py in github.com/nmndeep/Robust-Segmentation at f8ff8e6, with
`track_loss="ce-avg"`, `use_rs=True`, `early_stop=True` as in its tools/infer.py. PGD, SegPGD and CosPGD: cospgd 0.1.3
from PyPI, in the loop of its unet_backbones. The random starts were those of `Ball.start`.

Covers: robustness.attacks.apgd, robustness.attacks.cospgd, robustness.attacks.pgd, robustness.attacks.sea,
robustness.attacks.segpgd.
"""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.robustness import (
    APGD,
    PGD,
    SEA,
    Attack,
    BalancedMaskedCrossEntropy,
    CosPGD,
    JensenShannon,
    MaskedCrossEntropy,
    SegPGD,
)
from seglight.robustness.attacks.apgd import stages
from seglight.robustness.attacks.ball import Ball
from seglight.robustness.attacks.victim import Victim
from tests.support.attacked import IGNORE, SmoothNet, drawn, right

RADIUS = 6 / 255
SEEDS = [3, 4, 5]
WEIGHTS = [1, 2, 3, 4]
LOSSES = {
    "mask-ce-bal": BalancedMaskedCrossEntropy(WEIGHTS),
    "mask-ce-avg": MaskedCrossEntropy(),
    "js-avg": JensenShannon(),
}
APGD_FIGURES = {
    ("mask-ce-bal", 10): ([471, 545, 447], [1.5032, 1.3615, 1.6013], [0.8064, 0.8399, 0.8092]),
    ("mask-ce-avg", 10): ([458, 533, 435], [1.4045, 1.2607, 1.5800], [0.8230, 0.8442, 0.7934]),
    ("js-avg", 10): ([414, 501, 349], [2.1247, 1.8028, 2.2040], [0.8912, 0.8983, 0.9208]),
    ("mask-ce-bal", 60): ([386, 523, 408], [1.6195, 1.3609, 1.5422], [0.8146, 0.8471, 0.8452]),
    ("mask-ce-avg", 60): ([389, 526, 405], [1.4864, 1.3138, 1.5710], [0.8131, 0.8153, 0.7711]),
    ("js-avg", 60): ([372, 406, 315], [2.2728, 1.9361, 2.2799], [0.9793, 0.9822, 0.9779]),
}
"""Right pixels of 1,024, mean cross-entropy, and mean size of the change in radii, of each of three images."""

PGD_FIGURES = {
    ("PGD", "linf"): ([559, 670, 548], [2.0769, 1.6527, 1.8900], [0.8616, 0.8386, 0.8261]),
    ("PGD", "l2"): ([691, 774, 717], [1.4202, 1.1863, 1.2968], [1, 1, 1]),
    ("SegPGD", "linf"): ([495, 571, 426], [2.1380, 1.7987, 2.1184], [0.8856, 0.8543, 0.8537]),
    ("SegPGD", "l2"): ([645, 728, 650], [1.4216, 1.1701, 1.3437], [1, 1, 1]),
    ("CosPGD", "linf"): ([429, 529, 380], [1.9264, 1.5500, 1.9615], [0.8418, 0.8464, 0.8359]),
    ("CosPGD", "l2"): ([593, 689, 608], [1.2918, 1.0792, 1.2524], [1, 1, 1]),
}
"""The same for 10 steps of 0.005 within 6/255, and for 10 steps of 0.1 within the Euclidean norm 0.5."""

KINDS: dict[str, type[PGD]] = {"PGD": PGD, "SegPGD": SegPGD, "CosPGD": CosPGD}


def figures(found: Tensor, radius: float, norm: str) -> tuple[list[int], list[float], list[float]]:
    image, mask = drawn()
    with torch.no_grad():
        logits = F.interpolate(SmoothNet()(found), mask.shape[-2:], mode="bilinear", align_corners=False)
    loss = F.cross_entropy(logits, mask.long(), reduction="none").mean((1, 2))
    change = (found - image.float()) / 255 / radius
    size = change.abs().mean((1, 2, 3)) if norm == "linf" else change.flatten(1).norm(dim=1)
    return right(SmoothNet(), found, mask), loss.tolist(), size.tolist()


def assert_close(
    found: tuple[list[int], list[float], list[float]], expected: tuple[list[int], list[float], list[float]], far: float
) -> None:
    """The last digits of a gradient near 0 decide its sign, so that long attacks differ by a few pixels."""
    assert found[0] == pytest.approx(expected[0], abs=1024 * far)
    assert found[1] == pytest.approx(expected[1], abs=max(1e-3, far))
    assert found[2] == pytest.approx(expected[2], abs=max(1e-3, far))


@pytest.mark.parametrize(("loss", "steps"), APGD_FIGURES)
def test_apgd_gives_what_the_published_code_gives(loss: str, steps: int) -> None:
    image, mask = drawn()
    attack = APGD(RADIUS, steps, IGNORE, loss=LOSSES[loss])
    ball = Ball(image.float(), 255 * RADIUS, "linf")
    found = attack.find(Victim(SmoothNet(), mask, IGNORE), ball, SEEDS, draw=list(LOSSES).index(loss))
    assert found.right.tolist() == right(SmoothNet(), found.image, mask)
    assert_close(figures(found.image, RADIUS, "linf"), APGD_FIGURES[loss, steps], 0.002 if steps == 10 else 0.02)


def test_sea_is_these_three_runs_and_the_worst_of_each_image() -> None:
    image, mask = drawn()
    attack = SEA(RADIUS, 10, IGNORE, class_weights=WEIGHTS)
    candidates = list(attack.candidates(SmoothNet(), image, mask, SEEDS))
    assert len(candidates) == 3
    for candidate, loss in zip(candidates, LOSSES, strict=True):
        assert_close(figures(candidate, RADIUS, "linf"), APGD_FIGURES[loss, 10], 0.002)
    found = attack(SmoothNet(), image, mask, SEEDS)
    assert torch.equal(found, candidates[2]), "Jensen-Shannon is the worst of all three images"


@pytest.mark.parametrize(("kind", "norm"), PGD_FIGURES)
def test_pgd_gives_what_the_published_code_gives(kind: str, norm: str) -> None:
    image, mask = drawn()
    make = partial(KINDS[kind], ignore_index=IGNORE, steps=10)
    attack: Attack = (
        make(RADIUS, norm="linf", step_size=0.005) if norm == "linf" else make(0.5, norm="l2", step_size=0.1)
    )
    found = attack(SmoothNet(), image, mask, SEEDS)
    assert_close(figures(found, attack.radius, norm), PGD_FIGURES[kind, norm], 0.002)


def test_stages_are_30_30_and_40_percent_of_the_steps() -> None:
    assert stages(300) == [(2.0, 90), (1.5, 90), (1.0, 120)]
    assert stages(10) == [(2.0, 3), (1.5, 3), (1.0, 4)]
    assert stages(2) == [(1.0, 2)]
