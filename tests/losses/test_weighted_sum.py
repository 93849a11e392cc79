"""A sum is the sum of its members, in one band pass."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from seglight.errors import UserError
from seglight.losses import (
    BoundaryLoss,
    CrossEntropy,
    Dice,
    Focal,
    LovaszSoftmax,
    OHEMCrossEntropy,
    Tversky,
    WeightedSum,
)  # fmt: skip
from tests.support.loss_cases import IGNORE, drawn, upsampled, value_and_gradient


class Foreign(nn.Module):
    """Somebody's own loss."""

    def __init__(self, ignore_index: int) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        return upsampled(logits, mask).square().movedim(1, -1)[mask != self.ignore_index].mean()


MEMBERS: list[tuple[Callable[[int], nn.Module], float]] = [
    (CrossEntropy, 1.0),
    (partial(CrossEntropy, class_weights=[1, 2, 3, 4, 5], label_smoothing=0.1), 0.7),
    (partial(OHEMCrossEntropy, min_kept=100), 0.3),
    (Focal, 2.0),
    (Dice, 0.5),
    (Tversky, 1.5),
    (LovaszSoftmax, 1.0),
    (partial(LovaszSoftmax, per_image=True, bins=50), 0.25),
    (partial(LovaszSoftmax, bins=None), 0.6),
    (BoundaryLoss, 0.01),
    (Foreign, 0.1),
]


@pytest.mark.parametrize("count", range(1, len(MEMBERS) + 1))
def test_value_and_gradient_are_the_sum_of_the_members(count: int) -> None:
    losses, weights = zip(*MEMBERS[-count:], strict=True)
    logits, mask = drawn("x4")
    value, gradient = value_and_gradient(WeightedSum(IGNORE, losses, weights), logits, mask)
    single = [value_and_gradient(loss(IGNORE), logits, mask) for loss in losses]
    expected = sum(weight * own for weight, (own, _) in zip(weights, single, strict=True))
    by_logits = sum(weight * own for weight, (_, own) in zip(weights, single, strict=True))
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient, by_logits, rtol=0, atol=1e-5 * float(by_logits.abs().max()))


class Exponentials(TorchDispatchMode):
    """Counts elements that went through exp."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in (torch.ops.aten.exp, torch.ops.aten.exp_) and args[0].dim() == 3:
            self.count += args[0].numel()
        return func(*args, **(kwargs or {}))


def softmaxes(loss: nn.Module, logits: Tensor, mask: Tensor) -> float:
    """Number of times that each upsampled logit goes through exp."""
    with Exponentials() as seen:
        loss(logits, mask)
    return seen.count / (logits.shape[1] * mask.numel())


def test_one_softmax_for_all_members() -> None:
    logits, mask = drawn("bands")
    logits.requires_grad_()
    pixelwise = [CrossEntropy, Focal]
    gathering = [*pixelwise, OHEMCrossEntropy, Dice, Tversky, LovaszSoftmax]
    assert softmaxes(CrossEntropy(IGNORE), logits, mask) == 1
    assert softmaxes(WeightedSum(IGNORE, pixelwise, [1] * 2), logits, mask) == 1
    assert softmaxes(Dice(IGNORE), logits, mask) == 2, "one for the sums, one for the gradient"
    assert softmaxes(WeightedSum(IGNORE, gathering, [1] * 6), logits, mask) == 2


def test_as_many_weights_as_losses() -> None:
    with pytest.raises(UserError, match=r"loss.weights has 1 weights for 2 losses: give one for each loss"):
        WeightedSum(IGNORE, [CrossEntropy, Dice], [1.0])
    with pytest.raises(UserError, match=r"loss.weights has 0 weights for 0 losses: give one for each loss"):
        WeightedSum(IGNORE, [], [])


YAML = """
model:
  loss:
    class_path: seglight.losses.WeightedSum
    init_args:
      losses: [{class_path: seglight.losses.CrossEntropy}, {class_path: seglight.losses.Dice, init_args: {smooth: 1.0}}]
      weights: [1.0, 0.5]
trainer: {accelerator: cpu, max_steps: 1, limit_val_batches: 1, val_check_interval: 1, check_val_every_n_epoch: null}
data: {init_args: {batch_size: 2, num_workers: 0, augmentation: {crop_size: 64}, train_images: 4, eval_images: 2}}
"""


def test_a_recipe_with_a_sum_trains(tmp_path: Any, seglight_cli: Callable[..., Any]) -> None:
    recipe = tmp_path / "sum.yaml"
    recipe.write_text(YAML)
    random = "--model.net.init_args.encoder.init_args.weights", "random"
    args = "--config", "configs/quickstart.yaml", "--config", recipe, *random, "--run_dir", tmp_path / "run"
    ran = seglight_cli("fit", *args)
    assert ran.rc == 0, ran.err
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()


class OfImages(CrossEntropy):
    """Depends on the images."""

    needs_image = True


def test_a_loss_that_needs_the_images_is_no_member() -> None:
    """Its part beside the labels would be left out without a word."""
    with pytest.raises(UserError, match=r"loss\.losses: OfImages needs the images: make it the loss"):
        WeightedSum(255, [CrossEntropy, OfImages], [1, 1])


class PlainOfImages(Foreign):
    def with_image(self, logits: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        raise NotImplementedError


def test_a_plain_module_with_a_method_for_images_is_no_member() -> None:
    with pytest.raises(UserError, match=r"model\.loss: PlainOfImages\.with_image would not be called, .* derive it"):
        WeightedSum(255, [CrossEntropy, PlainOfImages], [1, 1])
