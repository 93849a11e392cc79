"""A training step of our nets against segmentation_models.pytorch: the same decoder on the same encoder.

Both sides read a batch of uint8 images in channels_last and compute the gradient of every parameter. Ours normalises
in the encoder and computes the loss in bands; the peer normalises as in its manual and computes `F.cross_entropy` of
its logits, which it upsamples to the image's size itself. Encoders are timm's on both sides, and MiT for Segformer.
Decoders have the same layers: the peer's weights are imported, and logits are compared before anything is timed.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import geometric_mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks._table import DEVICE, Row, measure, parser_of
from seglight.losses import CrossEntropy
from seglight.models import EncoderDecoder, MixTransformer, TimmEncoder, import_weights
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
"""Our decoder, options of its encoder, kernel size of the head's convolution, options of the peer."""

ALIGNED = ("FPN", "PSPNet", "DeepLabV3Plus")
"""Peers that resize with align_corners=True, so that logits are similar but not equal."""

Step = Callable[[], tuple[Tensor, float]]


def batch(size: int, images: int) -> tuple[Tensor, Tensor]:
    """Return uint8 images in channels_last and uint8 labels, the same for both sides."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (images, 3, size, size), generator=generator, dtype=torch.uint8)
    mask = torch.randint(0, CLASSES, (images, size, size), generator=generator, dtype=torch.uint8)
    return image.to(DEVICE, memory_format=torch.channels_last), mask.to(DEVICE)


def ours(name: str, encoder: str, size: int, images: int) -> Step:
    """Return a step with the net and the loss of a recipe."""
    torch.manual_seed(0)
    decoder, options, kernel, _ = NETS[name]
    body = MixTransformer() if name == "Segformer" else TimmEncoder(encoder, None, **options)
    net = EncoderDecoder(CLASSES, body, decoder, head_kernel=kernel).train()
    with TemporaryDirectory() as folder:
        torch.save(peers_net(name, encoder).state_dict(), Path(folder) / "theirs.pth")
        import_weights(net, Path(folder) / "theirs.pth")
    net.to(DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload]
    image, mask = batch(size, images)
    loss = CrossEntropy(255)
    return _step(name, net, lambda: net(image).logits, lambda: loss(net(image).logits, mask))


def peers_net(name: str, encoder: str) -> Any:
    """Return a net of segmentation_models.pytorch with the same random weights in each call."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    body = "mit_b0" if name == "Segformer" else f"tu-{encoder}"
    return getattr(smp, name)(body, encoder_weights=None, classes=CLASSES, **NETS[name][3])


def peer(name: str, encoder: str, size: int, images: int) -> Step:
    """Return a step with the net and the loss of segmentation_models.pytorch's manual."""
    net = peers_net(name, encoder).to(DEVICE, memory_format=torch.channels_last)
    image, mask = batch(size, images)
    mean, std = (torch.tensor(v, device=DEVICE).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def normalised() -> Tensor:
        return (image / 255 - mean) / std

    def head_logits() -> Tensor:  # at the head's stride, because the peer upsamples differently
        out: Tensor = net.segmentation_head[0](net.decoder(net.encoder(normalised())))
        return out

    return _step(name, net, head_logits, lambda: F.cross_entropy(net(normalised()), mask.long(), ignore_index=255))


def _step(name: str, net: nn.Module, logits: Callable[[], Tensor], loss: Callable[[], Tensor]) -> Step:
    """Return a training step, which returns the logits of the untrained net and their tolerance."""
    net.eval()
    with torch.no_grad():
        before = logits().float().cpu()
    net.train()

    def step() -> tuple[Tensor, float]:
        net.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        return before, 0.3 if name in ALIGNED else 1e-3

    return step


def check(ours: Any, peer: Any) -> None:
    """Compare the logits to a fraction of their standard deviation."""
    (mine, near), (theirs, _) = ours, peer
    apart = np.abs(mine - theirs)
    worst = apart.mean() if near > 0.1 else apart.max()
    assert worst <= near * theirs.std(), f"logits differ by {worst / theirs.std():.2g} of their standard deviation"


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("nets", __doc__, rounds=5)
    parser.add_argument("--encoder", default="resnet18", help="name of a timm model")
    parser.add_argument("--size", type=int, default=256, help="height and width")
    parser.add_argument("--images", type=int, default=4, help="number of images of a batch")
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    options = parser.parse_args(args)
    rows = {
        name: Row(ours, peer, (name, options.encoder, options.size, options.images), check) for name in options.nets
    }
    figures = measure(rows, options)
    for what, ratios in (("time", [f.speedup for f in figures]), ("memory", [f.memory_ratio for f in figures])):
        print(f"{what}: {1 / geometric_mean(ratios):.2f} of the peer's (geometric mean), at most {1 / min(ratios):.2f}")
