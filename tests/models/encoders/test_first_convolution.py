"""First convolutions for other bands, against the weights of torchvision and a sum by hand.

Covers: checkpoints.net_bands, models.bands, models.encoders.weight_bands.
"""

from pathlib import Path

import pytest
import torch
import torchvision
from timm.layers.std_conv import ScaledStdConv2d
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.interfaces import Encoder
from seglight.models import ConvStemConvNeXt, MixTransformer, MobileNetV3Encoder, TimmEncoder, ViTEncoder
from seglight.models.bands import blank_image, noise, use_bands
from seglight.models.encoders.first_convolution import for_bands, matched
from seglight.models.encoders.normalized import NormalizedEncoder
from seglight.models.weights.state import fill


def of(*names: str, kind: str = "uint16") -> Bands:
    return Bands(names, kind, mean=(0.0,) * len(names), std=(1.0,) * len(names))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tensor]:
    """A file of torchvision's resnet18, and its first convolution."""
    torch.manual_seed(0)
    state = torchvision.models.resnet18().state_dict()
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(state, path)
    return path, state["conv1.weight"].clone()


def resnet18(path: Path, **options: object) -> TimmEncoder:
    return TimmEncoder("resnet18", str(path), **options)  # type: ignore[arg-type]  # options by name


def test_rgb_of_16_bits_keeps_the_weights_to_the_last_bit(resnet: tuple[Path, Tensor]) -> None:
    path, weight = resnet
    for names, order in ((("red", "green", "blue"), [0, 1, 2]), (("B02", "B03", "B04"), [2, 1, 0])):
        encoder = resnet18(path)
        use_bands(encoder, of(*names))
        assert torch.equal(encoder.net.conv1.weight, weight[:, order])
        assert encoder.net.conv1.weight.requires_grad


def test_other_bands_start_from_the_mean_and_responses_keep_their_size(resnet: tuple[Path, Tensor]) -> None:
    path, weight = resnet
    encoder = resnet18(path)
    use_bands(encoder, of("nir", "red", "green", "blue"))
    found = encoder.net.conv1.weight.detach()
    assert torch.equal(found[:, 1:], weight * 0.75)
    assert torch.allclose(found[:, 0], weight.sum(1) / 4)
    grey = torch.rand(1, 1, 32, 32)
    before, after = (
        encoder.net.conv1(grey.expand(1, 4, 32, 32)),
        nn.functional.conv2d(grey.expand(1, 3, 32, 32), weight, stride=2, padding=3),
    )
    assert torch.allclose(before, after, atol=1e-5)


def test_one_band_sums_the_filters(resnet: tuple[Path, Tensor]) -> None:
    path, weight = resnet
    encoder = resnet18(path)
    use_bands(encoder, of("thermal", kind="float32"))
    assert torch.allclose(encoder.net.conv1.weight, weight.sum(1, keepdim=True), atol=1e-6)


def test_names() -> None:
    assert matched(RGB.names, ("B04", "nir", "Green", "b")) == [0, None, 1, 2]
    assert matched(("B02", "B08", "vv"), ("VV", "b08", "blue", "red")) == [2, 1, 0, None]


