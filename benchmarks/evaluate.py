"""A validation epoch on 2048x1024 images from disk: SegmentationModule and its data against Lightning + torchmetrics.

Both sides have the same net with the same weights, read the same PNGs with the same number of workers, and keep one
matrix. Before anything is timed, the two int64 matrices are compared: at most one pixel in a million may be in another
column, because the order of a float32 sum decides near-ties. A timed epoch is a call of `Trainer.validate`: it decodes
the files (from the page cache), runs the net and computes the scores.
"""

import logging
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from benchmarks import _street
from benchmarks._evaluate_peer import Plain, Transform, loader
from benchmarks._table import Row, measure, parser_of
from seglight.data import CityscapesDataModule
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from seglight.training.semantic import SegmentationModule

NETS = {
    "MobileNetV3-small 0.5, FPN at stride 4": ("mobilenetv3_small_050", 32),
    "EfficientNet-Lite0, FPN at stride 4": ("tf_efficientnet_lite0", 64),
}
"""timm's name of the encoder, and number of channels of the decoder."""

NEAR_TIES = 1e-6
"""Share of the pixels whose class may differ."""


def net(name: str, channels: int, num_classes: int) -> EncoderDecoder:
    """Return a net with the same weights in every process."""
    torch.manual_seed(0)
    decoder: Any = partial(FPN, pyramid_channels=channels, channels=channels)
    return EncoderDecoder(num_classes, TimmEncoder(name, weights="random"), decoder)


def trainer() -> Trainer:
    """Return a Trainer that evaluates without output."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    return Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False)


def ours(name: str, root: Path, workers: int) -> Callable[[], Tensor]:
    """Return a step with the data module and the module of a recipe."""
    data = CityscapesDataModule(str(root), num_workers=workers)
    facts = (data.num_classes, data.ignore_index, data.class_names, data.palette)
    module = SegmentationModule(partial(net, *NETS[name]), *facts, channels_last=True)  # as in configs/base.yaml

    def step() -> Tensor:
        trainer().validate(module, data, verbose=False)
        assert module.scores is not None
        return module.scores.confusion

    return step


class _Normalised(nn.Module):
    """The net without its own normalisation."""

    def __init__(self, net: EncoderDecoder) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        encoder: Any = self.net.encoder
        logits: Tensor = self.net.head(self.net.decoder(encoder.net(image)))
        return logits


def peer(name: str, root: Path, workers: int) -> Callable[[], Tensor]:
    """Return a step that follows the manuals of Lightning and torchmetrics."""
    bare = net(*NETS[name], num_classes=19)
    encoder: Any = bare.encoder
    transform = Transform(encoder.mean[0], encoder.std[0])
    # few users set this, but in another memory format the matrices differ by a few pixels
    module = Plain(_Normalised(bare).to(memory_format=torch.channels_last), 19)

    def step() -> Tensor:
        trainer().validate(module, loader(root, transform, 1, workers), verbose=False)
        return module.matrix

    return step


def check(ours: Any, peer: Any) -> None:
    """Compare every count of the matrices; the last bit of a float32 decides near-ties of two classes."""
    assert ours.sum() > 0
    np.testing.assert_array_equal(ours.sum(1), peer.sum(1))
    elsewhere = int(abs(ours - peer).sum()) // 2
    assert elsewhere <= NEAR_TIES * int(ours.sum()), f"{elsewhere} of {int(ours.sum())} pixels differ"


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("evaluate", __doc__, rounds=5)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2, help="number of loader workers of each side")
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument("--scale", type=int, default=1, help="divisor of height and width, for a quick trial")
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory() as folder:
        root = _street.cityscapes(Path(folder), 0, options.images, (1024 // options.scale, 2048 // options.scale))
        measure({name: Row(ours, peer, (name, root, options.workers), check) for name in options.nets}, options)
