"""Two processes train as one on the images of both: steps left out, encoders thawed, statistics of batch norms."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seglight.callbacks import FreezeEncoder, NonFinite, PreciseBN
from seglight.errors import UserError
from tests.support.nonfinite import Infinite, marked
from tests.support.processes import in_processes
from tests.support.tiny import TinyNet
from tests.support.training import Two, collate, fit, new_module, samples

SHARES = ([0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11])
"""Images of each process: together they see those of one, in batches of twice the size."""


class WithoutNorm(Two):
    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.encoder[1] = nn.Identity()


def share(rank: int, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [data[k] | {"name": f"rank{rank}"} for k in SHARES[rank]]


def work(rank: int, folder: Path) -> None:
    together = {"devices": 2, "strategy": "ddp"}
    bad = partial(new_module, partial(TinyNet, norm=False), Infinite)
    skip = NonFinite("skip")
    nets = {
        "skip": fit(share(rank, marked(6, count=12)), skip, module=bad(), **together).net,
        "freeze": fit(share(rank, samples(12)), FreezeEncoder(1), module=new_module(WithoutNorm), **together).net,
        "precise": fit(share(rank, samples(12)), PreciseBN(3), limit_val_batches=1, **together).net,
    }
    assert skip.skipped == 1
    with pytest.raises(UserError, match=r"step 1: loss inf or .* images rank1, rank1, largest"):
        fit(share(rank, marked(6, count=12)), NonFinite(), module=bad(), **together)
    torch.save({name: net.state_dict() for name, net in nets.items()}, folder / f"{rank}.pt")


@pytest.mark.slow
def test_as_one_process(tmp_path: Path) -> None:
    in_processes(2, work, tmp_path)
    found: list[dict[str, dict[str, Tensor]]] = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    skip = NonFinite("skip")
    good, bad = marked(6, count=12), new_module(partial(TinyNet, norm=False), Infinite)
    expected = {
        "skip": fit(good, skip, module=bad, batch_size=4).net,
        "freeze": fit(samples(12), FreezeEncoder(1), module=new_module(WithoutNorm), batch_size=4).net,
    }
    for name, net in expected.items():
        for key, value in net.state_dict().items():
            assert torch.equal(found[0][name][key], found[1][name][key]), (name, key)
            torch.testing.assert_close(found[0][name][key], value, rtol=1e-5, atol=1e-6)
    start = new_module(WithoutNorm).net
    assert not torch.equal(found[0]["freeze"]["encoder.0.weight"], start.encoder[0].weight)
    net = TinyNet(3)
    net.load_state_dict(found[0]["precise"])
    with torch.no_grad():
        x = net.body(collate(samples(12))["image"].float() / 255).double().numpy()
    for rank in range(2):
        state = found[rank]["precise"]
        np.testing.assert_allclose(state["norm.running_mean"], x.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(state["norm.running_var"], x.var((0, 2, 3)), rtol=1e-5, atol=1e-6)
