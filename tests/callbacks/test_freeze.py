"""A frozen encoder does not move in any way; thawed, it trains as in a plain loop."""

from typing import Any

import pytest
import torch

from seglight.callbacks import FreezeEncoder
from seglight.errors import UserError
from tests.support.training import SGD, Two, assert_same, collate, fit, new_module, samples


def reference(batches: list[list[dict[str, Any]]], thaw_at: int) -> Two:
    """Plain torch: an optimizer for the head, and one for the encoder that first sees it thawed."""
    module = new_module(Two)
    net = module.net
    net.encoder.eval()
    for part in (net.head, net.encoder):
        flat, rest = ([p for p in part.parameters() if (p.ndim == 1) == one] for one in (True, False))
        part.optimizer = SGD([{"params": rest}, {"params": flat, "weight_decay": 0}])
    for step, group in enumerate(batches):
        if step == thaw_at:
            net.encoder.train()
        batch = collate(group)
        net.zero_grad()
        module.loss(net(batch["image"]), batch["mask"]).backward()
        net.head.optimizer.step()
        if step >= thaw_at:
            net.encoder.optimizer.step()
    return net


def pairs(count: int = 8) -> list[list[dict[str, Any]]]:
    data = samples(count)
    return [data[k : k + 2] for k in range(0, count, 2)]


@pytest.mark.parametrize(
    ("freeze", "epochs", "thaw_at"),
    [
        (FreezeEncoder(until_step=2), 1, 2),
        (FreezeEncoder(until_epoch=1), 2, 4),
        (FreezeEncoder(until_step=3, until_epoch=2), 3, 3),
        (FreezeEncoder(), 2, 99),
    ],
    ids=["step", "epoch", "first", "never"],
)
def test_as_in_a_plain_loop(freeze: FreezeEncoder, epochs: int, thaw_at: int) -> None:
    validated = {"limit_val_batches": 1, "max_epochs": epochs}  # which would put all in training mode, if it forgot
    found = fit(samples(), freeze, module=new_module(Two), **validated)
    assert_same(found.net, reference(pairs() * epochs, thaw_at))


def test_nothing_is_computed_for_it() -> None:
    module = fit(samples(), FreezeEncoder(), module=new_module(Two))
    start = new_module(Two)
    assert all(p.grad is None for p in module.net.encoder.parameters())
    assert_same(module.net.encoder, start.net.encoder)
    assert module.net.encoder[1].num_batches_tracked == 0
    assert not torch.equal(module.net.head.weight, start.net.head.weight)


def test_a_net_without_an_encoder() -> None:
    with pytest.raises(UserError, match="FreezeEncoder"):
        fit(samples(), FreezeEncoder())
