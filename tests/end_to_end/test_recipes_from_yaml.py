"""Recipes as a user writes them: a fit from the command line that is broken off and goes on to the same last bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seglight.checkpoints.checkpoint import load_net
from seglight.training.semantic import SegmentationModule
from tests.support.tiny import TinyNet

BASE = """
trainer: {accelerator: cpu, max_epochs: 2, log_every_n_steps: 1, enable_progress_bar: false}
model:
  net:
    class_path: seglight.models.EncoderDecoder
    init_args:
      encoder: {class_path: seglight.models.TimmEncoder, init_args: {name: test_efficientnet, weights: null}}
      decoder: {class_path: seglight.models.decoders.FPN, init_args: {pyramid_channels: 8, channels: 8}}
  optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 3.0e-3}}
data:
  class_path: seglight.data.ShapesDataModule
  init_args: {size: 64, train_images: 8, eval_images: 2, num_workers: 0, batch_size: 2, augmentation: {crop_size: 64}}
"""

CALLBACKS = """
trainer:
  callbacks:
    - {class_path: seglight.callbacks.ExactCheckpoint, init_args: {every_n_steps: 3}}
    - {class_path: seglight.callbacks.FreezeEncoder, init_args: {until_step: 4}}
    - {class_path: seglight.callbacks.SWA, init_args: {start: 0.5}}
    - {class_path: seglight.callbacks.PreciseBN, init_args: {batches: 2}}
model:
  groups: {encoder_lr_scale: 0.5, layer_decay: 0.8}
  schedule: {class_path: seglight.optim.WarmupCosine, init_args: {warmup_steps: 1, floor: 0.1}}
on_nonfinite: skip
"""

OPTIONS = """
trainer:
  precision: bf16-mixed
  gradient_clip_val: 1.0
  deterministic: true
  callbacks:
    - {class_path: seglight.callbacks.ExactCheckpoint, init_args: {every_n_steps: 3}}
    - {class_path: seglight.callbacks.EMA, init_args: {decay: 0.9}}
model:
  optimizer: {class_path: torch.optim.AdamW, init_args: {fused: true}}
  channels_last: auto
  net: {init_args: {encoder: {init_args: {checkpoint_activations: true}}}}
"""

FINDERS = """
trainer:
  max_epochs: 4
  callbacks:
    - {class_path: seglight.callbacks.ExactCheckpoint, init_args: {every_n_steps: 3}}
    - {class_path: lightning.pytorch.callbacks.BatchSizeFinder, init_args: {max_trials: 2, steps_per_trial: 1}}
    - {class_path: lightning.pytorch.callbacks.LearningRateFinder, init_args: {num_training_steps: 15}}
"""
"""Twice the batch size of BASE is found, and another learning rate: neither is looked for again."""

COMPILED = "trainer: {callbacks: [{class_path: seglight.callbacks.Compile, init_args: {options: {backend: eager}}}]}"


class BrokenOff(BaseException):
    """As if the process had been killed."""


@pytest.fixture
def fit(tmp_path: Path, seglight_cli: Callable[..., Any]) -> Callable[..., Any]:
    """`fit` with BASE, and what is given on top of it."""

    def run(recipe: str, folder: str, *args: object) -> dict[str, Any]:
        for name, text in (("base", BASE), ("recipe", recipe)):
            (tmp_path / f"{name}.yaml").write_text(text)
        configs = ("-c", tmp_path / "base.yaml", "-c", tmp_path / "recipe.yaml")
        ran = seglight_cli("fit", *configs, "--run_dir", tmp_path / folder, *args)
        assert ran.rc == 0, ran.err
        saved: dict[str, Any] = torch.load(tmp_path / folder / "checkpoints" / "last.ckpt", weights_only=True)
        return saved

    return run


@pytest.mark.parametrize(
    "recipe",
    [CALLBACKS, pytest.param(OPTIONS, marks=pytest.mark.slow), pytest.param(FINDERS, marks=pytest.mark.slow)],
    ids=["callbacks", "options", "finders"],
)
def test_goes_on_to_the_same_bits(
    recipe: str, fit: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seglight.training.base.seconds_a_pass", lambda net, image: {False: 2.0, True: 1.0})
    expected = fit(recipe, "whole")

    def break_off(module: SegmentationModule, optimizer: torch.optim.Optimizer) -> None:
        if module.trainer.global_step == 5 and len(module.trainer.callbacks) > 1:  # a finder takes all others out
            raise BrokenOff

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationModule, "on_before_optimizer_step", break_off)
        with pytest.raises(BrokenOff):
            fit(recipe, "broken")
    monkeypatch.setattr("seglight.training.base.seconds_a_pass", lambda net, image: {False: 1.0, True: 2.0})
    found = fit(recipe, "broken", "--resume")
    for key, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][key], value), key
    assert found["lr_schedulers"] == expected["lr_schedulers"]
    net, card = load_net(tmp_path / "broken" / "checkpoints" / "last.ckpt")
    assert net(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).logits.shape[1] == card.num_classes


@pytest.mark.slow
def test_a_compiled_net(fit: Callable[..., Any], tmp_path: Path) -> None:
    """By the backend that runs what was captured as it is: the weights are those of the net that is not compiled."""
    compiled, plain = fit(COMPILED, "compiled"), fit("{}", "plain")
    assert compiled["state_dict"].keys() == plain["state_dict"].keys()
    for key, value in plain["state_dict"].items():
        torch.testing.assert_close(compiled["state_dict"][key], value, msg=key)
    load_net(tmp_path / "compiled" / "checkpoints" / "last.ckpt")


def test_a_loss_that_is_not_finite_is_told_in_one_line(
    tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyNet, "forward", lambda net, image: net.head(net.body(image.float())) / 0)
    (tmp_path / "base.yaml").write_text(BASE)
    net = ("--model.net", "tests.support.tiny.TinyNet")
    ran = seglight_cli("fit", "-c", tmp_path / "base.yaml", *net, "--run_dir", tmp_path / "run")
    assert ran.rc == 2
    assert "step 0: loss nan or gradient is not finite, images " in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.ckpt"))
