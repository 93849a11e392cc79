"""Mask2Former: queries that read an encoder's features where their masks are (arXiv 2112.01527)."""

from torch import Tensor

from seglight.errors import UserError
from seglight.interfaces import Encoder, MaskClassifier, MaskOutput
from seglight.models.mask_classification.mask_decoder import MaskDecoder
from seglight.models.mask_classification.pixel_decoder import PixelDecoder


class Mask2Former(MaskClassifier):
    """An encoder, a pixel decoder of deformable attention, and a transformer decoder with masked attention.

    In training the predictions of the learned queries and after each layer but the last are auxiliary outputs.

    Args:
        num_classes: Number of classes C.
        encoder: Encoder of the image with four features or more, of which the last four are read: strides 4 to 32.
        num_queries: Number of queries Q: 100 in the paper, 200 for Swin-L on COCO.
        width: Channels of the decoders, a multiple of 32.
        pixel_layers: Number of layers of the pixel decoder.
        layers: Number of layers of the transformer decoder.
        norm_features: Whether each feature has a layer norm first, as in the code of Swin and ConvNeXt.

    Raises:
        UserError: The encoder has fewer features, or a number is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        encoder: Encoder,
        num_queries: int = 100,
        width: int = 256,
        pixel_layers: int = 6,
        layers: int = 9,
        norm_features: bool = False,
    ) -> None:
        super().__init__(num_classes)
        for name, value in (("num_queries", num_queries), ("pixel_layers", pixel_layers), ("layers", layers)):
            if value < 1:
                raise UserError(f"model.net.{name} {value}: give at least 1")
        self.encoder = encoder
        self.pixel_decoder = PixelDecoder(encoder.out_channels, width, pixel_layers, norm_features=norm_features)
        self.mask_decoder = MaskDecoder(num_classes, width, num_queries, layers)
        self.heads = ("mask_decoder.class_head.",)

    def forward(self, image: Tensor) -> MaskOutput:
        """Images (B, bands, H, W) to classes and masks of the queries; auxiliary outputs while training."""
        outputs: list[MaskOutput] = self.mask_decoder(*self.pixel_decoder(self.encoder(image)))
        *aux, (class_logits, mask_logits, _) = outputs
        return MaskOutput(class_logits, mask_logits, tuple(aux) if self.training else ())
