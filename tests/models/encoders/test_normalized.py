"""Images of other types and ranges than an encoder normalises: refused, where they would give other features.

Covers: models.encoders.mix_transformer, models.encoders.mobilenetv3, models.encoders.vit.
"""

import copy
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import bands_of
from seglight.models import EncoderDecoder, MixTransformer, MobileNetV3Encoder, TimmEncoder, ViTEncoder
from seglight.models.decoders import FPN
from seglight.models.encoders.normalized import NormalizedEncoder, check_pixels
from seglight.models.ensemble import Ensemble
from seglight.training.classification import ClassificationModule
from seglight.training.semantic import SegmentationModule

ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "timm": lambda: TimmEncoder("test_resnet", weights="random"),
    "vit": lambda: ViTEncoder("test_vit", weights="random", pyramid=None),
    "mit": MixTransformer,
    "mobilenet": MobileNetV3Encoder,
}


def net(classes: int = 3) -> nn.Module:
    return EncoderDecoder(classes, TimmEncoder("test_resnet", weights="random"), lambda c, s: FPN(c, s, 8, 8))


def module() -> SegmentationModule:
    return SegmentationModule(net, 3, 255, ["a", "b", "c"], [(0, 0, 0)] * 3)


NETS: dict[str, Callable[[], nn.Module]] = ENCODERS | {
    "net": net,
    "module": module,
    "ensemble": lambda: Ensemble(3, [net, net]),
    "classification": lambda: ClassificationModule("test_resnet", 3),
}


def photo() -> Tensor:
    return torch.randint(0, 256, (1, 3, 160, 160), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NETS)
def test_floats_of_another_range_are_refused(name: str) -> None:
    built = NETS[name]().eval()
    for image, low in ((photo() / 255, "0"), ((photo() / 255 - 0.5) / 0.25, "-2"), ((photo() / 255).half(), "0")):
        kind = str(image.dtype).removeprefix("torch.")
        said = (
            f"the image is {kind} with values from {low} to .*, and the net normalises values from 0 to 255 by itself"
        )
        with pytest.raises(UserError, match=said), torch.no_grad():
            built(image)


@pytest.mark.parametrize("name", ENCODERS)
def test_floats_from_0_to_255_are_the_bytes_they_hold(name: str) -> None:
    encoder, image = ENCODERS[name]().eval(), photo()
    with torch.no_grad():
        for found, expected in zip(encoder(image.float()), encoder(image), strict=True):
            assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("values", "dtype", "passes"),
    [
        ([0, 0], torch.float32, True),  # a black image
        ([0, 1], torch.float32, False),
        ([0.2, 0.9], torch.float64, False),
        ([0, 1], torch.bool, False),
        ([0, 1.5], torch.float32, True),
        ([-1, 1], torch.float32, False),
        ([-0.1, 255], torch.float32, False),
        ([0, 255.001], torch.float32, True),  # of an interpolation's rounding
        ([0, 4095], torch.int32, False),  # twelve bits
        ([0, 65535], torch.float32, False),
        ([3, 255], torch.int64, True),
        ([0.5, torch.nan], torch.float32, True),  # shows in what comes out
        ([], torch.float32, True),
    ],
)
def test_which_values_pass(values: list[float], dtype: torch.dtype, passes: bool) -> None:
    image = torch.tensor(values).to(dtype).view(1, 1, 1, -1)
    if passes:
        return check_pixels(image, 1)
    with pytest.raises(UserError, match="give it uint8 as it was read, or floats of that range"):
        check_pixels(image, 1)
    return None


def test_values_of_bytes_are_not_looked_at() -> None:
    """On a GPU the host would wait for them."""

    class Blind(Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            assert func not in (Tensor.aminmax, Tensor.min, Tensor.max, Tensor.item, Tensor.__bool__, Tensor.__float__)
            return super().__torch_function__(func, types, args, kwargs or {})

    check_pixels(photo().as_subclass(Blind), 3)
    with pytest.raises(AssertionError):
        check_pixels(photo().float().as_subclass(Blind), 3)


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
def test_other_channels_than_the_encoder_reads(channels: int) -> None:
    image = photo()[:, :1].repeat(1, channels, 1, 1)
    said = re.escape(f"the image is (1, {channels}, 160, 160), and the encoder reads 3 channels, (B, 3, H, W)")
    with pytest.raises(UserError, match=said):
        TimmEncoder("test_resnet", weights="random")(image)
    encoder = TimmEncoder("test_resnet", weights="random", in_channels=channels)
    assert encoder(image)[0].shape[0] == 1
    with pytest.raises(UserError, match=f"the encoder reads {channels} channel"):
        encoder(photo())
    assert bands_of(nn.Sequential(copy.deepcopy(encoder))) == channels
    assert bands_of(nn.Conv2d(channels, 1, 1)) == 3


def test_a_compiled_encoder_reads_bytes_and_floats() -> None:
    encoder = NormalizedEncoder((0.5,) * 3, (0.5,) * 3)
    compiled = torch.compile(encoder.normalized, backend="eager", fullgraph=True)
    assert torch.equal(compiled(photo()), encoder.normalized(photo()))
    assert torch.equal(compiled(photo().float()), encoder.normalized(photo()))
