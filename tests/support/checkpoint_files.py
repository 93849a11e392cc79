"""Checkpoints of small nets, written by hand."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN

NAMES = ["sky", "road", "tree"]


def net_config(weights: str | None = None) -> dict[str, Any]:
    encoder = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": weights}}
    decoder = {"class_path": "seglight.models.decoders.FPN", "init_args": {"channels": 32}}
    init_args = {"encoder": encoder, "decoder": decoder, "aux_index": -2}
    return {"class_path": "seglight.models.EncoderDecoder", "init_args": init_args}


def write(path: Path, net: Any, state: dict[str, Tensor] | None = None, channels_last: bool = False) -> Path:
    """A checkpoint as Lightning lays it out, with the card written out."""
    card = {
        "version": "0.0.0",
        "net": net,
        "num_classes": 3,
        "ignore_index": 255,
        "class_names": NAMES,
        "palette": [(0, 0, 255), (128, 64, 128), (0, 128, 0)],
        "channels_last": channels_last,
    }
    torch.save({"seglight": card, "state_dict": state or {}, "epoch": 1}, path)
    return path


@pytest.fixture
def trained() -> EncoderDecoder:
    net = EncoderDecoder(
        3, TimmEncoder("test_resnet", weights=None), lambda channels, strides: FPN(channels, strides, channels=32), -2
    )
    for buffer in net.buffers():
        if buffer.is_floating_point():
            buffer += 0.1 * torch.rand_like(buffer)  # running statistics that no fresh net has
    return net.eval()


@pytest.fixture
def state(trained: EncoderDecoder) -> dict[str, Tensor]:
    net = {f"net.{key}": value for key, value in trained.state_dict().items()}
    return {**net, "jaccard.confmat": torch.zeros(3, 3)}


def checkpoint(path: Path, seed: int = 0, **card: Any) -> Path:
    """Of a fresh net for three classes, with colours in its batch norms."""
    torch.manual_seed(seed)
    net = EncoderDecoder(3, TimmEncoder("test_resnet", weights=None), lambda *fine: FPN(*fine, channels=32), -2)
    write(path, net_config(), {f"net.{key}": value for key, value in net.state_dict().items()})
    if card:
        content = torch.load(path, weights_only=True)
        content["seglight"].update(card)
        torch.save(content, path)
    return path
