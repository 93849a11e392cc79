"""What every family of encoders keeps: channels, strides, gradients, any size, a batch of one, bfloat16, export."""

from collections.abc import Callable
from functools import cache

import pytest
import timm
import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Encoder
from seglight.models import ConvStemConvNeXt, MixTransformer, MobileNetV3Encoder, TimmEncoder, ViTEncoder

PYRAMID = [4, 8, 16, 32]
FIVE = [2, *PYRAMID]
FAMILIES: dict[str, tuple[Callable[[], Encoder], list[int]]] = {
    "ResNet": (lambda: TimmEncoder("test_resnet", None), FIVE),
    "VGG": (lambda: TimmEncoder("vgg11_bn", None, depth=4), [1, 2, 4, 8]),
    "EfficientNet": (lambda: TimmEncoder("test_efficientnet", None), FIVE),
    "MobileNetV3": (lambda: TimmEncoder("mobilenetv3_small_050", None), FIVE),
    "MobileNetV3 of torchvision": (MobileNetV3Encoder, [2, 4, 8, 16]),
    "RegNet": (lambda: TimmEncoder("regnetx_002", None), FIVE),
    "ConvNeXt": (lambda: TimmEncoder("test_convnext", None), PYRAMID),
    "ConvNeXt, convolutional stem": (lambda: ConvStemConvNeXt("test_convnext"), PYRAMID),
    "MambaOut, channels last": (lambda: TimmEncoder("test_mambaout", None), PYRAMID),
    "PVT": (lambda: TimmEncoder("pvt_v2_b0", None), PYRAMID),
    "MiT": (MixTransformer, PYRAMID),
    "Swin": (lambda: TimmEncoder("swin_tiny_patch4_window7_224", None), PYRAMID),
    "MaxViT": (lambda: TimmEncoder("maxvit_pico_rw_256", None), FIVE),
    "EfficientFormerV2, one size only": (lambda: TimmEncoder("efficientformerv2_s0", None), PYRAMID),
    "ViT": (lambda: ViTEncoder("test_vit", None, pyramid=32), PYRAMID),
    "ViT, a level from each block": (lambda: ViTEncoder("test_vit2", None, [1, 2, 3, 5], pyramid=32), PYRAMID),
    "ViT, patches of 14": (lambda: ViTEncoder("eva02_tiny_patch14_224", None, [1], pyramid=32), PYRAMID),
    "ViT, one size only": (lambda: ViTEncoder("test_vit_relpos", None, pyramid=32), PYRAMID),
    "ViT, no pyramid": (lambda: ViTEncoder("test_vit", None, [1, 3], pyramid=None, readout=True), [16, 16]),
}
LARGE = ("VGG", "Swin", "MaxViT", "EfficientFormerV2, one size only")
"""No small member: what takes long is left to the slow tests."""


EXPORTED = ("MambaOut, channels last", "MiT", "ViT, patches of 14")
"""With something of our own in their way; the others are exported with the slow tests."""


@cache
def built(family: str) -> Encoder:
    torch.manual_seed(0)
    return FAMILIES[family][0]()


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


but_large = pytest.mark.parametrize(
    "family", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in FAMILIES]
)


