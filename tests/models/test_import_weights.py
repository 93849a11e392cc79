"""Nets of torchvision, transformers and segmentation_models.pytorch: their weights in ours give their logits.

Theirs are drawn at random, saved as their users save them, and read back into ours. Where a peer differs by intent,
that part is said and changed in the peer.

Covers: models.decoders.deeplabv3, models.decoders.deeplabv3plus, models.decoders.dpt, models.decoders.fpn,
models.decoders.pspnet, models.decoders.segformer, models.decoders.unet, models.decoders.unetplusplus,
models.decoders.upernet, models.weights.dpt, models.weights.rewrite, models.weights.robust, models.weights.segformer,
models.weights.smp, models.weights.torchvision, models.weights.upernet.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import segmentation_models_pytorch as smp
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from segmentation_models_pytorch.decoders.fpn import decoder as smp_fpn
from segmentation_models_pytorch.decoders.pspnet import decoder as smp_pspnet
from torch import Tensor, nn
from torchvision.models import segmentation as tv

from seglight.errors import UserError
from seglight.models import (
    ConvStemConvNeXt,
    EncoderDecoder,
    MixTransformer,
    MobileNetV3Encoder,
    TimmEncoder,
    ViTEncoder,
    import_weights,
)
from seglight.models.decoders import (
    DPT,
    FCN,
    FPN,
    LRASPP,
    DeepLabV3,
    DeepLabV3Plus,
    PSPNet,
    SegFormer,
    UNet,
    UNetPlusPlus,
    UPerNet,
)

CLASSES = 7
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
Forward = Callable[[Any, Tensor], Tensor]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def randomised(peer: Any) -> Any:
    """Its weights as they are drawn, its norms no more the identity; in eval mode."""
    for layer in peer.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.2, 0.6)
            nn.init.normal_(layer.bias, std=0.3)
            nn.init.normal_(layer.running_mean, std=0.3)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
        elif isinstance(layer, nn.LayerNorm | nn.GroupNorm):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
    return peer.eval()


def fed(image: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    return (image / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def assert_same_logits(
    ours: nn.Module, peer: Any, forward: Forward, image: Tensor, normalisation: Any = IMAGENET
) -> None:
    """Where theirs are at the image's size, ours are brought there."""
    with torch.no_grad():
        mine, theirs = ours.eval()(image).logits, forward(peer, fed(image, *normalisation))
    if mine.shape != theirs.shape:
        mine = F.interpolate(mine, theirs.shape[-2:], mode="bilinear", align_corners=False)
    assert theirs.std() > 0.02
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4)


def photo(height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)


def saved(peer: nn.Module, path: Path) -> Path:
    state = {name: value.contiguous() for name, value in peer.state_dict().items()}
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


def timm_net(
    name: str, decoder: Any, head_kernel: int = 1, aux_index: int | None = None, **encoder: Any
) -> EncoderDecoder:
    return EncoderDecoder(CLASSES, TimmEncoder(name, None, **encoder), decoder, aux_index, head_kernel)


TORCHVISION: dict[str, tuple[Callable[..., nn.Module], Callable[[], EncoderDecoder]]] = {
    "FCN-R50": (
        tv.fcn_resnet50,
        lambda: timm_net("resnet50", partial(FCN, stride=32), aux_index=-2, output_stride=8),
    ),
    "DeepLabV3-R50": (
        tv.deeplabv3_resnet50,
        lambda: timm_net("resnet50", partial(DeepLabV3, dilations=(12, 24, 36)), aux_index=-2, output_stride=8),
    ),
    "DeepLabV3-R101": (
        tv.deeplabv3_resnet101,
        lambda: timm_net("resnet101", partial(DeepLabV3, dilations=(12, 24, 36)), aux_index=-2, output_stride=8),
    ),
    "DeepLabV3-MobileNetV3": (
        tv.deeplabv3_mobilenet_v3_large,
        lambda: EncoderDecoder(CLASSES, MobileNetV3Encoder(), partial(DeepLabV3, dilations=(12, 24, 36)), aux_index=-2),
    ),
    "LR-ASPP": (
        tv.lraspp_mobilenet_v3_large,
        lambda: EncoderDecoder(CLASSES, MobileNetV3Encoder(), LRASPP),
    ),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n.endswith(("R50", "R101")) else []) for n in TORCHVISION],
)
def test_torchvision(name: str, tmp_path: Path) -> None:
    make, ours = TORCHVISION[name]
    aux = {} if name == "LR-ASPP" else {"aux_loss": True}
    peer = randomised(make(weights=None, weights_backbone=None, num_classes=CLASSES, **aux))
    net = ours()
    imported = import_weights(net, saved(peer, tmp_path / "net.pth"))
    assert imported.fresh == []
    for size in ((64, 96), (65, 97)):
        assert_same_logits(net, peer, lambda peer, x: peer(x)["out"], photo(*size))
    if aux:
        # our auxiliary head has theirs' weights: in training it gives what theirs does there
        assert torch.equal(net.aux_head[1].weight, peer.aux_classifier[4].weight)


