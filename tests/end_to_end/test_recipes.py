"""Options of a training, against plain torch: clipping in mixed precision, memory formats, finders.

Covers: models.memory_format, optim.clipping.
"""

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import SegOutput
from seglight.losses import CrossEntropy
from seglight.models import EncoderDecoder, TimmEncoder, decoders
from seglight.models.memory_format import seconds_a_pass
from seglight.optim import ParameterGroups, WarmupPoly
from tests.support.tiny import TinyNet
from tests.support.training import SGD, Noise, Two, collate, fit, new_module, new_trainer, samples

WITHOUT_NORM = partial(TinyNet, norm=False)  # before a norm, a bias has no gradient but noise
ADAM = partial(torch.optim.AdamW, lr=0.05, weight_decay=0.0)


def clipped_by_torch(dtype: torch.dtype, clip: Any) -> nn.Module:
    net = new_module(WITHOUT_NORM).net
    optimizer = ADAM(net.parameters())
    data = samples()
    for k in range(0, len(data), 2):
        batch = collate(data[k : k + 2])
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype):
            loss = CrossEntropy(255)(net(batch["image"]), batch["mask"])
        loss.backward()
        clip(net.parameters())
        optimizer.step()
    return net


CLIPS = {
    "norm": partial(nn.utils.clip_grad_norm_, max_norm=0.02),
    "value": partial(nn.utils.clip_grad_value_, clip_value=0.02),
}


@pytest.mark.parametrize("algorithm", [None, "norm", "value"])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_clipping_in_mixed_precision(algorithm: str | None, fused: bool, precision: str) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0) if precision == "16-mixed" else None
    options = {"gradient_clip_val": 0.02, "gradient_clip_algorithm": algorithm}
    module = new_module(WITHOUT_NORM, optimizer=partial(ADAM, fused=fused))
    fit(samples(), module=module, plugins=MixedPrecision(precision, "cpu", scaler), **options)
    expected = clipped_by_torch(torch.float16 if scaler else torch.bfloat16, CLIPS[algorithm or "norm"])
    start = new_module(WITHOUT_NORM).net
    for a, b, c in zip(module.net.parameters(), expected.parameters(), start.parameters(), strict=True):
        assert (a - b).abs().max() < 0.02 * (b - c).abs().max()


class Drop(TinyNet):
    """Draws random numbers."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image) + F.dropout(image[:, :1, ::4, ::4].float(), 0.5, self.training) / 255


@pytest.mark.parametrize(("seconds", "chosen"), [({False: 2.0, True: 1.0}, True), ({False: 1.0, True: 2.0}, False)])
def test_the_faster_format_is_taken_and_kept(
    seconds: dict[bool, float], chosen: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("seglight.training.base.seconds_a_pass", lambda net, image: seconds)
    trainer = new_trainer()
    trainer.fit(new_module(channels_last="auto"), datamodule=Noise(samples()))
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    assert torch.load(tmp_path / "x.ckpt", weights_only=True)["seglight"]["channels_last"] is chosen
    monkeypatch.setattr("seglight.training.base.seconds_a_pass", lambda net, image: pytest.fail("measured anew"))
    later = new_module(channels_last="auto")
    new_trainer(max_epochs=2).fit(later, datamodule=Noise(samples()), ckpt_path=tmp_path / "x.ckpt")
    weight = later.net.body.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) is chosen
    assert weight.is_contiguous() is not chosen


def test_measuring_formats_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    module = fit(samples(), module=new_module(Drop, channels_last="auto"))
    line = capsys.readouterr().out
    chosen = "channels_last: true" in line
    assert chosen or "channels_last: false" in line
    expected = fit(samples(), module=new_module(Drop, channels_last=chosen))
    for key, value in module.state_dict().items():
        assert torch.equal(value, expected.state_dict()[key]), key


def test_measured_times_are_of_whole_passes() -> None:
    class Slow(TinyNet):
        def forward(self, image: Tensor) -> Tensor:
            if image.is_contiguous():
                time.sleep(0.05)
            return super().forward(image)

    seconds = seconds_a_pass(Slow(3), torch.zeros(2, 3, 16, 24, dtype=torch.uint8), repeats=1)
    assert seconds[False] >= 0.05 > seconds[True] > 0


class Rates(Callback):
    """The learning rate of each group at each step of the run itself."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])


