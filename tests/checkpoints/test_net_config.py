"""Nets of users' own classes: their checkpoints are read, or they are refused before the first step."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

import seglight
from seglight.checkpoints.checkpoint import load_net
from seglight.checkpoints.net_config import describe_net
from seglight.data import Augmentation, ShapesDataModule
from seglight.errors import UserError
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from seglight.training import SegmentationModule
from tests.support import own_nets

QUIET: dict[str, Any] = {"accelerator": "cpu", "enable_progress_bar": False, "log_every_n_steps": 1}


def parts() -> dict[str, Any]:
    return {"encoder": TimmEncoder("test_resnet", None), "decoder": partial(FPN, pyramid_channels=8, channels=8)}


def shapes() -> ShapesDataModule:
    return ShapesDataModule(32, train_images=2, eval_images=1, batch_size=2, num_workers=0,
                            augmentation=Augmentation(32))  # fmt: skip


def trained(net: Any, folder: Path) -> tuple[SegmentationModule, Path]:
    """A module after one step by Lightning's own trainer, and its checkpoint."""
    data = shapes()
    module = SegmentationModule(net, **data.facts)
    trainer = Trainer(max_steps=1, logger=False, limit_val_batches=0, enable_checkpointing=False,
                      use_distributed_sampler=False, default_root_dir=folder, **QUIET)  # fmt: skip
    trainer.fit(module, datamodule=data)
    trainer.save_checkpoint(folder / "a.ckpt")
    return module, folder / "a.ckpt"


READ: list[Callable[[], Any]] = [
    lambda: own_nets.Default(),
    lambda: own_nets.Default(8, np.int64(6)),  # type: ignore[arg-type]
    lambda: own_nets.Default,
    lambda: partial(own_nets.Default, width=6),
    lambda: own_nets.Activated,
    lambda: own_nets.Activated(8, nn.GELU, own_nets.Size.LARGE),
    lambda: partial(own_nets.Activated, act=nn.SiLU),
    lambda: own_nets.Untyped,
    lambda: own_nets.Forwarding(num_classes=8, **parts()),
    lambda: partial(own_nets.Forwarding, **parts()),
    lambda: own_nets.ForwardingDefault(**parts()),
    lambda: partial(own_nets.ForwardingDefault, **parts()),
    lambda: own_nets.Forgetful,
    lambda: partial(EncoderDecoder, **{**parts(), "encoder": own_nets.Stem()}),
]


@pytest.mark.parametrize("net", READ)
def test_the_checkpoint_of_a_plain_trainer_is_read(net: Callable[[], Any], tmp_path: Path) -> None:
    module, path = trained(net(), tmp_path)
    net_of_checkpoint, _ = load_net(path, ["tests"])
    assert str(net_of_checkpoint) == str(module.net)
    weights = module.net.state_dict()
    assert net_of_checkpoint.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in net_of_checkpoint.state_dict().items())


def test_a_run_keeps_a_class_among_the_arguments(tmp_path: Path) -> None:
    """In its config.yaml, from which it is resumed, and in its checkpoints."""
    data = shapes()
    for epochs in (1, 2):
        module = SegmentationModule(own_nets.Activated(8, nn.GELU), **data.facts)
        run = seglight.fit(
            module, data, run_dir=tmp_path / "run", resume="force" if epochs == 2 else None, max_epochs=epochs, **QUIET
        )
        assert run.best is not None
        net: Any = seglight.load(run.best, trust=["tests"]).net
        assert any(isinstance(part, nn.GELU) for part in net.modules())


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (lambda: own_nets.KeywordOnly(num_classes=8), "model.net: KeywordOnly is built .* as its first argument, by "),
        (lambda: own_nets.Named(8, 3), "model.net.name: expected str, got '3'"),
        (lambda: own_nets.Default(8, torch.tensor(6)), "model.net.init_args.width: an object of torch.Tensor .*: give"),
        (lambda: own_nets.Forgetful(8), "model.net: an object of .*Forgetful can't be described: give partial"),
        (lambda: partial(own_nets.OfOptimizer, kind=torch.optim.SGD), "model.net: refused, .*SGD, which is no part"),
    ],
)
def test_a_net_that_could_not_be_read_is_refused_before_the_first_step(
    net: Callable[[], Any], message: str, tmp_path: Path
) -> None:
    data = shapes()
    module = SegmentationModule(net(), **data.facts)
    trainer = Trainer(max_steps=1, logger=False, default_root_dir=tmp_path, **QUIET)
    for fit in (
        lambda: trainer.fit(module, datamodule=data),
        lambda: seglight.fit(module, data, run_dir=tmp_path / "run", **QUIET),
    ):
        with pytest.raises(UserError, match=f"^{message}") as caught:
            fit()
        assert "\n" not in str(caught.value)
    assert trainer.global_step == 0
    assert not (tmp_path / "run").exists()


def test_another_number_of_classes_than_the_default_one() -> None:
    with pytest.raises(UserError, match=r"^model\.net: the net is for 8 classes, the data has 5"):
        SegmentationModule(own_nets.Default(), 5, 255, list("abcde"), [(i, 0, 0) for i in range(5)])


def test_describing_a_net_draws_no_random_numbers() -> None:
    net = own_nets.ForwardingDefault(**parts())
    before = torch.get_rng_state()
    describe_net(net)
    assert torch.equal(torch.get_rng_state(), before)
