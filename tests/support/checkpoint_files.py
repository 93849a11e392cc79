"""Checkpoints of small nets, written by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seglight.checkpoints.model_card import ModelCard
from seglight.images.types import Color
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN

NAMES = ["sky", "road", "tree"]


def net_config(weights: str | None = None) -> dict[str, Any]:
    encoder = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": weights}}
    decoder = {"class_path": "seglight.models.decoders.FPN", "init_args": {"channels": 32}}
    init_args = {"encoder": encoder, "decoder": decoder, "aux_index": -2}
    return {"class_path": "seglight.models.EncoderDecoder", "init_args": init_args}


def card(names: Sequence[str] = NAMES, palette: Sequence[Color] | None = None, net: Any = None) -> ModelCard:
    """The card of a net of some classes; black ones without a palette."""
    colors = tuple(palette or [(0, 0, 0)] * len(names))
    return ModelCard(net or {}, tuple(names), colors, ignore_index=255)


def write(path: Path, net: Any, state: dict[str, Tensor] | None = None, channels_last: bool = False) -> Path:
    """A checkpoint as Lightning lays it out, with the card of seglight 0.1 written out."""
    content = {
        "version": "0.0.0",
        "net": net,
        "num_classes": 3,
        "ignore_index": 255,
        "class_names": NAMES,
        "palette": [(0, 0, 255), (128, 64, 128), (0, 128, 0)],
        "channels_last": channels_last,
    }
    torch.save({"seglight": content, "state_dict": state or {}, "epoch": 1}, path)
    return path


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
