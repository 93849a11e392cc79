"""PointRend: logits are predicted again at points where an upsampled map is uncertain (arXiv 1912.08193)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import DecoderFactory, Encoder, SegOutput
from seglight.models.encoder_decoder import EncoderDecoder
from seglight.models.layers import doubled, init_decoder

OVERSAMPLING, IMPORTANT = 3, 0.75
"""Section 3.2: of k N points drawn at random the most uncertain beta N are taken; the rest of N is drawn at random."""


class PointRend(EncoderDecoder):
    """An EncoderDecoder whose logits are refined.

    In evaluation they come `steps` times finer by 2: at each step the map is doubled and its most uncertain points are
    predicted from a fine feature and the coarse logits there (section 3.1). In training the paper has a loss at drawn
    points beside that of the coarse map. A loss reads maps here, so those points are set into a doubled map that is
    otherwise constant, the first of the auxiliary outputs, weighted by `aux_weight`; its gradient is scaled up to that
    of a mean over the points only.

    Args:
        num_classes: Number of classes C.
        encoder: Encoder of the image.
        decoder: Factory of the decoder, called with the encoder's `out_channels` and `strides`.
        aux_index: Index of the feature of an auxiliary head, as in `EncoderDecoder`.
        fine_index: Index of the feature that points are read from, usually the finest.
        channels: Channels of the point head's three hidden layers.
        steps: Number of subdivisions in evaluation.
        points: Number of points of an image in training.
        eval_points: Number of points of a subdivision.

    Raises:
        UserError: There is only one class, or a guided decoder has no auxiliary head.
    """

    def __init__(
        self,
        num_classes: int,
        encoder: Encoder,
        decoder: DecoderFactory,
        aux_index: int | None = None,
        fine_index: int = 0,
        channels: int = 256,
        steps: int = 2,
        points: int = 2048,
        eval_points: int = 8096,
    ) -> None:
        if num_classes < 2:
            raise UserError(
                f"PointRend of {num_classes} class: without a second no point is uncertain: give at least 2 classes, "
                "or take EncoderDecoder"
            )
        super().__init__(num_classes, encoder, decoder, aux_index)
        self.fine_index = fine_index
        self.steps = steps
        self.points = points
        self.eval_points = eval_points
        self.point_head = PointHead(encoder.out_channels[fine_index], num_classes, channels)
        init_decoder(self.point_head)
        self.heads = (*self.heads, "point_head.")

    def forward(self, image: Tensor) -> SegOutput:
        """Images (B, bands, H, W) to logits (B, C, h, w) at the decoder's stride, in evaluation 2 ** steps finer."""
        features = self.encoder(image)
        logits, aux = self.scored(features)
        fine = features[self.fine_index]
        if self.training:
            return SegOutput(logits, (self._drawn(logits, fine), *aux))
        coarse = logits
        for _ in range(self.steps):
            logits = doubled(logits)
            count = min(self.eval_points, logits.shape[-2] * logits.shape[-1])
            points = _uncertainty(logits).topk(count).indices
            logits = _set(logits, points, self.point_head(fine, coarse, points, logits.shape[-1], logits.shape[-2]))
        return SegOutput(logits)

    def _drawn(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """A doubled map, constant but at points that are drawn."""
        upsampled = doubled(coarse.detach())
        height, width = upsampled.shape[-2:]
        count = min(self.points, height * width)
        important = int(IMPORTANT * count)
        device, batch = coarse.device, len(coarse)
        candidates = torch.randint(height * width, (batch, OVERSAMPLING * count), device=device)
        uncertain = _uncertainty(upsampled).gather(1, candidates).topk(important).indices
        others = torch.randint(height * width, (batch, count - important), device=device)
        points = torch.cat([candidates.gather(1, uncertain), others], 1)
        logits = self.point_head(fine, coarse, points, width, height)
        share = height * width / count
        # the value of the logits, and their gradient times the share
        return _set(upsampled, points, share * logits - (share - 1) * logits.detach())


class PointHead(nn.Module):
    """Three hidden layers of a shared perceptron, each of which reads the coarse logits again (section 3.3)."""

    def __init__(self, in_channels: int, num_classes: int, channels: int) -> None:
        super().__init__()
        widths = [in_channels, channels, channels]
        self.hidden = nn.ModuleList(nn.Conv1d(width + num_classes, channels, 1) for width in widths)
        self.predict = nn.Conv1d(channels + num_classes, num_classes, 1)

    def forward(self, fine: Tensor, coarse: Tensor, points: Tensor, width: int, height: int) -> Tensor:
        """Logits (B, C, N) at points.

        Args:
            fine: Feature (B, F, h, w).
            coarse: Logits (B, C, h', w').
            points: Indices (B, N) of the pixels, row by row, of a map of the whole image.
            width: Width of that map.
            height: Height of that map.
        """
        y = points // width
        x = points - y * width  # ONNX has a remainder by constants only
        at = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], 2).unsqueeze(1).to(fine.dtype)
        here, scores = (
            F.grid_sample(m, at, padding_mode="border", align_corners=False).squeeze(2)
            for m in (fine, coarse.to(fine.dtype))
        )
        for layer in self.hidden:
            here = F.relu(layer(torch.cat([here, scores], 1)))
        predicted: Tensor = self.predict(torch.cat([here, scores], 1))
        return predicted


def _uncertainty(logits: Tensor) -> Tensor:
    """(B, C, h, w) to (B, h * w): the less, the further the first class is ahead of the second (section 3.1)."""
    first, second = logits.detach().topk(2, dim=1).values.flatten(2).unbind(1)
    return second - first


def _set(logits: Tensor, points: Tensor, values: Tensor) -> Tensor:
    index = points.unsqueeze(1).expand(-1, logits.shape[1], -1)
    return logits.flatten(2).scatter(2, index, values.to(logits.dtype)).view_as(logits)
