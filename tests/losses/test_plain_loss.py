"""Losses of the user's own: plain modules with `forward(logits, mask)`, and subclasses of `Loss`."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import seglight.losses
from seglight.errors import UserError
from seglight.interfaces import Loss
from seglight.losses import CrossEntropy, WeightedSum
from seglight.losses.plain_loss import PlainLoss, as_loss
from tests.support.training import Noise, fit, new_module, new_trainer, samples

IGNORE = 255


class Plain(nn.Module):
    """Torch's cross-entropy with a factor that is learned."""

    def __init__(self, ignore_index: int) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        full = F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=False)
        return self.factor * F.cross_entropy(full, mask.long(), ignore_index=self.ignore_index)


class OfImage(Loss):
    """Wants the images in training, and divides by twice the labelled pixels."""

    needs_image = True

    def __init__(self, ignore_index: int) -> None:
        super().__init__(ignore_index)
        self.own = CrossEntropy(ignore_index)
        self.seen: list[tuple[int, ...]] = []

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        value: Tensor = self.own(logits, mask)
        return value

    def with_image(self, logits: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        self.seen.append(tuple(image.shape))
        return 2 * self.forward(logits, mask)

    def denominator(self, mask: Tensor) -> Tensor:
        return 2 * super().denominator(mask)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(0, 3, (2, 16, 24), generator=generator, dtype=torch.uint8)
    mask[:, :3] = IGNORE
    return torch.randn(2, 3, 4, 6, generator=generator), mask


def test_a_plain_module_has_the_methods_of_a_loss() -> None:
    logits, mask = batch()
    plain = Plain(IGNORE)
    loss = as_loss(plain, IGNORE)
    assert isinstance(loss, PlainLoss)
    assert not loss.needs_image
    value, labels = loss.with_labels(logits, mask)
    assert value == loss(logits, mask) == plain(logits, mask)
    full = F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=False)
    assert torch.equal(labels.long(), full.argmax(1))
    assert loss.denominator(mask) == 2 * 13 * 24


def test_a_loss_stays_what_it_is() -> None:
    loss = CrossEntropy(IGNORE)
    assert as_loss(loss, IGNORE) is loss


def test_a_plain_module_trains_and_keeps_its_names_in_the_checkpoint() -> None:
    """Its parameters belong to the module: they are saved, under their own names, and carried to devices."""
    module = fit(samples(), module=new_module(loss=Plain))
    plain = fit(samples(), module=new_module(loss=CrossEntropy))
    assert [key for key in module.state_dict() if key.startswith("loss")] == ["loss.factor"]
    for ours, theirs in zip(module.net.parameters(), plain.net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_plain_module_is_evaluated() -> None:
    losses = []
    for loss in (Plain, CrossEntropy):
        trainer = new_trainer(limit_val_batches=1.0)
        (scores,) = trainer.validate(new_module(loss=loss), datamodule=Noise(samples()), verbose=False)
        losses.append(scores)
    assert losses[0] == pytest.approx(losses[1])


def test_a_loss_that_needs_images_gets_them_in_training_only() -> None:
    module = new_module(loss=OfImage)
    new_trainer(limit_val_batches=1.0).fit(module, datamodule=Noise(samples()))
    assert isinstance(module.loss, OfImage)
    assert module.loss.seen == [(2, 3, 16, 24)] * 4


def test_accumulated_batches_are_weighted_by_the_denominator_of_the_loss() -> None:
    """Twice the loss over twice the denominator: accumulated over a window it is twice the gradient all the same."""
    module = fit(samples(), module=new_module(loss=OfImage), accumulate_grad_batches=2)
    assert [int(each) for each in module.window.denominators] == [2 * 2 * 16 * 24] * 2


@pytest.mark.parametrize("name", ["mass", "with_image", "with_labels"])
def test_a_method_that_would_never_be_called_is_refused(name: str) -> None:
    kind = type("Mine", (Plain,), {name: lambda self, *tensors: None})
    with pytest.raises(UserError, match=rf"model\.loss: Mine\.{name} would not be called, .* derive it from seglight"):
        as_loss(kind(IGNORE), IGNORE)


def test_a_sum_of_plain_modules() -> None:
    logits, mask = batch()
    total = WeightedSum(IGNORE, [Plain, CrossEntropy], [2.0, 0.5])
    torch.testing.assert_close(total(logits, mask), 2.5 * CrossEntropy(IGNORE)(logits, mask))
    assert list(total.state_dict()) == ["losses.0.factor"]


def test_no_hook_of_a_loss_is_found_by_its_name() -> None:
    for path in Path(seglight.losses.__file__).parent.glob("*.py"):
        text = path.read_text("utf-8")
        assert "getattr(" not in text, path
        assert "hasattr(" not in text, path
