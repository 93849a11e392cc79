"""`models` against the figures of torchvision and of papers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision

from seglight.commands import models
from seglight.commands.models import decoder_parameters, families
from seglight.models import decoders


def test_encoders_of_a_family(seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli("models", "vgg")
    assert ran.rc == 0, ran.err
    shown = {cells[1].strip(): cells[2].strip() for line in ran.out.splitlines() if len(cells := line.split("│")) > 3}
    for name in ("vgg11", "vgg13_bn", "vgg16", "vgg19"):
        with torch.device("meta"):
            features = getattr(torchvision.models, name)().features
        assert shown[name] == f"{sum(p.numel() for p in features.parameters()) / 1e6:.1f} M"


def test_decoders_are_all_there() -> None:
    """DeepLabV3 counted by hand: a 1x1, three 3x3, a pooled 1x1 and a projection of five times 256."""
    counted = decoder_parameters()
    assert {"UNet", "FPN", "UPerNet", "DeepLabV3Plus", "OCR", "ReSeg"} <= counted.keys() <= set(decoders.__all__)
    norm, bias = 2 * 256, 256
    pyramid = 2048 * 256 + 3 * 9 * 2048 * 256 + 2048 * 256 + 5 * 256 * 256
    assert counted["DeepLabV3"] == pytest.approx(pyramid + 5 * norm + bias + 9 * 256 * 256 + norm, rel=1e-3)


def test_overview(seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    two = {name: families()[name] for name in ("vgg", "starnet")}
    monkeypatch.setattr(models, "families", lambda: two)
    ran = seglight_cli("models")
    assert ran.rc == 0, ran.err
    assert "DeepLabV3Plus" in ran.out
    assert [name in ran.out for name in ("vgg11", "starnet_s", "resnet18")] == [True, True, False]


def test_no_such_family(seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli("models", "resnett")
    assert ran.rc == 2
    assert "no family 'resnett' of encoders" in ran.err
