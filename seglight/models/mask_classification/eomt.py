"""EoMT: a plain ViT whose last blocks also read queries, which predict masks with classes (arXiv 2503.19108)."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from seglight.errors import UserError
from seglight.interfaces import MaskOutput
from seglight.models.mask_classification.plain_vit import PlainViT
from seglight.models.mask_classification.query_net import QueryNet


class EoMT(QueryNet):
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
        super().__init__(num_classes, encoder, num_queries, num_blocks, annealing, seed)
        if num_blocks > encoder.depth:
            raise UserError(
                f"model.net.num_blocks {num_blocks}: '{encoder.name}' has {encoder.depth} blocks: give a number up to "
                "that"
            )
        self.num_blocks = num_blocks

    def forward(self, image: Tensor) -> MaskOutput:
        """Images (B, bands, H, W) to classes and masks of the queries; auxiliary outputs while training."""
        rows, encoder = self.rows(image), self.encoder
        x, positions = encoder.embedded(image)
        first = encoder.depth - self.num_blocks
        for index in range(first):
            x = encoder.block(index, positions, x)
        last = [partial(encoder.block, index, positions) for index in range(first, encoder.depth)]
        return self.decoded(x, positions, last, encoder.normed, rows, image)