def test_weights_of_other_bands_are_matched_by_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = ("blue", "green", "red", "nir")
    four = torchvision.models.resnet18()
    four.conv1 = nn.Conv2d(4, 64, 7, 2, 3, bias=False)
    weight = four.conv1.weight.detach()
    torch.save(four.state_dict(), tmp_path / "four.pth")
    encoder = resnet18(tmp_path / "four.pth", weight_bands=trained)
    assert encoder.in_channels == 4
    assert torch.equal(encoder.net.conv1.weight, weight)
    use_bands(encoder, of("nir", "vv"))
    assert torch.allclose(encoder.net.conv1.weight, torch.stack([weight[:, 3], weight.mean(1)], 1) * 2)
    rgb = resnet18(tmp_path / "four.pth", weight_bands=trained)
    use_bands(rgb, RGB)
    assert torch.allclose(rgb.net.conv1.weight, weight[:, [2, 1, 0]] * 4 / 3)
    assert rgb.in_channels == 3
    assert rgb.normalisation() == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    rgb(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    same = resnet18(tmp_path / "four.pth", weight_bands=trained)
    use_bands(same, of(*trained))
    assert torch.equal(same.net.conv1.weight, weight)


def test_published_weights_are_matched_by_name() -> None:
    """Those of whole nets, which are loaded once the bands are known."""
    photos, net = (TimmEncoder("test_resnet", weights=None) for _ in range(2))
    state = {key: value for key, value in photos.state_dict().items() if key not in ("mean", "std")}
    use_bands(net, of("blue", "nir", "red"))
    fill(net, state, "photos")
    key = next(key for key, value in state.items() if value.ndim == 4)
    weight = state[key]
    expected = torch.stack([weight[:, 2], weight.mean(1), weight[:, 0]], 1)
    assert torch.allclose(net.state_dict()[key], expected)


def test_files_for_another_number_of_bands_are_refused(resnet: tuple[Path, Tensor], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"its first convolution reads 3 bands, and encoder.weight_bands names 4"):
        resnet18(resnet[0], weight_bands=["a", "b", "c", "d"])
    torch.save(ViTEncoder("test_vit", weights=None).net.state_dict(), tmp_path / "vit.pth")
    with pytest.raises(UserError, match=r"its first convolution reads 3 bands, and encoder.weight_bands names 2"):
        ViTEncoder("test_vit", str(tmp_path / "vit.pth"), weight_bands=["a", "b"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "hub", "weight_bands": ["a", "b"]}, "weights 'hub' were trained on red, green and blue"),
        ({"weights": None, "weight_bands": ["a", "a"]}, "name each band of the file's first convolution once"),
        ({"weights": None, "weight_bands": ["a", "b"], "in_channels": 5}, "leave in_channels out"),
    ],
)
def test_weight_bands_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TimmEncoder("test_resnet", **options)  # type: ignore[arg-type]  # options by name


FAMILIES = ("resnet", "byobnet", "efficientnet", "convnext", "nfnet", "mambaout")


@pytest.mark.parametrize("family", FAMILIES)
def test_images_that_are_equal_in_all_bands_have_the_features_of_before(family: str) -> None:
    """Also in nets without norms, where convolutions standardise their weights and another scale would last."""
    torch.manual_seed(0)
    encoder = TimmEncoder(f"test_{family}", weights=None, mean=[0.5] * 3, std=[0.2] * 3).eval()
    image = torch.randint(0, 256, (1, 1, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        before = encoder(image.expand(1, 3, 64, 64))
        names = ("blue", "nir", "red", "green", "swir")
        use_bands(encoder, Bands(names, "uint8", (127.5,) * 5, (51.0,) * 5))
        after = encoder(image.expand(1, 5, 64, 64))
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, rtol=1e-3, atol=1e-3 * float(old.abs().max()))


def test_filters_of_standardised_weights_are_those_of_the_bands() -> None:
    """The weights that timm's convolution computes with, by hand: zero mean, deviation 1, times gain and scale."""
    torch.manual_seed(0)
    conv = ScaledStdConv2d(3, 4, 3, bias=False)
    nn.init.uniform_(conv.gain, 0.5, 2)
    used, scale = standardised(conv), conv.scale
    for_bands(conv, RGB.names, ("nir", "red", "green", "blue"))
    expected = torch.cat([used.mean(1, keepdim=True), used], 1) * (3 / 4)
    torch.testing.assert_close(standardised(conv), expected)
    assert conv.scale == scale
    image = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(conv(image), nn.functional.conv2d(image, expected, padding=1), rtol=1e-4, atol=1e-4)


def standardised(conv: ScaledStdConv2d) -> Tensor:
    weight = conv.weight.detach()
    deviation, mean = torch.std_mean(weight, (1, 2, 3), correction=0, keepdim=True)
    used: Tensor = (weight - mean) / deviation * conv.gain.detach() * conv.scale
    return used


BUILT = {
    "resnet": lambda: TimmEncoder("test_resnet", weights=None),
    "swin": lambda: TimmEncoder("swin_tiny_patch4_window7_224", weights=None, depth=1),
    "parallel branches": lambda: TimmEncoder("mobileone_s0", weights=None, depth=2),
    "lite": lambda: TimmEncoder("tf_efficientnet_lite0", weights=None, depth=2),
    "convnext": lambda: TimmEncoder("convnext_atto", weights=None),
    "vit": lambda: ViTEncoder("test_vit", weights=None, pyramid=None),
    "vit of 14": lambda: ViTEncoder("vit_small_patch14_dinov2", weights=None, pyramid=16, blocks=[0]),
    "conv stem": lambda: ConvStemConvNeXt("convnext_tiny"),
    "mit": MixTransformer,
    "mobilenet": MobileNetV3Encoder,
}
QUICK = ("resnet", "vit", "parallel branches", "mit")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in BUILT]
)
def test_every_encoder_reads_other_bands(name: str) -> None:
    """And keeps its weights but for the first convolution, its modes, and the random numbers that come after."""
    torch.manual_seed(0)
    encoder: NormalizedEncoder = BUILT[name]()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    state = torch.get_rng_state()
    described = Bands(
        ("red", "green", "blue", "nir", "swir"), "int16", (100.0,) * 5, (20.0,) * 5, ratios={"ndvi": ("nir", "red")}
    )
    use_bands(encoder, described)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(part.training for part in encoder.modules())
    after = encoder.state_dict()
    assert list(after) == list(before)
    changed = {key for key, value in after.items() if not torch.equal(value, before[key])}
    kernels = [key for key in changed if key not in ("mean", "std")]
    assert changed - set(kernels) == {"mean", "std"}
    for key in kernels:
        assert torch.equal(after[key][:, :3], before[key] * (3 / 6))
    assert len(kernels) == (2 if name == "parallel branches" else 1)
    encoder.eval()
    with torch.no_grad():
        features = encoder(noise(encoder, (64, 96)))
    assert [feature.shape[1] for feature in features] == encoder.out_channels
    assert blank_image(encoder, (4, 6), 2).shape == (2, 5, 4, 6)
    assert blank_image(encoder, (4, 6)).dtype == torch.int16