def transformers_peer(name: str) -> Any:
    import transformers

    if name.startswith("SegFormer"):
        wide = {"depths": [3, 4, 6, 3], "hidden_sizes": [64, 128, 320, 512], "decoder_hidden_size": 768}
        config = transformers.SegformerConfig(num_labels=CLASSES, **(wide if name.endswith("B2") else {}))
        return transformers.SegformerForSemanticSegmentation(config)
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = transformers.ConvNextConfig(out_features=stages, hidden_sizes=[96, 192, 384, 768])
    aux = {"auxiliary_channels": 96, "auxiliary_in_channels": 384}
    config = transformers.UperNetConfig(num_labels=CLASSES, backbone_config=backbone, **aux)
    return transformers.UperNetForSemanticSegmentation(config)


TRANSFORMERS: dict[str, Callable[[], EncoderDecoder]] = {
    "SegFormer-B0": lambda: EncoderDecoder(CLASSES, MixTransformer("b0"), SegFormer),
    "SegFormer-B2": lambda: EncoderDecoder(CLASSES, MixTransformer("b2"), partial(SegFormer, channels=768)),
    "UPerNet-ConvNeXt-T": lambda: timm_net("convnext_tiny", partial(UPerNet, norm_features=True), aux_index=-2),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n != "SegFormer-B0" else []) for n in TRANSFORMERS]
)
def test_transformers(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peer, net = randomised(transformers_peer(name)), TRANSFORMERS[name]()
    peer.save_pretrained(tmp_path)  # writes the names of the published files, which are not those in memory
    assert import_weights(net, tmp_path / "model.safetensors").fresh == []
    for size in ((64, 96), (65, 97)):
        assert_same_logits(net, peer, lambda peer, x: peer(x).logits, photo(*size))


class Stem(nn.Module):
    """The convolutional stem of PIR-AT's backbones, in place of transformers' patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_channels = 3
        self.stem = nn.Sequential(
            nn.Conv2d(3, width // 2, 3, 2, 1), timm.layers.LayerNorm2d(width // 2), nn.GELU(),
            nn.Conv2d(width // 2, width, 3, 2, 1), timm.layers.LayerNorm2d(width), nn.GELU(),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        patches: Tensor = self.stem(image)
        return patches


PIR_AT = (
    (r"embeddings\.stem", r"downsample_layers.0.stem"),
    (r"encoder\.stages\.(\d)\.downsampling_layer", r"downsample_layers.\1"),
    (r"encoder\.stages\.(\d)\.layers\.(\d+)\.layernorm", r"stages.\1.\2.norm"),
    (r"encoder\.stages\.(\d)\.layers\.(\d+)\.layer_scale_parameter", r"stages.\1.\2.gamma"),
    (r"encoder\.stages\.(\d)\.layers\.(\d+)", r"stages.\1.\2"),
    (r"hidden_states_norms\.stage(\d)", lambda found: f"norm{int(found[1]) - 1}"),
)
"""Names of transformers, and those in the files of PIR-AT, whose nets are theirs but for the stem."""


def test_pir_at(tmp_path: Path) -> None:
    import transformers

    widths, stages = [24, 32, 48, 64], ["stage1", "stage2", "stage3", "stage4"]
    backbone = transformers.ConvNextConfig(
        out_features=stages, hidden_sizes=widths, depths=[1, 2, 4, 2], hidden_act="gelu_pytorch_tanh"
    )
    config = transformers.UperNetConfig(
        num_labels=CLASSES, backbone_config=backbone, hidden_size=16, auxiliary_channels=256, auxiliary_in_channels=48
    )
    peer: Any = transformers.UperNetForSemanticSegmentation(config)
    peer.backbone.embeddings = Stem(24)
    peer = randomised(peer)
    for name, parameter in peer.named_parameters():
        if "layer_scale" in name:
            nn.init.uniform_(parameter, 0.5, 1.5)
        elif parameter.ndim > 1:  # they are drawn so small that every pixel would look alike
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    peer.save_pretrained(tmp_path)
    state = safetensors.torch.load_file(tmp_path / "model.safetensors")
    for theirs, pir_at in PIR_AT:
        state = {re.sub(rf"(?<=^backbone\.){theirs}\b", pir_at, name): value for name, value in state.items()}
    torch.save(state, tmp_path / "pir_at.pth")
    decoder = partial(UPerNet, channels=16, norm_features=True)
    net = EncoderDecoder(CLASSES, ConvStemConvNeXt("test_convnext"), decoder, aux_index=-2)
    imported = import_weights(net, tmp_path / "pir_at.pth")
    assert imported.family.endswith("(PIR-AT UPerNet)")
    # the auxiliary head of theirs has 256 channels whatever the encoder's, and is not used in evaluation
    assert {name.split(".")[0] for name in imported.fresh} == {"aux_head"}
    for size in ((64, 96), (65, 97)):
        assert_same_logits(net, peer, lambda peer, x: peer(x).logits, photo(*size), ((0.0,) * 3, (1.0,) * 3))


def dpt_pair(folder: Path) -> tuple[EncoderDecoder, Any]:
    import transformers

    config = transformers.DPTConfig(
        num_labels=CLASSES, hidden_size=192, num_attention_heads=3, intermediate_size=768, image_size=224,
        layer_norm_eps=1e-6, neck_hidden_sizes=[16, 24, 32, 40], fusion_hidden_size=24,
    )  # fmt: skip
    peer = randomised(transformers.DPTForSemanticSegmentation(config))
    for parameter in peer.parameters():
        if parameter.ndim > 1:  # they are drawn so small that every pixel would look alike
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    nn.init.normal_(peer.dpt.embeddings.position_embeddings)
    nn.init.normal_(peer.dpt.embeddings.cls_token)
    peer.save_pretrained(folder)
    # at the head's stride, as everywhere; and where they resize position embeddings bilinearly, we do as timm
    peer.head.head[5] = nn.Identity()
    peer.dpt.embeddings._resize_pos_embed = lambda codes, h, w: timm.layers.resample_abs_pos_embed(
        codes, (h, w), num_prefix_tokens=1
    )
    encoder = ViTEncoder("vit_tiny_patch16_224", None, [2, 5, 8, 11], pyramid=None, readout=True)
    net = EncoderDecoder(CLASSES, encoder, partial(DPT, widths=(16, 24, 32, 40), channels=24, readout=True))
    assert import_weights(net, folder / "model.safetensors").fresh == []
    return net, peer


@pytest.mark.parametrize("size", [224, 96])
def test_transformers_dpt(size: int, tmp_path: Path) -> None:
    """Theirs reads squares of whole patches only."""
    assert_same_logits(*dpt_pair(tmp_path), lambda peer, x: peer(x).logits, photo(size, size), HALF)


@pytest.mark.slow
def test_transformers_dpt_on_a_real_image(camvid_root: Path, tmp_path: Path) -> None:
    assert_same_logits(*dpt_pair(tmp_path), lambda peer, x: peer(x).logits, street(camvid_root, 224, 224), HALF)


@pytest.fixture
def half_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """These two resize with align_corners=True; the papers do not say, and all of seglight resizes by half pixels."""

    def interpolate(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return F.interpolate(x, *args, **kwargs | {"align_corners": False})

    for module in (smp_fpn, smp_pspnet):
        monkeypatch.setattr(module, "F", SimpleNamespace(interpolate=interpolate))


def pspnet(encoder: str) -> EncoderDecoder:
    return timm_net(encoder, partial(PSPNet, merge_kernel=1), head_kernel=3, depth=3)


U = {"further": (16,), "upsampling": "nearest"}
SMP: dict[str, tuple[Callable[..., Any], str, dict[str, Any], Callable[[], EncoderDecoder]]] = {
    "Unet": (smp.Unet, "resnet18", {}, lambda: timm_net("resnet18", partial(UNet, **U), head_kernel=3)),
    "Unet of timm's encoder": (
        smp.Unet, "tu-mobilenetv3_small_050", {},
        lambda: timm_net("mobilenetv3_small_050", partial(UNet, **U), head_kernel=3),
    ),
    # theirs gives inner nodes the encoder's channels, the paper's all of a level the same: here both are
    "UnetPlusPlus": (
        smp.UnetPlusPlus, "resnet18", {"decoder_channels": (256, 128, 64, 64, 16)},
        lambda: timm_net("resnet18", partial(UNetPlusPlus, channels=(256, 128, 64, 64), **U), head_kernel=3),
    ),
    # theirs sums the pyramid by nearest neighbours unless told otherwise
    "FPN": (
        smp.FPN, "resnet18", {"decoder_interpolation": "bilinear"},
        lambda: timm_net("resnet18", partial(FPN, groups=32)),
    ),
    "PSPNet": (smp.PSPNet, "resnet18", {}, lambda: pspnet("resnet18")),
    # of theirs only timm's encoders keep the convolution undilated that lost its stride
    "DeepLabV3": (
        smp.DeepLabV3, "tu-resnet18", {},
        lambda: timm_net("resnet18", partial(DeepLabV3, dilations=(12, 24, 36)), output_stride=8),
    ),
    "DeepLabV3Plus": (
        smp.DeepLabV3Plus, "tu-resnet18", {"decoder_atrous_rates": (6, 12, 18)},
        lambda: timm_net("resnet18", partial(DeepLabV3Plus, convs=(1, 1)), output_stride=16),
    ),
    "UPerNet": (
        smp.UPerNet, "resnet18", {},
        lambda: timm_net("resnet18", partial(UPerNet, channels=256, norm_features=True)),
    ),
    "Segformer": (smp.Segformer, "mit_b0", {}, lambda: EncoderDecoder(CLASSES, MixTransformer("b0"), SegFormer)),
}  # fmt: skip


ODD = {
    "PSPNet": (65, 97), "DeepLabV3": (65, 97), "UPerNet": (65, 97),
    # theirs end on the image's own size, or on the floor of its fourth: so the odd ones are features alone
    "Unet": (72, 104), "Unet of timm's encoder": (72, 104), "Segformer": (72, 104),
}  # fmt: skip
"""Sizes that are no multiples of 32, which theirs refuse at their door and read behind it; the other three can only
double."""


def smp_pair(name: str, folder: Path) -> tuple[EncoderDecoder, Any]:
    make, encoder, options, ours = SMP[name]
    peer = randomised(make(encoder, encoder_weights=None, classes=CLASSES, **options))
    if name == "DeepLabV3Plus":
        peer.decoder.up.align_corners = False  # as with the other two
    net = ours()
    assert import_weights(net, saved(peer, folder / "net.safetensors")).fresh == []
    return net, peer


def head_logits(peer: Any, x: Tensor) -> Tensor:
    """At the head's stride: their last upsampling has align_corners=True."""
    logits: Tensor = peer.segmentation_head[0](peer.decoder(peer.encoder(x)))
    return logits


@pytest.mark.parametrize("name", SMP)
def test_smp(name: str, tmp_path: Path, half_pixels: None) -> None:
    net, peer = smp_pair(name, tmp_path)
    for size in ((64, 96), *([ODD[name]] if name in ODD else [])):
        assert_same_logits(net, peer, head_logits, photo(*size))


def street(root: Path, height: int, width: int) -> Tensor:
    """The middle of a real image."""
    image = torch.from_numpy(np.array(Image.open(root / "val" / "0016E5_07959.png").convert("RGB"))).permute(2, 0, 1)
    top, left = (360 - height) // 2, (480 - width) // 2
    return image[None, :, top : top + height, left : left + width]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TORCHVISION, *TRANSFORMERS])
