"""Options of a training, against plain torch: clipping in mixed precision, memory formats, finders."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn

from seglight.losses import CrossEntropy
from seglight.memory_format import seconds_a_pass
from tests.tiny import TinyNet
from tests.training import Noise, collate, fit, new_module, new_trainer, samples

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
    monkeypatch.setattr("seglight.module.seconds_a_pass", lambda net, image: seconds)
    trainer = new_trainer()
    trainer.fit(new_module(channels_last="auto"), datamodule=Noise(samples()))
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    assert torch.load(tmp_path / "x.ckpt", weights_only=True)["seglight"]["channels_last"] is chosen
    monkeypatch.setattr("seglight.module.seconds_a_pass", lambda net, image: pytest.fail("measured anew"))
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
