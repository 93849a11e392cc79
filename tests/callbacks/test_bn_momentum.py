"""The running mean after two steps, by hand."""

import torch

from seglight.callbacks import BatchNormMomentum
from tests.support.training import SGD, collate, fit, new_module, samples


def test_running_statistics_move_by_the_momentum() -> None:
    still = new_module(optimizer=lambda groups: SGD(groups, lr=0.0))
    found = fit(samples(4), BatchNormMomentum(0.3), module=still).net
    inputs = [found.body(collate(samples(4)[k : k + 2])["image"].float() / 255) for k in (0, 2)]
    first, second = (x.mean((0, 2, 3)) for x in inputs)
    torch.testing.assert_close(found.norm.running_mean, 0.7 * (0.3 * first) + 0.3 * second)
