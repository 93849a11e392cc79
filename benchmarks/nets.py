"""A training step of our nets against segmentation_models.pytorch: the same decoder over the same encoder.

Both sides read a batch of uint8 images in channels_last and end on the gradient of every parameter. Ours normalises in
the encoder and takes the loss in bands; the peer normalises as its manual says and takes `F.cross_entropy` of its
logits, which it brings to the image's size itself. Encoders are timm's on both sides, MiT beside Segformer. Decoders
have the same layers, so that weights of theirs can be imported; tests hold the logits equal.
"""

from collections.abc import Callable
from functools import partial
from statistics import geometric_mean
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks._table import DEVICE, Row, measure, parser_of
from seglight.losses import CrossEntropy
from seglight.models import EncoderDecoder, MixTransformer, TimmEncoder
from seglight.models.decoders import FPN, DeepLabV3, DeepLabV3Plus, PSPNet, SegFormer, UNet, UNetPlusPlus, UPerNet

CLASSES = 19
SMP_UNET: dict[str, Any] = {"further": (16,), "upsampling": "nearest"}
NETS: dict[str, tuple[Any, dict[str, Any], int, dict[str, Any]]] = {
    "Unet": (partial(UNet, **SMP_UNET), {}, 3, {}),
    "UnetPlusPlus": (
        partial(UNetPlusPlus, channels=(256, 128, 64, 64), **SMP_UNET),
        {},
        3,
        {"decoder_channels": (256, 128, 64, 64, 16)},
    ),
    "FPN": (partial(FPN, groups=32), {}, 1, {}),
    "PSPNet": (partial(PSPNet, merge_kernel=1), {"depth": 3}, 3, {}),
    "DeepLabV3": (partial(DeepLabV3, dilations=(12, 24, 36)), {"output_stride": 8}, 1, {}),
    "DeepLabV3Plus": (
        partial(DeepLabV3Plus, convs=(1, 1)),
        {"output_stride": 16},
        1,
        {"decoder_atrous_rates": (6, 12, 18)},
    ),
    "UPerNet": (partial(UPerNet, channels=256, norm_features=True), {}, 1, {}),
    "Segformer": (SegFormer, {}, 1, {}),
}
"""Our decoder, options of its encoder, side of the head's convolution, options of the peer."""

Step = Callable[[], tuple[float, int]]


def batch(size: int, images: int) -> tuple[Tensor, Tensor]:
    """Images uint8 in channels_last, labels uint8, both sides the same."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (images, 3, size, size), generator=generator, dtype=torch.uint8)
    mask = torch.randint(0, CLASSES, (images, size, size), generator=generator, dtype=torch.uint8)
    return image.to(DEVICE, memory_format=torch.channels_last), mask.to(DEVICE)


def ours(name: str, encoder: str, size: int, images: int) -> Step:
    """The net and the loss of a recipe."""
    torch.manual_seed(0)
    decoder, options, kernel, _ = NETS[name]
    body = MixTransformer() if name == "Segformer" else TimmEncoder(encoder, None, **options)
    net = EncoderDecoder(CLASSES, body, decoder, head_kernel=kernel).train()
    net.to(DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload]
    image, mask = batch(size, images)
    loss = CrossEntropy(255)
    return _step(net, lambda: loss(net(image).logits, mask))


def peer(name: str, encoder: str, size: int, images: int) -> Step:
    """The net and the loss of segmentation_models.pytorch's manual."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    options = NETS[name][3]
    body = "mit_b0" if name == "Segformer" else f"tu-{encoder}"
    net: Any = getattr(smp, name)(body, encoder_weights=None, classes=CLASSES, **options).train()
    net.to(DEVICE, memory_format=torch.channels_last)
    image, mask = batch(size, images)
    mean, std = (torch.tensor(v, device=DEVICE).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return _step(net, lambda: F.cross_entropy(net((image / 255 - mean) / std), mask.long(), ignore_index=255))


def _step(net: nn.Module, loss: Callable[[], Tensor]) -> Step:
    def step() -> tuple[float, int]:
        net.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach()), sum(p.numel() for p in net.parameters() if p.grad is not None)

    return step


def check(ours: Any, peer: Any) -> None:
    """Finite losses, and as many parameters with a gradient, but for norms and biases that ours has no use for."""
    assert np.isfinite(ours[0])
    assert np.isfinite(peer[0])
    assert abs(ours[1] / peer[1] - 1) < 0.02, f"{ours[1]} parameters against {peer[1]}"


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("nets", __doc__, rounds=5)
    parser.add_argument("--encoder", default="resnet18", help="a model of timm")
    parser.add_argument("--size", type=int, default=256, help="height and width")
    parser.add_argument("--images", type=int, default=4, help="of a batch")
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    options = parser.parse_args(args)
    rows = {
        name: Row(ours, peer, (name, options.encoder, options.size, options.images), check) for name in options.nets
    }
    figures = measure(rows, options)
    for what, ratios in (("time", [f.speedup for f in figures]), ("memory", [f.memory_ratio for f in figures])):
        print(f"{what}: {1 / geometric_mean(ratios):.2f} of the peer's (geometric mean), at most {1 / min(ratios):.2f}")
