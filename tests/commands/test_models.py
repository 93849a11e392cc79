"""`models` against torchvision and counts worked by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
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


def test_parameters_of_all_decoders() -> None:
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


@pytest.mark.parametrize("word", ["mobilenetv3_s", "MobileNetV3_S"])
def test_a_word_finds_the_encoders_whose_name_contains_it(word: str, seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli("models", word)
    assert ran.rc == 0, ran.err
    found = [name for name in timm.list_models() if "mobilenetv3_s" in name]
    assert f"encoders: {len(found)} found" in ran.out
    assert all(f"│ {name} " in ran.out for name in found)
    assert "decoders" not in ran.out


def test_encoders_are_found_in_all_families_and_among_our_own(
    seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [name for name, names in families().items() if any("mobilenet" in model for model in names)] != ["mobilenet"]
    some = {"efficientnet": ["efficientnet_b0", "mobilenetv2_035"], "mobilenetv3": ["lcnet_035"]}
    monkeypatch.setattr(models, "families", lambda: some)
    ran = seglight_cli("models", "mobilenet")
    assert "encoders: 3 found" in ran.out  # by its own name, by that of its family, and one of ours
    for name in ("mobilenetv2_035", "lcnet_035", "seglight.models.MobileNetV3Encoder"):
        assert f"│ {name} " in ran.out
    assert "efficientnet_b0" not in ran.out


def test_case_does_not_matter(seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli("models", "deeplab")
    assert ran.rc == 0, ran.err
    assert "decoders: 2 found" in ran.out
    assert "│ DeepLabV3Plus " in ran.out
    assert "encoders" not in ran.out


def test_a_short_word_lists_only_names(seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MOST_BUILT", 3)
    ran = seglight_cli("models", "vgg")
    number = len([name for name in timm.list_models() if "vgg" in name])
    assert f"encoders: {number} found; give a longer word to see their parameters and strides" in ran.out
    assert "repvgg_a0, " in ran.out
    assert "│" not in ran.out


def test_encoders_without_features_are_counted(
    seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "encoder", lambda name: None if name == "vgg11" else (10**6, [2, 4]))
    ran = seglight_cli("models", "vgg1")
    assert "1 more provide no features at several strides" in ran.out


def test_an_unknown_name(seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli("models", "resnett18")
    assert ran.rc == 2
    assert (
        "no encoder, family of encoders or decoder has 'resnett18' in its name: similar names are resnet18, " in ran.err
    )
    assert "give a shorter part of the name" in seglight_cli("models", "qqqqqqqq").err
