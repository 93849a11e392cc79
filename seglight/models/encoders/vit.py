"""Plain vision transformers as encoders: blocks' outputs as they are, or as a simple feature pyramid (ViTDet)."""

import inspect
import math
from collections.abc import Sequence
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.models.encoders.depths import layer_depths
from seglight.models.encoders.normalized import NormalizedEncoder, cut_to
from seglight.models.encoders.timm_nets import check_name, with_weights
from seglight.models.encoders.weight_bands import channels_of, own_statistics
from seglight.models.layers import LayerNorm2d
from seglight.ops.padding import pad_image
from seglight.ops.tiles import cut, joined


class ViTEncoder(NormalizedEncoder):
    """Features of a ViT of timm (vit, deit, dinov2, eva02, beit, ...), of images of any size.

    Position embeddings are resized to the image as timm does it, by bicubic interpolation. Patches of 14 pixels would
    give strides that are no whole numbers: the image is brought to 7/8 of its size first: a patch is 16 of its pixels.
    A model of one size only, as BEiT, reads the image in squares of that size, which know nothing of each other.

    Args:
        name: timm's model name.
        weights: Weights to load, as in `TimmEncoder`.
        blocks: Indices of the blocks whose outputs are read; None: the last block. Later blocks are removed.
        pyramid: Channels of a pyramid of strides 4, 8, 16 and 32 (arXiv 2203.16527, section 3; at patches of 16), made
            from one block, or each level from one of four. None: the outputs as they are, at the patches' stride.
        readout: Whether the class token's channels follow those of each patch, as DPT reads them; without a pyramid.
        in_channels: Channels of the image.
        mean: Mean of R, G, B in [0, 1], if the weights were trained with another than timm's.
        std: Standard deviation of R, G, B in [0, 1], if it differs from timm's.
        weight_bands: Names of the bands that a file of weights was trained on, as in `TimmEncoder`.

    Raises:
        UserError: The model does not exist, is no plain ViT or has fewer blocks, or the weights are not available.
    """

    def __init__(
        self,
        name: str,
        weights: str | None = "hub",
        blocks: Sequence[int] | None = None,
        pyramid: int | None = 256,
        readout: bool = False,
        in_channels: int = 3,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        weight_bands: Sequence[str] | None = None,
    ) -> None:
        check_name(name)
        in_channels = channels_of(in_channels, weight_bands, weights)
        net, self.fixed = _create(name, weights, in_channels, weight_bands)
        super().__init__(*own_statistics(net, mean, std, weight_bands), in_channels)
        self.weight_bands = weight_bands
        self.name = name
        self.net = net
        self.blocks = [len(net.blocks) - 1] if blocks is None else list(blocks)
        if not 0 <= min(self.blocks) <= max(self.blocks) < len(net.blocks):
            raise UserError(f"encoder.blocks {self.blocks}: '{name}' has {len(net.blocks)}, counted from 0")
        net.prune_intermediate_layers(self.blocks, prune_norm=True, prune_head=True)
        self.patch = net.feature_info[0]["reduction"]
        self.stride = 16 if self.patch == 14 else self.patch
        tells = "return_prefix_tokens" in inspect.signature(net.forward_intermediates).parameters
        if readout and (pyramid is not None or not tells or net.cls_token is None):
            raise UserError("encoder.readout goes without a pyramid (pyramid: null), of a model with a class token")
        self.readout = readout
        self.pyramid = None
        self.out_channels = [net.embed_dim * (1 + readout)] * len(self.blocks)
        self.strides = [self.stride] * len(self.blocks)
        if pyramid is not None:
            self.pyramid = FeaturePyramid(net.embed_dim, pyramid, len(self.blocks))
            self.out_channels = [pyramid] * 4
            self.strides = [self.stride // 4, self.stride // 2, self.stride, 2 * self.stride]
        self.multiple = math.lcm(self.strides[-1], 1 if self.fixed is None else self.fixed * self.stride // self.patch)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Images (B, bands, H, W) to features (B, C, H / stride, W / stride), fine to coarse; sizes are rounded up."""
        x = self.normalized(pad_image(image, self.multiple))
        if self.patch != self.stride:
            size = [side * self.patch // self.stride for side in x.shape[-2:]]
            x = F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
        maps = self._maps(x)
        return cut_to(maps if self.pyramid is None else self.pyramid(maps), self.strides, image)

    def _maps(self, x: Tensor) -> list[Tensor]:
        """What the blocks give, (B, C, h, w), of pixels (B, 3, H, W)."""
        squares = x if self.fixed is None else cut(x, self.fixed)
        options = {"return_prefix_tokens": True} if self.readout else {}  # which not every model knows
        maps: list[Any] = self.net.forward_intermediates(
            squares, indices=self.blocks, intermediates_only=True, **options
        )
        if self.readout:
            maps = [torch.cat([patches, prefix[:, 0, :, None, None].expand_as(patches)], 1) for patches, prefix in maps]
        if self.fixed is not None:
            maps = [joined(found, x.shape[-2] // self.fixed, x.shape[-1] // self.fixed) for found in maps]
        return maps

    def depths(self) -> dict[str, int]:
        """How many layers lie above that of each parameter; above the pyramid none do."""
        above = {f"net.{name}": depth for name, depth in layer_depths(self.name, self.net).items()}
        return {name: above.get(name, 0) for name, _ in self.named_parameters()}


class FeaturePyramid(nn.Module):
    """Four strides of one: two transposed convolutions, one, none, a maximum; then 1x1 and 3x3 convolutions with norms.

    Args:
        in_channels: Channels of the maps.
        channels: Channels of the pyramid.
        maps: Number of maps: one for all levels, or one for each.

    Raises:
        UserError: There is another number of maps.
    """

    def __init__(self, in_channels: int, channels: int, maps: int) -> None:
        super().__init__()
        if maps not in (1, 4):
            raise UserError(f"encoder.blocks: {maps} of them, a pyramid is made from one or from four")
        half, quarter = in_channels // 2, in_channels // 4
        resized = (
            (
                nn.ConvTranspose2d(in_channels, half, 2, 2),
                LayerNorm2d(half),
                nn.GELU(),
                nn.ConvTranspose2d(half, quarter, 2, 2),
            ),
            (nn.ConvTranspose2d(in_channels, half, 2, 2),),
            (),
            (nn.MaxPool2d(2),),
        )
        widths = (quarter, half, in_channels, in_channels)
        self.levels = nn.ModuleList(
            nn.Sequential(
                *layers,
                nn.Conv2d(width, channels, 1, bias=False),
                LayerNorm2d(channels),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                LayerNorm2d(channels),
            )
            for layers, width in zip(resized, widths, strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(B, in_channels, h, w), one or four, to (B, channels, k * h, k * w) with k of 4, 2, 1, 1/2."""
        return [level(maps[min(k, len(maps) - 1)]) for k, level in enumerate(self.levels)]


def _create(
    name: str, weights: str | None, in_channels: int, weight_bands: Sequence[str] | None
) -> tuple[Any, int | None]:
    """A model without its head, and the side of the only images that it reads; None: it reads any."""
    net: Any
    for dynamic in ({"dynamic_img_size": True}, {}):
        kwargs: dict[str, Any] = {"num_classes": 0, "in_chans": in_channels, **dynamic}
        try:
            net = timm.create_model(name, pretrained=False, **kwargs)
            plain = len({info["reduction"] for info in net.feature_info}) == 1 and len(net.blocks) > 1
        except (AttributeError, KeyError, TypeError):
            continue
        if plain and hasattr(net, "embed_dim") and hasattr(net, "prune_intermediate_layers"):
            fixed = None if dynamic else net.pretrained_cfg["input_size"][-1]
            return with_weights(net, name, weights, kwargs, weight_bands), fixed
    raise UserError(f"encoder '{name}' is no plain ViT: take seglight.models.TimmEncoder, or another such as deit")
