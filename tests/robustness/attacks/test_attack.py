"""What holds for every attack: the ball, the range, the state of the net, seeds and batches.

Covers: robustness.attacks.ball, robustness.attacks.fgsm.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.bands import blank_image, use_bands
from seglight.models.decoders import FPN
from seglight.robustness import APGD, FGSM, PGD, SEA, Attack, CosPGD, SegPGD
from seglight.robustness.attacks.ball import Ball
from tests.support.attacked import IGNORE, SmoothNet, drawn, right

RADIUS = 12 / 255
ATTACKS: dict[str, Attack] = {
    "FGSM": FGSM(RADIUS, 1, IGNORE),
    "PGD": PGD(RADIUS, 5, IGNORE),
    "PGD, no random start": PGD(RADIUS, 5, IGNORE, step_size=0.01, random_start=False),
    "PGD, l2": PGD(1.0, 5, IGNORE, "l2"),
    "SegPGD": SegPGD(RADIUS, 5, IGNORE),
    "CosPGD": CosPGD(RADIUS, 5, IGNORE),
    "APGD": APGD(RADIUS, 10, IGNORE),
    "APGD, l2": APGD(1.0, 10, IGNORE, "l2"),
    "SEA": SEA(RADIUS, 10, IGNORE),
}
SEEDS = [3, 4, 5]
everyone = pytest.mark.parametrize("name", ATTACKS)


@everyone
def test_images_are_within_the_ball_and_the_range_and_worse(name: str) -> None:
    attack = ATTACKS[name]
    image, mask = drawn(ignored=0.1)
    image[0, :, :8] = 0
    image[0, :, 8:16] = 255
    net = SmoothNet()
    found = attack(net, image, mask, SEEDS)
    assert found.dtype == torch.float32
    assert found.shape == image.shape
    assert float(found.min()) >= 0
    assert float(found.max()) <= 255
    change = (found - image.float()) / 255
    size = change.abs().amax() if attack.norm == "linf" else change.flatten(1).norm(dim=1).amax()
    assert attack.radius / 2 < float(size) <= attack.radius * (1 + 1e-5)
    assert sum(right(net, found, mask)) < 0.9 * sum(right(net, image, mask))


@everyone
def test_an_image_does_not_depend_on_its_batch_and_depends_on_its_seed(name: str) -> None:
    attack = ATTACKS[name]
    image, mask = drawn(ignored=0.1)
    net = SmoothNet()
    together = attack(net, image, mask, SEEDS)
    for k, seed in enumerate(SEEDS):
        alone = attack(net, image[k : k + 1], mask[k : k + 1], [seed])
        assert torch.equal(alone[0], together[k]) or attack.norm == "l2", "to the last bit on a CPU"
        torch.testing.assert_close(alone[0], together[k], rtol=0, atol=1e-3)
    torch.testing.assert_close(attack(net, image, mask, SEEDS), together, rtol=0, atol=0)
    other = attack(net, image, mask, [6, 7, 8])
    starts_at_random = name not in ("FGSM", "PGD, no random start")
    assert torch.equal(other, together) != starts_at_random


class Watched(SmoothNet):
    """Notes its modes and the parameters that require gradients, at each forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.modes: set[tuple[bool, ...]] = set()

    def forward(self, image: Tensor) -> Tensor:
        trained = any(parameter.requires_grad for parameter in self.parameters())
        self.modes.add((self.training, self.norm.training, trained))
        return super().forward(255 * self.norm(image.float() / 255))


def test_the_net_is_in_evaluation_mode_without_gradients_and_restored() -> None:
    image, mask = drawn()
    net = Watched()
    net.train()
    net.norm.eval()
    net.head.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad():
        SEA(RADIUS, 5, IGNORE)(net, image, mask, SEEDS)
    assert net.modes == {(False, False, False)}
    assert (net.training, net.body.training, net.norm.training) == (True, True, False)
    assert [name for name, parameter in net.named_parameters() if not parameter.requires_grad] == ["head.weight"]
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_net_is_restored_after_an_error() -> None:
    image, mask = drawn(1)
    mask[0, 0, 0] = 9
    net = SmoothNet().train()
    with pytest.raises(UserError, match="9"):
        PGD(RADIUS, 2, IGNORE)(net, image, mask, [0])
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())


@everyone
def test_a_call_can_have_another_radius(name: str) -> None:
    attack = ATTACKS[name]
    image, mask = drawn(1)
    change = attack(SmoothNet(), image, mask, [0], 0.01) - image.float()
    assert 0 < float(change.abs().max()) <= 255 * 0.01 * (1 + 1e-5)
    assert torch.equal(attack(SmoothNet(), image, mask, [0], 0), image.float())


def test_passes_are_those_that_are_taken() -> None:
    image, mask = drawn(1)
    calls: list[int] = []
    net = SmoothNet()
    net.register_forward_hook(lambda *_: calls.append(1))
    for attack in ATTACKS.values():
        calls.clear()
        attack(net, image, mask, [0])
        assert len(calls) == attack.passes


