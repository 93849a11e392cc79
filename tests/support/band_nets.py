"""A net of two convolutions for images of any bands, for tests that train many times."""

from torch import Tensor, nn

from seglight.models.encoders.normalized import NormalizedEncoder


class Patches(NormalizedEncoder):
    """One convolution of stride 4."""

    def __init__(self) -> None:
        super().__init__((0.5,) * 3, (0.25,) * 3)
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
        self.out_channels, self.strides = [8], [4]

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.conv(self.normalized(image))]


class BandNet(nn.Module):
    """Logits at stride 4, without a batch norm: the same gradients in one process and in several."""

    def __init__(self, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = Patches()
        self.drop, self.head = nn.Dropout2d(dropout), nn.Conv2d(8, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(self.drop(self.encoder(image)[0].relu()))
        return logits