def photo(batch: int, height: int, width: int, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (batch, channels, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_features_channels_and_strides(family: str, size: tuple[int, int]) -> None:
    encoder = built(family).eval()
    with torch.no_grad():
        features = encoder(photo(2, *size))
    assert encoder.strides == FAMILIES[family][1]
    assert [x.shape[:2] for x in features] == [(2, channels) for channels in encoder.out_channels]
    for feature, stride in zip(features, encoder.strides, strict=True):
        assert feature.isfinite().all()
        for side, full in zip(feature.shape[-2:], size, strict=True):
            assert full // stride <= side <= -(-full // stride)  # floor or ceiling, as each net pads


@but_large
def test_every_trainable_parameter_gets_a_gradient(family: str) -> None:
    encoder = built(family).train()
    encoder.zero_grad()
    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)  # timm starts the last norm of a residual block at zero: the block is cut off
    torch.manual_seed(0)
    sum((x * torch.randn_like(x)).sum() for x in encoder(photo(2, 64, 96))).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    encoder.zero_grad()


@but_large
def test_a_batch_of_one_trains_in_bfloat16(family: str) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        features = built(family).train()(photo(1, 64, 64))
    assert all(x.isfinite().all() for x in features)


@but_large
def test_bfloat16_is_near(family: str) -> None:
    encoder = built(family).eval()
    image = photo(1, 64, 64)
    with torch.no_grad():
        expected = encoder(image)
        with torch.autocast("cpu", torch.bfloat16):
            low = encoder(image)
    for ours, exact in zip(low, expected, strict=True):
        assert (ours.float() - exact).abs().mean() < 0.1 * exact.abs().mean()  # three digits a layer


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=[] if name in EXPORTED else [pytest.mark.slow]) for name in FAMILIES]
)
def test_export(family: str) -> None:
    encoder, image = built(family).eval(), photo(1, 65, 96)
    with torch.no_grad():
        before = encoder(image)  # what some of timm's nets keep of a first pass must not appear within the export
        program = torch.export.export(encoder, (image,)).module()
        for ours, exported in zip(before, program(image), strict=True):
            torch.testing.assert_close(exported, ours, rtol=1e-4, atol=1e-4)


OTHERS = (
    "halonet_h1", "eca_resnext26ts", "coat_lite_mini", "convnext_atto_rms", "cpubone_nano", "csatv2",
    "cspnext_tiny", "cs3darknet_focus_s", "davit_tiny", "densenet121", "dla34", "dpn68", "edgenext_xx_small",
    "efficientformer_l1", "efficientvim_m1", "efficientvit_b0", "efficientvit_m0", "fasternet_t0", "fastvit_t8",
    "focalnet_tiny_srf", "gcvit_xxtiny", "ghostnet_050", "hardcorenas_a", "hgnet_tiny", "hiera_tiny_224",
    "sam2_hiera_tiny", "hrnet_w18_small", "iformer_s", "inception_next_atto", "inception_v3", "lcnetv2_small",
    "levit_384_s8", "lowformer_b0", "coatnet_pico_rw_224", "poolformer_s12", "mobilevit_xxs", "mvitv2_tiny",
    "nest_tiny", "nextvit_small", "test_nfnet", "rdnet_tiny", "repghostnet_050", "repvit_m0_9", "res2net50d",
    "resnest14d", "resnetv2_18", "rexnet_100", "selecsls42", "shvit_s1", "skresnet18", "starnet_s050",
    "swiftformer_xs", "swinv2_tiny_window8_256", "swinv2_cr_tiny_224", "tiny_vit_5m_224", "tresnet_l",
    "twins_svt_small", "visformer_tiny", "ese_vovnet19b_slim", "xception41",
)  # fmt: skip
"""A small model of every file of timm that has features of several strides and is none of the above."""

