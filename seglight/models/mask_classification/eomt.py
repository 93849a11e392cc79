"""EoMT: a plain ViT whose last blocks also read queries, which predict masks with classes (arXiv 2503.19108)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import MaskClassifier, MaskOutput
from seglight.models.mask_classification.annealing import MaskAnnealing, equal_phases
from seglight.models.mask_classification.heads import QueryHeads
from seglight.models.mask_classification.plain_vit import PlainViT, Positions


class EoMT(MaskClassifier):
    """Encoder-only Mask Transformer: learned queries join the tokens of a plain ViT before its last blocks.

    In training each of these blocks lets a query attend only to the patches of the mask that it predicts before the
    block; the masks fade out in the course of the run (see `MaskAnnealing`), after which a prediction is one pass of a
    plain ViT. In training the predictions before the blocks are auxiliary outputs, masked or not.

    Args:
        num_classes: Number of classes C.
        encoder: The plain ViT.
        num_queries: Number of queries Q: 100 for semantic, 200 for panoptic and instance segmentation in the paper.
        num_blocks: Number of blocks that read the queries: 3 for S and B, 4 for L, 5 for g in the paper.
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
        num_queries: int = 100,
        num_blocks: int = 4,
        annealing: Sequence[tuple[float, float]] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(num_classes)
        check_encoder(encoder, "EoMT")
        if not 1 <= num_blocks <= encoder.depth:
            raise UserError(
                f"model.net.num_blocks {num_blocks}: '{encoder.name}' has {encoder.depth} blocks: give a number up to "
                "that"
            )
        self.encoder = encoder
        self.num_blocks = num_blocks
        self.masking = masking(num_blocks, annealing, seed)
        self.queries = made_queries(num_queries, encoder.width)
        self.predictor = QueryHeads(encoder.width, num_classes, encoder.stride)
        self.heads = ("predictor.class_head.",)

    def set_progress(self, fraction: float) -> None:
        """Fade the masks out; see `MaskAnnealing`."""
        self.masking.set_progress(fraction)

    def forward(self, image: Tensor) -> MaskOutput:
        """Images (B, bands, H, W) to classes and masks of the queries; auxiliary outputs while training."""
        encoder = self.encoder
        x, positions = encoder.embedded(image)
        first = encoder.depth - self.num_blocks
        for index in range(first):
            x = encoder.block(index, x, positions)
        x = torch.cat([self.queries.weight.expand(len(x), -1, -1).to(x.dtype), x], 1)
        rows = self.masking.rows(len(x), self.queries.num_embeddings)
        aux = []
        for index, masked in enumerate(rows, first):
            allowed = None
            if self.training or masked is not None:
                output = self._predicted(encoder.normed(x), positions)
                aux.append(output)
                allowed = attended(output.mask_logits, positions, masked)
            x = encoder.block(index, x, positions, allowed)
        output = self._predicted(encoder.normed(x), positions)
        return cut_output(output, aux if self.training else [], self.predictor.stride, image)

    def _predicted(self, x: Tensor, positions: Positions) -> MaskOutput:
        return predicted(self.predictor, x, self.queries.num_embeddings, positions)


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


def masking(num_blocks: int, annealing: Sequence[tuple[float, float]] | None, seed: int) -> MaskAnnealing:
    """The masks of some blocks.

    Raises:
        UserError: `annealing` has another number of phases.
    """
    phases = equal_phases(num_blocks) if annealing is None else annealing
    if len(phases) != num_blocks:
        raise UserError(f"model.net.annealing has {len(phases)} phases: give one for each of {num_blocks} blocks")
    return MaskAnnealing(phases, seed)


def made_queries(number: int, width: int) -> nn.Embedding:
    """Learned queries (number, width).

    Raises:
        UserError: There are none.
    """
    if number < 1:
        raise UserError(f"model.net.num_queries {number}: give at least 1")
    return nn.Embedding(number, width)


def predicted(predictor: QueryHeads, x: Tensor, queries: int, positions: Positions) -> MaskOutput:
    """Classes and masks from normed tokens (B, N, D), of which `queries` come first and patches last."""
    rows, columns = positions.grid
    patches = x[:, x.shape[1] - rows * columns :].transpose(1, 2).reshape(len(x), -1, rows, columns)
    return MaskOutput(*predictor(x[:, :queries], patches))


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
