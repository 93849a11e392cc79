"""The whole image in one pass of the net."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seglight.interfaces import Inferer, seg_output
from seglight.ops.finite import check_finite
from seglight.ops.padding import pad_image
from seglight.ops.sizes import DIVISOR
from seglight.ops.upsample import upsampled_argmax, upsampled_softmax


@dataclass(frozen=True)
class WholeImage(Inferer):
    """One forward pass for an image of any size, padded to a multiple of 32 by its last row and column."""

    def labels(self, net: nn.Module, image: Tensor) -> Tensor:
        """Label maps (B, H, W) of images (B, bands, H, W), without full-resolution logits.

        Raises:
            UserError: The net's logits are not finite.
        """
        logits, padded = self._logits(net, image)
        return upsampled_argmax(logits, padded)[:, : image.shape[-2], : image.shape[-1]]

    def probabilities(self, net: nn.Module, image: Tensor) -> Tensor:
        """Float32 (B, C, H, W) of images (B, bands, H, W): the softmax of the upsampled logits.

        Raises:
            UserError: The net's logits are not finite.
        """
        return self._softmax(net, image, None)

    def tempered_probabilities(self, net: nn.Module, image: Tensor, temperature: float) -> Tensor:
        """As `probabilities`, of the upsampled logits divided by a temperature."""
        return self._softmax(net, image, temperature)

    def _softmax(self, net: nn.Module, image: Tensor, temperature: float | None) -> Tensor:
        logits, padded = self._logits(net, image)
        full = torch.empty((*logits.shape[:2], *padded), device=logits.device)
        for band, probabilities in upsampled_softmax(logits, padded, temperature):
            band.put(full, probabilities)
        return full[..., : image.shape[-2], : image.shape[-1]]

    @torch.no_grad()
    def _logits(self, net: nn.Module, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        padded = pad_image(image, DIVISOR)
        logits = seg_output(net(padded)).logits
        check_finite(logits)
        return logits, (padded.shape[-2], padded.shape[-1])
