"""A net under attack: the gradient of an attack's loss with respect to the image, in one pass over bands of logits."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seglight.interfaces import seg_output
from seglight.ops.bands import Band, add_band_gradient, bands, full_precision
from seglight.ops.label_values import check_loss_inputs
from seglight.ops.padding import pad_image, pad_mask
from seglight.ops.sizes import DIVISOR
from seglight.robustness.attacks.pixel_losses import AttackedPixels, PixelLoss


class Look(NamedTuple):
    """What an attack sees of the net at some images.

    Attributes:
        gradient: (B, C, H, W) gradient of the sum of the loss over the pixels with respect to the images, 0 where it
            is not finite; None if it was not asked for.
        cross_entropy: (B,) sum of the cross-entropy over the labelled pixels of each image.
        right: int64 (B,) number of labelled pixels of each image whose label is right.
    """

    gradient: Tensor | None
    cross_entropy: Tensor
    right: Tensor


class Victim:
    """A net and the labels of the images that it is attacked with.

    Args:
        net: Net that takes images (B, C, H, W).
        mask: (B, H, W), class index or `ignore_index`.
        ignore_index: Mask value that is ignored.
        checked: Whether the labels were compared with the number of classes.
    """

    def __init__(self, net: nn.Module, mask: Tensor, ignore_index: int, checked: bool = False) -> None:
        self.net = net
        self.mask = pad_mask(mask, DIVISOR, ignore_index)
        self.ignore_index = ignore_index
        self.checked = checked

    def part(self, kept: Tensor | slice) -> "Victim":
        """The net and the labels of some of the images, by a bool (B,) or a range."""
        return Victim(self.net, self.mask[kept], self.ignore_index, self.checked)

    def look(
        self, image: Tensor, loss: PixelLoss, weight: Tensor | None, share: float = 0.0, gradient: bool = True
    ) -> Look:
        """Run the net forward, and backward to the images if the gradient is asked for.

        On a CPU it takes one image at a time: there that is faster, needs the memory of one image, and an image has the
        same numbers in every batch.

        Args:
            image: (B, C, H, W) float32 of values from 0 to 255.
            loss: Loss that the attack increases.
            weight: (B, H, W) weight of the pixels of the padded masks, or None for 1.
            share: Share of the steps that are done, from 0 to 1.
            gradient: Whether the gradient is computed.

        Raises:
            UserError: On a CPU, a label is neither a class nor `ignore_index`.
        """
        if image.device.type != "cpu" or len(image) == 1:
            return self._look(image, loss, weight, share, gradient)
        ranges = [slice(k, k + 1) for k in range(len(image))]
        looks = [
            self.part(one)._look(image[one], loss, None if weight is None else weight[one], share, gradient)
            for one in ranges
        ]
        self.checked = True
        gradients = [look.gradient for look in looks if look.gradient is not None]
        return Look(
            torch.cat(gradients) if gradients else None,
            torch.cat([look.cross_entropy for look in looks]),
            torch.cat([look.right for look in looks]),
        )

    def _look(self, image: Tensor, loss: PixelLoss, weight: Tensor | None, share: float, gradient: bool) -> Look:
        with torch.set_grad_enabled(gradient):
            leaf = image.detach().requires_grad_(gradient)
            logits = seg_output(self.net(pad_image(leaf, DIVISOR))).logits
        if not self.checked:
            check_loss_inputs(logits, self.mask, self.ignore_index)
            self.checked = True
        with torch.no_grad(), torch.autocast(logits.device.type, enabled=False), full_precision():
            by_logits, cross_entropy, right = self._passed(logits.detach(), loss, weight, share, gradient)
        if by_logits is None:
            return Look(None, cross_entropy, right)
        (by_image,) = torch.autograd.grad(logits, leaf, by_logits.to(logits.dtype))
        return Look(by_image.nan_to_num_(0, 0, 0), cross_entropy, right)

    def _passed(
        self, logits: Tensor, loss: PixelLoss, weight: Tensor | None, share: float, gradient: bool
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """The gradient by logits (B, C, h, w), the sums of the cross-entropy (B,), and the right pixels (B,)."""
        by_logits = torch.zeros(logits.shape, device=logits.device) if gradient else None
        cross_entropy = torch.zeros(len(logits), device=logits.device)
        right = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
        for band in bands(logits, (self.mask.shape[-2], self.mask.shape[-1])):
            pixels = self._pixels(band)
            cross_entropy[band.images] += pixels.nll.sum(1)
            right[band.images] += pixels.right.sum(1)
            if by_logits is not None:
                by_nll = loss.by_nll(pixels, share) * pixels.valid
                if weight is not None:
                    by_nll *= band.of(weight)
                add_band_gradient(by_logits, band, _by_values(pixels, by_nll))
            del band, pixels  # otherwise two bands are in memory at a time
        return by_logits, cross_entropy, right

    def _pixels(self, band: Band) -> AttackedPixels:
        labels = band.of(self.mask)
        valid = labels != self.ignore_index
        target = (labels * valid).long()
        best = band.values.amax(1, keepdim=True)
        shifted = band.values.sub_(best)
        at_target = shifted.gather(1, target.unsqueeze(1)).squeeze(1)
        exps = shifted.exp_()
        sums = exps.sum(1)
        nll = sums.log().sub_(at_target).masked_fill_(~valid, 0)
        return AttackedPixels(exps, sums, target, valid, nll, (at_target == 0) & valid)


def _by_values(pixels: AttackedPixels, by_nll: Tensor) -> Tensor:
    """Gradient (b, C, P) with respect to the upsampled logits; overwrites `pixels.exps`."""
    target = pixels.target.unsqueeze(1)
    result = pixels.exps.mul_((by_nll / pixels.sums).unsqueeze(1))
    # scatter_add_ is not deterministic on CUDA
    return result.scatter_(1, target, result.gather(1, target) - by_nll.unsqueeze(1))