def test_real_images(name: str, camvid_root: Path, tmp_path: Path) -> None:
    if name in TORCHVISION:
        make, ours = TORCHVISION[name]
        peer, net = randomised(make(weights=None, weights_backbone=None, num_classes=CLASSES)), ours()
        import_weights(net, saved(peer, tmp_path / "net.pth"))
        forward: Forward = lambda peer, x: peer(x)["out"]  # noqa: E731
    else:
        peer, net = randomised(transformers_peer(name)), TRANSFORMERS[name]()
        peer.save_pretrained(tmp_path)
        import_weights(net, tmp_path / "model.safetensors")
        forward = lambda peer, x: peer(x).logits  # noqa: E731
    sizes = [(160, 224), (161, 225)]
    if name in ("LR-ASPP", "SegFormer-B0"):
        sizes += [(360, 480)]
    for size in sizes:
        assert_same_logits(net, peer, forward, street(camvid_root, *size))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMP)
def test_smp_on_real_images(name: str, camvid_root: Path, tmp_path: Path, half_pixels: None) -> None:
    net, peer = smp_pair(name, tmp_path)
    for size in ((160, 224), *([tuple(side + 96 for side in ODD[name])] if name in ODD else [])):
        assert_same_logits(net, peer, head_logits, street(camvid_root, *size))


