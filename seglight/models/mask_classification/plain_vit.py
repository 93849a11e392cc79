"""Plain vision transformers of timm as sequences of tokens, to which a net adds queries between two blocks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import timm
import torch
from timm.layers.patch_embed import PatchEmbed
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.beit import Beit
from timm.models.beit import Block as BeitBlock
from timm.models.eva import Eva, EvaBlock
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seglight.errors import UserError
from seglight.models.encoders.depths import layer_depths
from seglight.models.encoders.normalized import NormalizedEncoder, cut_to
from seglight.models.encoders.timm_nets import check_name, with_weights
from seglight.models.encoders.weight_bands import channels_of, own_statistics
from seglight.models.mask_classification.attention import KINDS, attend
from seglight.ops.padding import pad_image


class Positions(NamedTuple):
    """Where the patches of an image are.

    Attributes:
        grid: Rows and columns of patches.
        rope: Rotary embeddings of the patches as timm makes them; None: the model has none.
    """

    grid: tuple[int, int]
    rope: Tensor | None


class PlainViT(NormalizedEncoder):
    """A plain ViT of timm (DINOv2, DINOv3, EVA, BEiT, DeiT, AugReg, ...), of images of any size.

    Images are padded to whole patches. Position embeddings are resized to the image by bicubic interpolation, as timm
    does it, and so are BEiT's biases; rotary embeddings need none. Patches of 14 pixels are resampled to 16
    (FlexiViT, arXiv 2212.08013, section 3.4), as EoMT does.

    Args:
        name: timm's model name.
        weights: Weights to load, as in `TimmEncoder`.
        image_size: Side of the square images that position embeddings are stored for, a multiple of the patches' side;
            None: as many patches as those of the weights have.
        in_channels: Channels of the image.
        mean: Mean of R, G, B in [0, 1], if the weights were trained with another than timm's.
        std: Standard deviation of R, G, B in [0, 1], if it differs from timm's.
        checkpoint_activations: Whether activations are recomputed in the backward pass: less memory, more time.
        weight_bands: Names of the bands that a file of weights was trained on, as in `TimmEncoder`.

    Attributes:
        width: Channels of a token.
        depth: Number of blocks.
        prefix: Number of tokens before the patches: class token and registers.
        stride: Side of a patch in pixels.

    Raises:
        UserError: The model does not exist or is no plain ViT, or the weights are not available or do not fit.
    """

    def __init__(
        self,
        name: str,
        weights: str | None = "hub",
        image_size: int | None = None,
        in_channels: int = 3,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        checkpoint_activations: bool = False,
        weight_bands: Sequence[str] | None = None,
    ) -> None:
        check_name(name)
        in_channels = channels_of(in_channels, weight_bands, weights)
        kwargs: dict[str, Any] = {"num_classes": 0, "in_chans": in_channels, **_size(name, image_size)}
        net = with_weights(timm.create_model(name, **kwargs), name, weights, kwargs, weight_bands)
        super().__init__(*own_statistics(net, mean, std, weight_bands), in_channels)
        self.weight_bands = weight_bands
        self.name = name
        self.net = net
        self.checkpoint_activations = checkpoint_activations
        if not isinstance(net, Beit):
            net.attn_pool = None  # for a classifier
        self.width: int = net.embed_dim
        self.depth = len(net.blocks)
        self.prefix: int = 1 if isinstance(net, Beit) else net.num_prefix_tokens
        self.stride: int = net.patch_embed.patch_size[0]
        self.out_channels = [self.width]
        self.strides = [self.stride]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Images (B, bands, H, W) to the normed output of the last block, (B, C, H / stride, W / stride)."""
        x, positions = self.embedded(image)
        for index in range(self.depth):
            x = self.block(index, positions, x)
        patches = self.normed(x)[:, self.prefix :].transpose(1, 2)
        return cut_to([patches.reshape(len(x), -1, *positions.grid)], self.strides, image)

    def embedded(self, image: Tensor) -> tuple[Tensor, Positions]:
        """Images (B, bands, H, W) to tokens (B, prefix + patches, D), and where these are."""
        net: Any = self.net
        x = net.patch_embed.proj(self.normalized(pad_image(image, self.stride)))
        grid = (int(x.shape[-2]), int(x.shape[-1]))
        x = net.patch_embed.norm(x.flatten(2).transpose(1, 2))
        beit = isinstance(net, Beit)
        learned = [net.cls_token] if beit else [net.cls_token, net.reg_token]
        prefix = [token.expand(len(x), -1, -1) for token in learned if token is not None]
        for_patches = not beit and net.no_embed_class
        if not for_patches:
            x = torch.cat([*prefix, x], 1)
        if net.pos_embed is not None:
            own = net.patch_embed.grid_size
            others = 0 if for_patches else self.prefix
            x = x + resample_abs_pos_embed(net.pos_embed, list(grid), own, others)
        if for_patches:
            x = torch.cat([*prefix, x], 1)
        if not beit:
            x = net.norm_pre(x)
        rotary: Any = net.rope if isinstance(net, Eva) else None
        return x, Positions(grid, None if rotary is None else rotary.get_embed(shape=list(grid)))

    def block(self, index: int, positions: Positions, x: Tensor, allowed: Tensor | None = None) -> Tensor:
        """The output of one of the encoder's blocks; see `run_block`.

        Args:
            index: Index of the block.
            positions: Where the patches are.
            x: Tokens (B, N, D): queries, if any, class token and registers, patches.
            allowed: Whether a query attends to a patch, (B, Q, patches); None: all attend to all.
        """
        rope = positions.rope
        if rope is not None and self.net.rope_mixed:  # each block has its own
            rope = rope[index]
        here = Positions(positions.grid, rope)
        if self.checkpoint_activations and self.training and torch.is_grad_enabled():
            recomputed: Tensor = checkpoint(run_block, self.net.blocks[index], here, x, allowed, use_reentrant=False)
            return recomputed
        return run_block(self.net.blocks[index], here, x, allowed)

    def normed(self, x: Tensor) -> Tensor:
        """Tokens through the model's last norm, which timm keeps with the classifier in some models."""
        y: Tensor = self.net.fc_norm(x) if isinstance(self.net.norm, nn.Identity) else self.net.norm(x)
        return y

    def depths(self) -> dict[str, int]:
        """How many layers lie above that of each parameter.

        Raises:
            UserError: timm does not group the layers of this model.
        """
        return {f"net.{key}": depth for key, depth in layer_depths(self.name, self.net).items()}


