"""Cross-entropy of head-stride logits against a full-resolution mask, without full-resolution logits."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.ops.bands import add_band_gradient, bands


def upsampled_cross_entropy(logits: Tensor, mask: Tensor, *, ignore_index: int, weight: Tensor | None = None) -> Tensor:
    """Equal to `F.cross_entropy(F.interpolate(logits, mask.shape[-2:], mode="bilinear"), mask)`, in bands.

    The gradient is made in the forward pass, while a band is at hand: nothing of full resolution is kept.

    Args:
        logits: (B, C, h, w).
        mask: (B, H, W), integer class index or ignore_index.
        ignore_index: Pixels of this value count for nothing; 0 is the loss where no other is left.
        weight: (C,) weight of each class, or None. The mean is weighted by it, as in torch.

    Returns:
        Scalar, float32.
    """
    loss: Tensor = _UpsampledCrossEntropy.apply(logits, mask, ignore_index, weight)
    return loss


class _UpsampledCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, mask: Tensor, ignore_index: int, weight: Tensor | None) -> Tensor:
        total = torch.zeros((), device=logits.device)
        count = torch.zeros((), device=logits.device)
        gradient = torch.zeros_like(logits, dtype=torch.float32, memory_format=torch.contiguous_format)
        with torch.autocast(logits.device.type, enabled=False):
            for band in bands(logits, (mask.shape[-2], mask.shape[-1])):
                target = mask[:, band.start : band.stop].long()
                valid = target != ignore_index
                target = target.masked_fill(~valid, 0).unsqueeze(1)
                share = valid.float().unsqueeze(1) if weight is None else weight[target] * valid.unsqueeze(1)
                log_probability = F.log_softmax(band.values, 1)
                total -= (log_probability.gather(1, target) * share).sum()
                count += share.sum()
                if ctx.needs_input_grad[0]:
                    slope = log_probability.exp_().scatter_add_(1, target, share.new_full((), -1).expand_as(target))
                    add_band_gradient(gradient, band, slope.mul_(share))
        count.clamp_(min=torch.finfo(torch.float32).tiny)
        # in the layout of the logits: a convolution's backward is slower where the two differ
        ctx.save_for_backward(torch.empty_like(logits, dtype=torch.float32).copy_(gradient.div_(count)))
        ctx.dtype = logits.dtype
        return total / count

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, None, None, None]:
        if torch.is_grad_enabled():  # create_graph: the gradient was made without one
            raise RuntimeError("upsampled_cross_entropy has no second derivative: call it without create_graph")
        (gradient,) = ctx.saved_tensors
        # float16 only after the loss scale is in grad_loss: a share of a mean over millions of pixels underflows
        return (gradient * grad_loss).to(ctx.dtype), None, None, None