def scheduled(full: float, steps: int) -> list[list[float]]:
    """Straight lines to zero, of an encoder at a tenth of the rate and of the rest."""
    return [[pytest.approx(scale * full * (1 - step / steps)) for scale in (0.1, 0.1, 1, 1)] for step in range(steps)]


LINES = {"schedule": partial(WarmupPoly, power=1), "groups": ParameterGroups(encoder_lr_scale=0.1)}


def test_a_learning_rate_that_was_found_is_that_of_the_schedule(tmp_path: Path) -> None:
    finder, rates, module = LearningRateFinder(num_training_steps=20), Rates(), new_module(Two, **LINES)
    start = new_module(Two).net.head.weight
    new_trainer(finder, rates, max_epochs=2, default_root_dir=tmp_path).fit(module, datamodule=Noise(samples(40)))
    assert finder.optimal_lr is not None
    found = finder.optimal_lr.suggestion()
    assert found != SGD.keywords["lr"]
    assert rates.rates == scheduled(found, 40)
    assert not torch.equal(module.net.head.weight, start)


def test_a_batch_size_that_was_found_is_that_of_the_schedule(tmp_path: Path) -> None:
    rates, data = Rates(), Noise(samples(16))
    finder = BatchSizeFinder(max_trials=2, steps_per_trial=1)
    trainer = new_trainer(finder, rates, max_epochs=3, default_root_dir=tmp_path)
    trainer.fit(new_module(Two, **LINES), datamodule=data)
    assert data.batch_size == finder.optimal_batch_size == 4
    assert rates.rates == scheduled(SGD.keywords["lr"], 12)


def test_synchronised_batch_norms_want_a_gpu() -> None:
    with pytest.raises(UserError, match="sync_batchnorm"):
        fit(samples(), devices=1, strategy="ddp", sync_batchnorm=True)
    torch.distributed.destroy_process_group()


class WithAuxiliaryHeads(TinyNet):
    """Two of them, in training, at another stride than the head."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, norm=False)
        self.auxiliary = nn.Conv2d(3, num_classes, 8, stride=8)

    def forward(self, image: Tensor) -> SegOutput:
        aux = self.auxiliary(image.float() / 255)
        return SegOutput(super().forward(image), (aux, -aux) if self.training else ())


@pytest.mark.parametrize("weight", [0.0, 0.4, 2.0])
def test_auxiliary_heads_count_by_their_weight(weight: float) -> None:
    net = new_module(WithAuxiliaryHeads).net
    optimizer, batch = torch.optim.SGD(net.parameters(), 1.0), collate(samples(2))
    logits, aux = net(batch["image"])
    head, one, other = (
        F.cross_entropy(F.interpolate(x, batch["mask"].shape[-2:], mode="bilinear"), batch["mask"].long())
        for x in (logits, *aux)
    )
    (head + weight * (one + other)).backward()
    optimizer.step()
    module = new_module(WithAuxiliaryHeads, optimizer=partial(torch.optim.SGD, lr=1.0), aux_weight=weight)
    for found, expected in zip(fit(samples(2), module=module).net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decoder", sorted(decoders.__all__))
def test_a_batch_of_one_trains(decoder: str) -> None:
    net = EncoderDecoder(3, TimmEncoder("test_efficientnet", weights=None), getattr(decoders, decoder), aux_index=-2)
    logits, aux = net.train()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    torch.stack([x.square().mean() for x in (logits, *aux)]).sum().backward()
    assert logits.shape[:2] == (1, 3)
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