def small_torchvision(classes: int = CLASSES) -> nn.Module:
    return randomised(tv.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes))


def test_heads_of_another_class_count_stay_fresh(tmp_path: Path) -> None:
    net = EncoderDecoder(3, MobileNetV3Encoder(), LRASPP)
    before = net.head.weight.clone()
    imported = import_weights(net, saved(small_torchvision(21), tmp_path / "net.pth"))
    assert imported.fresh == ["head.weight", "head.bias"]
    assert "LR-ASPP" in imported.line()
    assert "untrained: head.weight, head.bias" in imported.line()
    assert torch.equal(net.head.weight, before)


def test_normalisation_comes_with_the_weights(tmp_path: Path) -> None:
    net = EncoderDecoder(CLASSES, MobileNetV3Encoder(), LRASPP)
    net.encoder.mean.fill_(1)
    import_weights(net, saved(small_torchvision(), tmp_path / "net.pth"))
    torch.testing.assert_close(net.encoder.mean.flatten() / 255, torch.tensor(IMAGENET[0]))
    torch.testing.assert_close(net.encoder.std.flatten() / 255, torch.tensor(IMAGENET[1]))


def refusal(net: nn.Module, path: Path) -> str:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(UserError) as refused:
        import_weights(net, path)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items()), "half loaded"
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_another_net_is_refused_with_what_fits(tmp_path: Path) -> None:
    path = saved(small_torchvision(), tmp_path / "net.pth")
    said = refusal(EncoderDecoder(CLASSES, MobileNetV3Encoder(), partial(LRASPP, channels=64)), path)
    assert "net.pth (torchvision LR-ASPP): 31" in said
    assert "missing such as decoder.coarse.0.weight" in said
    assert "left over such as decoder.coarse.0.weight" in said