def run_block(block: Any, positions: Positions, x: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Attention and perceptron of a block of timm, each with its norm, scale and sum.

    Args:
        block: The block.
        positions: Where the patches are.
        x: Tokens (B, N, D): queries, if any, class token and registers, patches.
        allowed: Whether a query attends to a patch, (B, Q, patches); None: all attend to all.
    """
    grid, rope = positions
    start = x.shape[1] - grid[0] * grid[1]
    y: Tensor = attend(block.attn, block.norm1(x), start, grid, rope, allowed)
    if isinstance(block, Block):
        x = x + block.ls1(y)
        y = block.ls2(block.mlp(block.norm2(x)))
        return x + y
    x = x + (y if block.gamma_1 is None else block.gamma_1 * y)
    y = block.mlp(block.norm2(x))
    return x + (y if block.gamma_2 is None else block.gamma_2 * y)


def _size(name: str, image_size: int | None) -> dict[str, Any]:
    """Timm's arguments for the sizes of patches and images.

    Raises:
        UserError: The model is no plain ViT, or its patches do not fit.
    """
    with torch.device("meta"):
        net: Any = timm.create_model(name, num_classes=0)
    plain = type(net) in (VisionTransformer, Eva, Beit) and type(net.patch_embed) is PatchEmbed
    if not plain or any(
        type(block) not in (Block, EvaBlock, BeitBlock) or type(block.attn) not in KINDS for block in net.blocks
    ):
        raise UserError(
            f"encoder '{name}' is no plain ViT: take one of DINOv2, DINOv3, EVA, BEiT, DeiT or AugReg, such as "
            "vit_small_patch14_reg4_dinov2"
        )
    side = net.patch_embed.patch_size[0]
    patch = 16 if side == 14 else side
    if image_size is not None and (image_size < patch or image_size % patch):
        raise UserError(f"encoder.image_size {image_size}: give a multiple of {patch}, the side of a patch")
    size: dict[str, Any] = {} if isinstance(net, Beit) else {"dynamic_img_size": True}
    if patch != side:
        size |= {"patch_size": patch, "img_size": patch * net.patch_embed.grid_size[0]}
    return size if image_size is None else size | {"img_size": image_size}
