"""What nets over a plain ViT share: queries before its patches, in blocks that mask them, and their predictions."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import MaskClassifier, MaskOutput
from seglight.models.mask_classification.annealing import MaskAnnealing, equal_phases
from seglight.models.mask_classification.heads import QueryHeads
from seglight.models.mask_classification.plain_vit import PlainViT, Positions

QueryBlock = Callable[[Tensor, Tensor | None], Tensor]
"""Called with tokens (B, Q + N, D), queries first, and with which patches each query attends to, (B, Q, patches)."""


class QueryNet(MaskClassifier):
    """Base of nets whose last blocks read learned queries beside the patches of a plain ViT.

    In training each block lets a query attend only to the patches of the mask that it predicts before the block; the
    masks fade out in the course of the run (see `MaskAnnealing`). In training the predictions before the blocks are
    auxiliary outputs, masked or not.

    Args:
        num_classes: Number of classes C.
        encoder: The plain ViT.
        num_queries: Number of queries Q.
        num_blocks: Number of blocks that read the queries.
        annealing: For each of these blocks the fractions of the run at which its masks begin to fade and are gone;
            None: one block after the other, in `num_blocks` + 2 equal phases.
        seed: Seed of the draws of queries that are not masked.

    Raises:
        UserError: The encoder is no `PlainViT`, or a number is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        encoder: PlainViT,
        num_queries: int,
        num_blocks: int,
        annealing: Sequence[tuple[float, float]] | None,
        seed: int,
    ) -> None:
        super().__init__(num_classes)
        check_encoder(encoder, type(self).__name__)
        if num_queries < 1 or num_blocks < 1:
            raise UserError(f"model.net: num_queries {num_queries}, num_blocks {num_blocks}: give at least 1 of each")
        phases = equal_phases(num_blocks) if annealing is None else annealing
        if len(phases) != num_blocks:
            raise UserError(f"model.net.annealing has {len(phases)} phases: give one for each of {num_blocks} blocks")
        self.encoder = encoder
        self.masking = MaskAnnealing(phases, seed)
        self.queries = nn.Embedding(num_queries, encoder.width)
        self.predictor = QueryHeads(encoder.width, num_classes, encoder.stride)
        self.heads = ("predictor.class_head.",)

    def set_progress(self, fraction: float) -> None:
        """Fade the masks out; see `MaskAnnealing`."""
        self.masking.set_progress(fraction)

    def rows(self, image: Tensor) -> list[Tensor | None]:
        """Which queries each block masks, (B, Q); drawn before all else, so that a compiled net is one graph."""
        return self.masking.rows(len(image), self.queries.num_embeddings)

    def decoded(
        self,
        x: Tensor,
        positions: Positions,
        blocks: Sequence[QueryBlock],
        normed: Callable[[Tensor], Tensor],
        rows: Sequence[Tensor | None],
        image: Tensor,
    ) -> MaskOutput:
        """Run the blocks with the queries, and predict.

        Args:
            x: Tokens (B, N, D) of the padded image.
            positions: Where the patches are.
            blocks: The blocks that read the queries.
            normed: Norm of the tokens for predictions.
            rows: Which queries each block masks, (B, Q), see `rows`.
            image: Image (B, bands, H, W), at whose end masks are cut.
        """
        x = torch.cat([self.queries.weight.expand(len(x), -1, -1).to(x.dtype), x], 1)
        aux = []
        for block, masked in zip(blocks, rows, strict=True):
            allowed = None
            if self.training or masked is not None:
                output = self._predicted(normed(x), positions)
                aux.append(output)
                allowed = attended(output.mask_logits, positions, masked)
            x = block(x, allowed)
        return cut_output(
            self._predicted(normed(x), positions), aux if self.training else [], self.predictor.stride, image
        )

    def _predicted(self, x: Tensor, positions: Positions) -> MaskOutput:
        rows, columns = positions.grid
        patches = x[:, x.shape[1] - rows * columns :].transpose(1, 2).reshape(len(x), -1, rows, columns)
        return MaskOutput(*self.predictor(x[:, : self.queries.num_embeddings], patches))


def check_encoder(encoder: nn.Module, net: str) -> None:
    """Check that an encoder has tokens.

    Raises:
        UserError: It is no `PlainViT`, or its patches' side is no power of 2.
    """
    if not isinstance(encoder, PlainViT):
        raise UserError(
            f"{net} adds tokens to a plain ViT, and model.net.encoder is {type(encoder).__name__}: take "
            "seglight.models.PlainViT"
        )
    if encoder.stride & (encoder.stride - 1):
        raise UserError(f"{net} doubles patches, and those of '{encoder.name}' have {encoder.stride} pixels: take 16")


def attended(mask_logits: Tensor, positions: Positions, masked: Tensor | None) -> Tensor | None:
    """Whether a query attends to a patch, (B, Q, patches): where its mask is, and everywhere if it is not masked.

    Args:
        mask_logits: (B, Q, h, w) of the padded image.
        positions: Where the patches are.
        masked: Which queries are masked, (B, Q); None: none is.
    """
    if masked is None:
        return None
    at_patches = F.interpolate(mask_logits.detach(), positions.grid, mode="bilinear", align_corners=False)
    return (at_patches > 0).flatten(2) | ~masked.unsqueeze(2)


def cut_output(output: MaskOutput, aux: Sequence[MaskOutput], stride: int, image: Tensor) -> MaskOutput:
    """Outputs whose masks end where the image (B, bands, H, W) does; sizes are rounded up."""
    height, width = (-(-side // stride) for side in image.shape[-2:])
    earlier = tuple(MaskOutput(each.class_logits, each.mask_logits[..., :height, :width]) for each in aux)
    return MaskOutput(output.class_logits, output.mask_logits[..., :height, :width], earlier)
