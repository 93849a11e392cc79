"""Nets of random heads on trained encoders: with real features, and classes that share an image."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seglight.commands.export.graph import Deployed, program_of
from seglight.commands.export.onnx import write_onnx
from seglight.inference.exported.metadata import Metadata
from seglight.interfaces import seg_output
from seglight.models import EncoderDecoder, PointRend, TimmEncoder
from tests.support.checkpoint_files import card
from tests.support.decoders import DECODERS

CLASSES = 11


def real_net(decoder: str) -> nn.Module:
    """A decoder of random weights on real features. Its scores are spread: random ones are nearly tied everywhere."""
    torch.manual_seed(0)
    encoder = TimmEncoder("tf_efficientnet_lite0", "offline")
    if decoder == "PointRend":
        net: EncoderDecoder = PointRend(CLASSES, encoder, DECODERS["FPN"][0], channels=32)
    else:
        net = EncoderDecoder(CLASSES, encoder, DECODERS[decoder][0], aux_index=-2)
    return net.eval()


@torch.no_grad()
def spread(net: nn.Module, image: Tensor) -> None:
    """Let the head's scores have a mean of 0 and a deviation of 1 in each class."""
    logits = seg_output(net(image)).logits
    mean, deviation = logits.mean((0, 2, 3)), logits.std((0, 2, 3))
    head = net.point_head.predict if isinstance(net, PointRend) else net.head
    head.weight.div_(deviation.view(-1, *[1] * (head.weight.ndim - 1)))
    head.bias.sub_(mean).div_(deviation)


def export_real_net(path: Path, image: NDArray[np.uint8]) -> Path:
    """An ONNX file of such a net with probabilities, for batches of any size. Its label maps have few, smooth regions.

    Args:
        path: Path of the file.
        image: Image (H, W, 3) in which all classes are to occur.
    """
    net = real_net("DeepLabV3")
    spread(net, torch.from_numpy(image.copy()).permute(2, 0, 1)[None])
    metadata = Metadata(card([f"class {k}" for k in range(CLASSES)]), "float32", None, batch=True)
    write_onnx(program_of(Deployed(net, probabilities=True), None, batch=True), metadata, path)
    return path
