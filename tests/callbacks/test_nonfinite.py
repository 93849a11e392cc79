"""A loss that is not finite: the run ends before it does harm, or is as a plain loop that left the batch out."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seglight.callbacks import NonFinite
from seglight.errors import UserError
from seglight.interfaces import Batch, Criterion, Method
from seglight.losses import CrossEntropy
from tests.support.nonfinite import MARK, Infinite, Overflow, float16, marked
from tests.support.training import SGD, assert_same, fit, new_module, plain_loop


class BrokenGradient(CrossEntropy):
    """The loss is finite, its gradient is not."""

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        loss = super().forward(logits, mask)
        return loss + torch.sqrt(0 * logits.sum()) if (mask[:, 0, 0] == MARK).any() else loss


def test_a_step_that_is_skipped_leaves_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    data, callback = marked(3), NonFinite("skip")
    found = fit(data, callback, module=new_module(loss=Infinite))
    assert_same(found.net, plain_loop([data[0:2], data[4:6], data[6:8]]))
    assert callback.state_dict() == {"skipped": 1}
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "step skipped" in line]
    assert line.startswith("step 1: loss inf ")
    assert "images im2, im3," in line


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_stops_and_says_where(precision: str) -> None:
    complaint = r"step 1: loss inf .* images im2, im3, .*net\.(norm|body|head)\.\w+ nan"
    with pytest.raises(UserError, match=complaint) as error:
        fit(marked(3), NonFinite(), module=new_module(loss=Infinite), precision=precision)
    assert "\n" not in str(error.value)
    assert "--on_nonfinite skip" in str(error.value)


def test_the_last_step_is_neither_scored_nor_saved(tmp_path: Path) -> None:
    options = {"limit_val_batches": 1, "enable_checkpointing": True, "default_root_dir": tmp_path}
    with pytest.raises(UserError, match=r"step 3: .* images im6, im7"):
        fit(marked(7), NonFinite(), module=new_module(loss=Infinite), **options)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_accumulated_batches_are_one_step() -> None:
    module = new_module(loss=partial(Infinite, value=torch.nan))
    with pytest.raises(UserError, match=r"step 0: loss \d\.\d+, nan or .* images im0, im1, im2, im3,"):
        fit(marked(2), NonFinite(), module=module, accumulate_grad_batches=2)


def test_a_gradient_alone_is_enough() -> None:
    with pytest.raises(UserError, match=r"step 2: loss \d\.\d+ or gradient is not finite, images im4, im5"):
        fit(marked(4), NonFinite(), module=new_module(loss=BrokenGradient))


def test_what_overflows_by_its_scale_is_left_to_the_scaler() -> None:
    scaler, precision = float16()
    fit(marked(7), NonFinite(), module=new_module(loss=Overflow), plugins=precision)
    assert scaler.get_scale() == 2.0**9


@pytest.mark.parametrize("optimizer", [SGD, partial(torch.optim.AdamW, lr=0.01, fused=True)])
def test_float16_skips_a_loss_that_is_not_finite(optimizer: Any) -> None:
    _, precision = float16()
    callback = NonFinite("skip")
    module = new_module(loss=Infinite, optimizer=optimizer)
    fit(marked(3), callback, module=module, plugins=precision, gradient_clip_val=1.0)
    assert callback.skipped == 1
    assert all(torch.isfinite(tensor).all() for tensor in module.state_dict().values())


class WithNorm(Method):
    """A batch norm of the logits, whose statistics become NaN in batches with a marked image.

    With `silent`, loss and gradients stay finite.
    """

    def __init__(self, num_classes: int, ignore_index: int, silent: bool = False) -> None:
        super().__init__(num_classes, ignore_index)
        self.norm = nn.BatchNorm2d(num_classes, affine=False)
        self.silent = silent

    def forward(self, net: nn.Module, batch: Batch, criterion: Criterion) -> Tensor:
        output = net(batch["image"])
        broken = (batch["mask"][:, 0, 0] == MARK).any()
        seen = self.norm(output.logits.detach() * (torch.nan if broken else 1))
        loss = criterion(output, batch)
        return loss if self.silent else loss + 0 * seen.sum()


def test_a_step_that_is_skipped_leaves_no_trace_in_the_method() -> None:
    data = marked(3)
    without = [sample for k, sample in enumerate(data) if k not in (2, 3)]
    modules = [fit(part, NonFinite("skip"), module=new_module(method=WithNorm)) for part in (data, without)]
    assert_same(*modules)
    assert torch.isfinite(modules[0].method.state_dict()["norm.running_mean"]).all()


@pytest.mark.parametrize("mode", ["stop", "skip"])
def test_no_checkpoint_is_saved_of_a_method_that_is_not_finite(mode: Any, tmp_path: Path) -> None:
    module = new_module(method=partial(WithNorm, silent=True))
    with pytest.raises(
        UserError, match=r"step 4, no checkpoint is saved: 2 of 3 tensors .* method\.norm\.running_mean"
    ):
        fit(marked(3), NonFinite(mode), module=module, enable_checkpointing=True, default_root_dir=tmp_path)
    assert not list(tmp_path.rglob("*.ckpt"))