def test_eight_bit_rgb_changes_nothing() -> None:
    encoder = TimmEncoder("test_resnet", weights=None)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    use_bands(encoder, RGB)
    assert encoder.pixels is None
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    assert blank_image(encoder, (2, 2)).dtype == torch.uint8


def test_rgb_with_values_without_data_keeps_the_statistics_of_the_weights() -> None:
    encoder = TimmEncoder("test_resnet", weights=None)
    expected = encoder.normalisation()
    use_bands(encoder, Bands(nodata=0))
    assert encoder.normalisation() == expected
    image = torch.randint(1, 256, (1, 3, 64, 64), dtype=torch.uint8)
    assert torch.allclose(encoder.normalized(image), TimmEncoder("test_resnet", None).normalized(image))
    assert not encoder.normalized(torch.zeros_like(image)).any()


def test_encoders_with_another_in_channels_keep_their_first_convolution() -> None:
    encoder = TimmEncoder("test_resnet", weights=None, in_channels=4)
    before = next(encoder.net.parameters()).clone()
    use_bands(encoder, of("red", "green", "blue", "nir"))
    assert torch.equal(next(encoder.net.parameters()), before)
    with pytest.raises(UserError, match=r"in_channels 4: the net gets 2 inputs from 2 bands of uint16 \(a, b\): leave"):
        use_bands(TimmEncoder("test_resnet", weights=None, in_channels=4), of("a", "b"))


class Shuffled(NormalizedEncoder):
    """A stem that is no convolution of the image."""

    out_channels, strides = [8], [4]

    def __init__(self) -> None:
        super().__init__((0.5,) * 3, (0.2,) * 3)
        self.conv = nn.Conv2d(48, 8, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.conv(nn.functional.pixel_unshuffle(self.normalized(image), 4))]


class Skipped(Shuffled):
    """A convolution of the image beside another way around it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 45, 4, 4)
        self.mix = nn.Conv2d(48, 8, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.normalized(image)
        return [self.mix(torch.cat([self.stem(x), nn.functional.avg_pool2d(x, 4)], 1))]


class Plain(Encoder):
    """An encoder that knows nothing of bands."""


@pytest.mark.parametrize("kind", [Shuffled, Skipped])
def test_other_stems_are_refused(kind: type[Shuffled]) -> None:
    with pytest.raises(UserError, match=f"{kind.__name__} does not read 4 bands of uint16 .*: take another encoder"):
        use_bands(kind(), of("a", "b", "c", "d"))


def test_nets_that_cannot_be_told_are_refused() -> None:
    with pytest.raises(UserError, match="Plain reads 8-bit RGB, and the images are 2 bands of uint16"):
        use_bands(Plain(), of("a", "b"))
    with pytest.raises(UserError, match=r"and Conv2d has no seglight.interfaces.Encoder that could be told"):
        use_bands(nn.Conv2d(3, 2, 1), of("a", "b"))
    use_bands(nn.Conv2d(3, 2, 1), RGB)