PLAIN = (
    "beit_base_patch16_224", "cait_xxs24_224", "convit_tiny", "deit_tiny_patch16_224", "mixer_s16_224",
    "naflexvit_base_patch16_siglip", "samvit_base_patch16", "tnt_s_patch16_224", "vit_small_patch14_dinov2",
    "vit_tiny_r_s16_p8_224", "vitamin_small_224", "xcit_nano_12_p8_224",
)  # fmt: skip
"""The same of those of one stride."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OTHERS, *PLAIN])
def test_every_file_of_timm(name: str) -> None:
    with torch.device("meta"):  # shapes without numbers
        encoder: Encoder = ViTEncoder(name, None) if name in PLAIN else TimmEncoder(name, None)
        features = encoder.eval()(torch.zeros(2, 3, 65, 97, dtype=torch.uint8))
    assert [x.shape[:2] for x in features] == [(2, channels) for channels in encoder.out_channels]
    for feature, stride in zip(features, encoder.strides, strict=True):
        for side, full in zip(feature.shape[-2:], (65, 97), strict=True):
            assert full // stride <= side <= -(-full // stride)


VGG = [f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")]
RESNET = [f"resnet{depth}" for depth in (18, 34, 50, 101, 152)]
MOBILE = [f"mobilenet{kind}" for kind in ("v2_050", "v2_100", "v3_large_100", "v3_small_100", "v4_conv_small")]
EFFICIENT = [f"efficientnet_b{k}" for k in range(6)] + [f"tf_efficientnet_lite{k}" for k in range(5)]
WIDTHS = {
    **{name: [64, 128, 256, 512, 512, 512] for name in VGG},
    **{name: [64, 64, 128, 256, 512] for name in ("resnet18", "resnet34")},
    **{name: [64, 256, 512, 1024, 2048] for name in ("resnet50", "resnet101", "resnet152")},
}
"""Of arXiv 1409.1556, table 1 and arXiv 1512.03385, table 1."""


@pytest.mark.parametrize("name", [*VGG, *RESNET, *MOBILE, *EFFICIENT])
def test_by_name(name: str) -> None:
    with torch.device("meta"):  # shapes without numbers
        encoder = TimmEncoder(name, None).eval()
        features = encoder(torch.zeros(1, 3, 64, 96, dtype=torch.uint8))
    assert encoder.strides == ([1, *FIVE] if name in VGG else FIVE)
    assert encoder.out_channels == WIDTHS.get(name, encoder.out_channels)
    for feature, channels, stride in zip(features, encoder.out_channels, encoder.strides, strict=True):
        assert feature.shape == (1, channels, 64 // stride, 96 // stride)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
@pytest.mark.parametrize("name", ["TimmEncoder", "ViTEncoder"])
def test_other_channels(name: str, channels: int) -> None:
    make = {"TimmEncoder": TimmEncoder, "ViTEncoder": ViTEncoder}[name]
    encoder = make({"TimmEncoder": "test_resnet", "ViTEncoder": "test_vit"}[name], None, in_channels=channels).eval()
    assert encoder.mean.shape == encoder.std.shape == (1, channels, 1, 1)
    with torch.no_grad():
        assert all(x.isfinite().all() for x in encoder(photo(1, 64, 64, channels)))


def test_weights_of_three_channels_serve_others() -> None:
    """Grey in one channel and grey three times over, by the same weights: features differ only by the normalisation."""
    colour = TimmEncoder("tf_efficientnet_lite0", "offline").eval()  # mean and deviation are 0.5 of all channels
    grey = TimmEncoder("tf_efficientnet_lite0", "offline", in_channels=1).eval()
    image = photo(1, 64, 64, 1)
    with torch.no_grad():
        for one, three in zip(grey(image), colour(image.expand(-1, 3, -1, -1)), strict=True):
            torch.testing.assert_close(one, three, rtol=1e-3, atol=1e-3)
    infrared = TimmEncoder("tf_efficientnet_lite0", "offline", in_channels=4)
    red = colour.net.conv_stem.weight[:, 0]
    torch.testing.assert_close(infrared.net.conv_stem.weight[:, 3], red * 3 / 4)


def test_mean_and_std_of_every_channel() -> None:
    encoder = TimmEncoder("test_resnet", None, in_channels=4, mean=(0.1, 0.2, 0.3, 0.4), std=(0.2,) * 4)
    assert encoder.mean.flatten().tolist() == pytest.approx([25.5, 51, 76.5, 102])
    with pytest.raises(UserError, match=r"encoder.mean \[0.1, 0.2\]: give 3 values, or one for each of 4 channels"):
        TimmEncoder("test_resnet", None, in_channels=4, mean=(0.1, 0.2))


@torch.no_grad()
def test_swin_is_timms_at_its_own_size() -> None:
    """Told to read any size, it still gives what it gives at the size that it was built for."""
    fixed = timm.create_model("swin_tiny_patch4_window7_224", features_only=True).eval()
    ours = built("Swin").eval()
    fixed.load_state_dict(ours.net.state_dict(), strict=False)
    image = photo(1, 224, 224)
    for mine, theirs in zip(ours(image), fixed(ours.normalized(image)), strict=True):
        torch.testing.assert_close(mine, theirs.permute(0, 3, 1, 2), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_what_has_one_size_only_reads_square_by_square() -> None:
    """The features of each square are those that timm's own model gives of it."""
    encoder = built("EfficientFormerV2, one size only").eval()
    image = photo(2, 200, 448)
    pixels = encoder.normalized(torch.cat([image, image[:, :, -1:].expand(-1, -1, 24, -1)], 2))
    left, right = (encoder.net(pixels[..., k : k + 224]) for k in (0, 224))
    for feature, stride, *halves in zip(encoder(image), encoder.strides, left, right, strict=True):
        whole = torch.cat(halves, 3)[:, :, : -(-200 // stride)]
        torch.testing.assert_close(feature, whole, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_squares_lie_row_by_row() -> None:
    """Of 2 x 3 squares of a plain ViT the blocks' outputs stand where the squares do."""
    encoder = ViTEncoder("test_vit_relpos", None, [2], pyramid=None).eval()
    image = photo(2, 320, 480)
    (feature,) = encoder(image)
    for row in range(2):
        for column in range(3):
            square = image[:, :, 160 * row :, 160 * column :][:, :, :160, :160]
            wanted = encoder.net.forward_intermediates(encoder.normalized(square), indices=[2], intermediates_only=True)
            there = feature[:, :, 10 * row :, 10 * column :][:, :, :10, :10]
            torch.testing.assert_close(there, wanted[0], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_vit_gives_timms_blocks_and_class_token() -> None:
    encoder = ViTEncoder("test_vit", None, [1, 3], pyramid=None, readout=True).eval()
    whole = timm.create_model("test_vit", dynamic_img_size=True).eval()
    whole.load_state_dict(encoder.net.state_dict(), strict=False)
    image = photo(2, 64, 96)
    tokens = whole.norm_pre(whole._pos_embed(whole.patch_embed(encoder.normalized(image))))
    for k, block in enumerate(whole.blocks[:4]):
        tokens = block(tokens)
        if k in (1, 3):
            feature = encoder(image)[(1, 3).index(k)]
            torch.testing.assert_close(feature[:, :64].flatten(2), tokens[:, 1:].transpose(1, 2))
            assert (feature[:, 64:] == tokens[:, 0, :, None, None]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet18"}, "'resnet18' is no plain ViT"),
        ({"name": "swin_tiny_patch4_window7_224"}, "is no plain ViT"),
        ({"name": "vit_tinny"}, "encoder.name 'vit_tinny' is no timm model"),
        ({"name": "test_vit", "blocks": [9]}, r"encoder.blocks \[9\]: 'test_vit' has 6, counted from 0"),
        ({"name": "test_vit", "blocks": [1, 2]}, "a pyramid is made from one or from four"),
        ({"name": "test_vit", "readout": True}, "encoder.readout goes without a pyramid"),
        ({"name": "test_vit2", "readout": True, "pyramid": None}, "of a model with a class token"),
    ],
)
def test_vit_refusals(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ViTEncoder(weights=None, **options)


def test_vit_numbers_its_layers() -> None:
    depths = built("ViT").depths()
    assert depths.keys() == dict(built("ViT").named_parameters()).keys()
    assert depths["pyramid.levels.0.0.weight"] == 0
    assert [depths[f"net.blocks.{k}.norm1.weight"] for k in range(6)] == [6, 5, 4, 3, 2, 1]
    assert depths["net.pos_embed"] > 6
