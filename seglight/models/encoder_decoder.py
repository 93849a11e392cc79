"""Nets of an encoder, a decoder and a head."""

from collections.abc import Sequence

from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import DecoderFactory, Encoder, GuidedDecoder, Net, SegOutput
from seglight.models.layers import ConvNormAct, init_decoder


class EncoderDecoder(Net):
    """A net of an encoder, a decoder and a head; the decoder is built with the encoder's channels and strides.

    Args:
        num_classes: Number of classes C.
        encoder: Encoder of the image.
        decoder: Factory of the decoder, called with the encoder's `out_channels` and `strides`.
        aux_index: Index of the feature that an auxiliary head reads in training (arXiv 1612.01105, section 3.3); -2 is
            the usual one, None: no such head. A guided decoder reads that head's scores, also in evaluation.
        head_kernel: Kernel size of the head: 3 in Unet and PSPNet of segmentation_models.pytorch.

    Raises:
        UserError: A guided decoder without an auxiliary head.
    """

    def __init__(
        self,
        num_classes: int,
        encoder: Encoder,
        decoder: DecoderFactory,
        aux_index: int | None = None,
        head_kernel: int = 1,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder(encoder.out_channels, encoder.strides)
        self.head = nn.Conv2d(self.decoder.out_channels, num_classes, head_kernel, padding=head_kernel // 2)
        init_decoder(self.decoder)
        self.guided = isinstance(self.decoder, GuidedDecoder)
        if self.guided and aux_index is None:
            raise UserError(
                f"{type(self.decoder).__name__} reads the class scores of an auxiliary head, and there is none: "
                "set model.net.aux_index (-2 is the usual feature)"
            )
        self.aux_index = aux_index
        self.aux_head: nn.Module | None = None
        if aux_index is not None:
            channels = encoder.out_channels[aux_index]
            self.aux_head = nn.Sequential(
                ConvNormAct(channels, channels // 4), nn.Conv2d(channels // 4, num_classes, 1)
            )
            init_decoder(self.aux_head)
        self.heads = ("head.", "aux_head.", *(f"decoder.{prefix}" for prefix in self.decoder.heads))

    def forward(self, image: Tensor) -> SegOutput:
        """Images (B, bands, H, W) to logits (B, C, h, w) at the decoder's stride."""
        return self.scored(self.encoder(image))

    def scored(self, features: Sequence[Tensor]) -> SegOutput:
        """The encoder's features to logits (B, C, h, w), and those of the auxiliary head while training."""
        aux: tuple[Tensor, ...] = ()
        if self.aux_head is not None and self.aux_index is not None and (self.training or self.guided):
            aux = (self.aux_head(features[self.aux_index]),)
        logits = self.head(self.decoder(features, *aux) if self.guided else self.decoder(features))
        return SegOutput(logits, aux if self.training else ())
