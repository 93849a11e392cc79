"""Encoders from timm: any model that returns features, with the normalisation of its weights built in."""

from collections.abc import Sequence

from torch import Tensor

from seglight.models.encoders.depths import layer_depths
from seglight.models.encoders.normalized import NormalizedEncoder, cut_to
from seglight.models.encoders.phases import phased
from seglight.models.encoders.recomputing import recompute_activations
from seglight.models.encoders.timm_nets import check_name, feature_net, is_channels_last
from seglight.models.encoders.weight_bands import channels_of, own_statistics
from seglight.ops.padding import pad_image
from seglight.ops.tiles import cut, joined


class TimmEncoder(NormalizedEncoder):
    """Features of a timm model; mean and std are those that its weights were trained with.

    Images of any size are read: where the model's windows want multiples of one, the last row and column are repeated;
    a model of one size only reads the image in squares of that size, which know nothing of each other.
    A plain ViT has one stride: `ViTEncoder` makes features of several of it.

    Args:
        name: timm's model name, with or without tag: `resnet50`, `resnet50.a1_in1k`, `vgg16_bn`, ...
        weights: Weights to load. "hub": timm's from its hub; "offline": those of the extra `pretrained`
            (tf_efficientnet_lite0);
            a path: a safetensors or weights-only .pth file of this model; "random" or None: untrained.
        output_stride: Stride of the coarsest feature, 8 or 16 by dilation where the model allows it, else 32.
        depth: Number of features, from the finest; the net ends there. None: all.
        in_channels: Channels of the image. Where there are not three, the first convolution's weights are summed to
            one, or repeat in turn at a smaller scale.
        mean: Mean of R, G, B in [0, 1], or of each channel, if the weights were trained with another than timm's.
        std: Standard deviation of R, G, B in [0, 1], or of each channel, if it differs from timm's.
        checkpoint_activations: Whether most activations are recomputed in the backward pass: less memory, more time.
        weight_bands: Names of the bands that a file of weights was trained on, in their order, such as [blue, green,
            red, nir]; the first convolution of the file has as many channels. The bands of the images are matched by
            name, and others start from the mean. None: red, green and blue.

    Raises:
        UserError: The model does not exist, or returns no features or fewer than `depth`; the weights are not available
            or do not fit, or are for another number of bands; or timm can't compute its activations again.
    """

    def __init__(
        self,
        name: str,
        weights: str | None = "hub",
        output_stride: int = 32,
        depth: int | None = None,
        in_channels: int = 3,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        checkpoint_activations: bool = False,
        weight_bands: Sequence[str] | None = None,
    ) -> None:
        check_name(name)
        in_channels = channels_of(in_channels, weight_bands, weights)
        net, reads = feature_net(name, weights, output_stride, depth, in_channels, weight_bands)
        phased(net)
        if checkpoint_activations:
            recompute_activations(name, net)
        super().__init__(*own_statistics(net, mean, std, weight_bands), in_channels)
        self.weight_bands = weight_bands
        self.name = name
        self.net = net
        self.reads = reads
        self.channels_last = is_channels_last(net)
        self.out_channels = net.feature_info.channels()
        self.strides = net.feature_info.reduction()

    def forward(self, image: Tensor) -> list[Tensor]:
        """Images (B, bands, H, W) to features (B, C, H / stride, W / stride), fine to coarse."""
        side, fixed = self.reads
        x = self.normalized(pad_image(image, side))
        features = self.net(cut(x, side) if fixed else x)
        if self.channels_last:
            features = [feature.permute(0, 3, 1, 2) for feature in features]
        if fixed:
            features = [joined(feature, x.shape[-2] // side, x.shape[-1] // side) for feature in features]
        return cut_to(features, self.strides, image)

    def depths(self) -> dict[str, int]:
        """How many layers lie above that of each parameter.

        Raises:
            UserError: timm does not group the layers of this model.
        """
        return {f"net.{key}": depth for key, depth in layer_depths(self.name, self.net).items()}