class Constant(nn.Module):
    """Labels everything as class 1; the image has no influence."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.stack([0 * image[:, 0], 1 + 0 * image[:, 1]], 1)


class Broken(nn.Module):
    """Its gradient is NaN in the left half."""

    def forward(self, image: Tensor) -> Tensor:
        left, right = (image - 128).chunk(2, dim=-1)
        left = left + (0 * left).sqrt()
        score = torch.cat([left, right], -1).mean(1)
        return torch.stack([score, -score], 1)


def test_a_gradient_that_is_not_finite_moves_nothing() -> None:
    image, mask = drawn(1)
    found = PGD(RADIUS, 3, IGNORE, random_start=False)(Broken(), image, mask % 2, [0])
    assert bool(found.isfinite().all())
    assert torch.equal(found[..., :16], image[..., :16].float())
    assert not torch.equal(found[..., 16:], image[..., 16:].float())


@pytest.mark.parametrize("name", ["APGD", "SEA"])
def test_an_image_without_a_right_pixel_takes_no_more_passes(name: str) -> None:
    image, _ = drawn(2)
    mask = torch.tensor([0, 1]).view(2, 1, 1).expand(2, 32, 32)
    sizes: list[int] = []
    net = Constant()
    net.register_forward_hook(lambda module, args, out: sizes.append(len(args[0])))
    ATTACKS[name](net, image, mask, [0, 1])
    runs = 3 if name == "SEA" else 1
    # each of the three stages looks at both, then takes its 3, 3 or 4 steps with the second image only
    assert sum(sizes) == runs * (2 + 3 + 2 + 3 + 2 + 4)


def test_nothing_is_done_for_an_image_that_is_all_ignored() -> None:
    image, _ = drawn(1)
    mask = torch.full((1, 32, 32), IGNORE)
    for name, attack in ATTACKS.items():
        found = attack(SmoothNet(), image, mask, [0])
        assert bool(found.isfinite().all()), name


def test_steps_and_projections_by_hand() -> None:
    clean = torch.tensor([10.0, 100.0, 250.0]).view(1, 3, 1, 1)
    linf = Ball(clean, 20, "linf")
    moved = linf.step(clean, torch.tensor([-3.0, 0.0, 1e-9]).view(1, 3, 1, 1), 15.0)
    assert moved.flatten().tolist() == [-5, 100, 265]
    assert linf.project(moved).flatten().tolist() == [0, 100, 255]
    assert linf.project(clean - 50).flatten().tolist() == [0, 80, 230]
    l2 = Ball(clean, 10, "l2")
    moved = l2.step(clean, torch.tensor([3.0, 4.0, 0.0]).view(1, 3, 1, 1), 20.0)
    assert moved.flatten().tolist() == pytest.approx([22, 116, 250])
    assert l2.project(moved).flatten().tolist() == pytest.approx([16, 108, 250])
    assert l2.project(clean + torch.tensor([0.0, 0.0, 8.0]).view(1, 3, 1, 1)).flatten().tolist() == [10, 100, 255]


def test_random_starts_fill_the_ball() -> None:
    clean = torch.full((2, 3, 64, 64), 128.0)
    start = Ball(clean, 8, "linf").start([1, 2]) - clean
    assert not torch.equal(start[0], start[1])
    assert torch.equal(start, Ball(clean, 8, "linf").start([1, 2]) - clean)
    assert not torch.equal(start, Ball(clean, 8, "linf").start([1, 2], draw=1) - clean)
    quantiles = np.quantile(start.numpy(), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(quantiles, [-8, -4, 0, 4, 8], atol=0.2)
    lengths = (Ball(clean, 8, "l2").start([1, 2]) - clean).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.tensor([8.0, 8.0]))


WRONG: dict[str, tuple[type[Attack], dict[str, Any], str]] = {
    "steps": (PGD, {"steps": 0}, "steps is 0: it has to be a whole number of at least 1"),
    "radius": (PGD, {"radius": 4.0}, "radius is 4.0: it is a share of the range"),
    "norm": (PGD, {"norm": "l1"}, 'norm is \'l1\': it has to be "linf" or "l2"'),
    "step size": (PGD, {"step_size": -1.0}, "step_size is -1.0"),
    "FGSM": (FGSM, {"steps": 3}, "steps is 3: FGSM takes one step"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused(name: str) -> None:
    kind, wrong, message = WRONG[name]
    with pytest.raises(UserError, match=message):
        kind(**{"radius": RADIUS, "steps": 1, "ignore_index": IGNORE, **wrong})


def test_batches_of_other_numbers_are_refused() -> None:
    image, mask = drawn()
    with pytest.raises(UserError, match="3 images, 3 masks and 1 seeds"):
        PGD(RADIUS, 1, IGNORE)(SmoothNet(), image, mask, [0])
    assert PGD(RADIUS, 1, IGNORE)(SmoothNet(), image[:0], mask[:0], []).shape == (0, 3, 32, 32)


def test_other_images_than_of_8_bits_are_refused() -> None:
    for bands in (Bands(("a", "b"), "uint16", (0.0, 0.0), (1.0, 1.0)), Bands(nodata=0)):
        net = EncoderDecoder(2, TimmEncoder("test_resnet", weights="random"), lambda c, s: FPN(c, s, 8, 8))
        use_bands(net, bands)
        image, mask = blank_image(net, (32, 32)), torch.zeros(1, 32, 32, dtype=torch.uint8)
        with pytest.raises(UserError, match=r"attack: the net reads .*: attacks are of 8-bit images without values"):
            PGD(4 / 255, 2, 255)(net, image, mask, [0])