def test_a_deeper_encoder_is_refused(tmp_path: Path) -> None:
    peer = smp.PSPNet("resnet34", encoder_weights=None, classes=CLASSES)
    said = refusal(
        timm_net("resnet18", partial(PSPNet, merge_kernel=1), head_kernel=3, depth=3), saved(peer, tmp_path / "net.pth")
    )
    assert "left over such as encoder.net.layer1.2.conv1.weight" in said


def test_an_unknown_family(tmp_path: Path) -> None:
    path = saved(nn.Linear(2, 2), tmp_path / "net.pth")
    said = refusal(EncoderDecoder(CLASSES, MobileNetV3Encoder(), LRASPP), path)
    assert said.startswith(f"{path}: its tensors, such as bias, are none of torchvision FCN, ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.pth", None, "no such file of weights"),
        ("cut.pth", b"PK\x03\x04 and no more", "cut off or damaged"),
        ("cut.safetensors", b"\x10\x00\x00", "cut off or damaged"),
    ],
)
def test_files_that_can_not_be_read(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert message in refusal(nn.Conv2d(1, 1, 1), tmp_path / name)


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], torch.ones(3), None], ids=["log", "list", "tensor", "none"])
def test_a_file_without_tensors_by_name(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "log.pth")
    assert "it contains no tensors" in refusal(nn.Conv2d(1, 1, 1), tmp_path / "log.pth")


def test_fit_starts_from_an_imported_file(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    config = tmp_path / "net.yaml"
    config.write_text("""
trainer: {accelerator: cpu, max_steps: 1, limit_val_batches: 1}
model:
  net:
    class_path: seglight.models.EncoderDecoder
    init_args:
      encoder: {class_path: seglight.models.MobileNetV3Encoder}
      decoder: {class_path: seglight.models.decoders.LRASPP}
  optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.0}}
data:
  class_path: seglight.data.ShapesDataModule
  init_args: {train_images: 2, eval_images: 1, batch_size: 2, num_workers: 0}
""")
    peer = small_torchvision()
    path = saved(peer, tmp_path / "lraspp.pth")
    ran = seglight_cli("fit", "--config", config, "--model.weights", path, "--run_dir", tmp_path / "run")
    assert ran.rc == 0, ran.err
    assert "lraspp.pth (torchvision LR-ASPP)" in ran.err
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(state["net.encoder.net.0.0.weight"], peer.backbone["0"][0].weight)
