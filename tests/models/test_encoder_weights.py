"""Files of weights from elsewhere in encoders: theirs give the same features; what matched is reported; other channels.

Covers: models.decoders.lraspp, models.encoder_decoder, models.encoders.conv_stem, models.weights.published.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Encoder
from seglight.models import (
    ConvStemConvNeXt,
    EncoderDecoder,
    MixTransformer,
    MobileNetV3Encoder,
    TimmEncoder,
    import_weights,
)
from seglight.models.decoders import LRASPP

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def photo(channels: int = 3) -> Tensor:
    return torch.randint(0, 256, (2, channels, 65, 97), dtype=torch.uint8)


def fed(image: Tensor) -> Tensor:
    return (image / 255 - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)


def saved(peer: nn.Module, folder: Path) -> str:
    for layer in peer.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.running_mean, std=0.3)
    torch.save(peer.eval().state_dict(), folder / "theirs.pth")
    return str(folder / "theirs.pth")


@torch.no_grad()
def outputs(layers: nn.Module, image: Tensor, wanted: Callable[[nn.Module], bool]) -> list[Tensor]:
    """What goes into the layers that are wanted, in their order."""
    found: list[Tensor] = []
    for layer in layers.children():
        if wanted(layer):
            layer.register_forward_pre_hook(lambda _, args: found.append(args[0]))
    layers(fed(image))
    return found


@torch.no_grad()
def assert_same(encoder: Encoder, image: Tensor, theirs: list[Tensor]) -> None:
    ours = encoder.eval()(image)
    for mine, their in zip(ours[-len(theirs) :], theirs, strict=True):
        torch.testing.assert_close(mine, their, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_torchvisions_vgg(tmp_path: Path) -> None:
    peer = torchvision.models.vgg11_bn().features
    encoder = TimmEncoder("vgg11_bn", saved(nn.ModuleDict({"features": peer}), tmp_path))
    image = photo()
    assert_same(
        encoder, image, [*outputs(peer, image, lambda layer: isinstance(layer, nn.MaxPool2d)), peer(fed(image))]
    )


def test_torchvisions_resnet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peer = torchvision.models.resnet18()
    path = saved(peer, tmp_path)
    encoder = TimmEncoder("resnet18", path)
    kernels = sum(p.ndim == 4 for p in peer.parameters())
    assert capsys.readouterr().err == f"seglight: {path}: {kernels} of {kernels} weights of 'resnet18' are in it\n"
    image, found = photo(), []
    for stage in (peer.layer1, peer.layer2, peer.layer3, peer.layer4):
        stage.register_forward_hook(lambda _, __, out: found.append(out))
    with torch.no_grad():
        peer(fed(image))
    assert_same(encoder, image, found)


def test_another_nets_file_is_refused(tmp_path: Path) -> None:
    path = saved(torchvision.models.mobilenet_v3_small(), tmp_path)
    with pytest.raises(UserError, match=r"of \d+ tensors of 'mobilenetv3_small_100' only \d+ are in it"):
        TimmEncoder("mobilenetv3_small_100", path)
    with pytest.raises(UserError, match=r"theirs.pth \(torchvision MobileNetV3\): \d+ of the net's \d+ tensors fit, "):
        MobileNetV3Encoder(path)


def mobilenet(folder: Path) -> tuple[str, Callable[[Tensor], list[Tensor]]]:
    """Torchvision's, dilated, which has the same weights as the one that is published."""
    peer = torchvision.models.mobilenet_v3_large(dilated=True)
    path = saved(peer, folder)

    @torch.no_grad()
    def features(x: Tensor) -> list[Tensor]:
        taken = []
        for k, layer in enumerate(peer.features):
            x = layer(x)
            taken += [x] if k in (1, 3, 4, 16) else []
        return taken

    return path, features


def segformer(folder: Path) -> tuple[str, Callable[[Tensor], list[Tensor]]]:
    """The classifier that SegFormer's encoder was published as."""
    import transformers

    peer = transformers.SegformerForImageClassification(transformers.SegformerConfig(num_labels=9)).eval()
    for layer in peer.modules():
        if isinstance(layer, nn.LayerNorm):
            nn.init.normal_(layer.bias)
    peer.save_pretrained(folder)

    @torch.no_grad()
    def features(x: Tensor) -> list[Tensor]:
        taken: Any = peer.segformer(x, output_hidden_states=True).hidden_states
        return list(taken)

    return str(folder / "model.safetensors"), features


OURS: dict[str, tuple[Callable[..., Encoder], Callable[[Path], tuple[str, Callable[[Tensor], list[Tensor]]]]]] = {
    "torchvision MobileNetV3": (MobileNetV3Encoder, mobilenet),
    "transformers SegFormer": (MixTransformer, segformer),
}


@pytest.mark.parametrize("family", OURS)
def test_published_encoders(family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, published = OURS[family]
    path, features = published(tmp_path)
    capsys.readouterr()
    encoder, image = make(weights=path), photo()
    count = sum(not name.endswith(("mean", "std")) or "running" in name for name in encoder.state_dict())
    assert f"weights of {path} ({family}): {count} tensors fit\n" in capsys.readouterr().err
    theirs = features(fed(image))
    assert all(x.std() > 0.02 for x in theirs)
    assert_same(encoder, image, theirs)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("family", OURS)
def test_published_encoders_of_other_channels(family: str, channels: int, tmp_path: Path) -> None:
    """On images that are alike in all channels, as the weights see them, the features are those of three channels."""
    make, published = OURS[family]
    path, features = published(tmp_path)
    encoder = make(weights=path, in_channels=channels).eval()
    level = torch.randint(0, 256, (2, 1, 64, 96), dtype=torch.uint8)
    encoder.mean.fill_(100.0)
    encoder.std.fill_(50.0)
    alike = (level.float() - 100) / 50
    first = next(p for p in encoder.parameters() if p.ndim == 4)
    if channels == 1:
        assert_same(encoder, level, features(alike.expand(-1, 3, -1, -1)))
    else:  # red comes again, and all a quarter smaller
        torch.testing.assert_close(first[:, 3], first[:, 0])
        three = make(weights=path).eval()
        theirs = next(p for p in three.parameters() if p.ndim == 4)
        torch.testing.assert_close(first[:, :3], 0.75 * theirs)


class Stem(nn.Module):
    """Two convolutions in place of the patches (arXiv 2303.01870, figure 3), by the names of the published files."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width // 2, 3, 2, 1), timm.layers.LayerNorm2d(width // 2), nn.GELU(),
            nn.Conv2d(width // 2, width, 3, 2, 1), timm.layers.LayerNorm2d(width), nn.GELU(),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        patches: Tensor = self.stem(image)
        return patches


def test_a_robust_convnext(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peer: Any = timm.create_model("test_convnext")
    peer.stem = Stem(24)
    for name, parameter in peer.named_parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5)  # norms and scales that are not the identity
        elif "head" not in name:
            nn.init.normal_(parameter, std=0.1)
    path = str(tmp_path / "theirs.pt")
    torch.save({f"module.base_model.{name}": value for name, value in peer.state_dict().items()}, path)
    encoder, image = ConvStemConvNeXt("test_convnext", path, drop_path=0.4), photo()
    count = len(encoder.state_dict()) - 2
    assert f"weights of {path} (revisiting-at ConvNeXt): {count} tensors fit\n" in capsys.readouterr().err
    with torch.no_grad():
        theirs = peer.eval().forward_intermediates(image / 255, intermediates_only=True)  # images in [0, 1] as they are
    assert all(x.std() > 0.02 for x in theirs)
    assert_same(encoder, image, theirs)


def test_the_depth_of_blocks_that_are_dropped_rises() -> None:
    encoder = ConvStemConvNeXt("test_convnext", drop_path=0.4)
    drops = [part.drop_prob for part in encoder.modules() if isinstance(part, timm.layers.DropPath)]
    assert drops == pytest.approx([0.05 * k for k in range(1, 9)])


def test_another_net_than_a_convnext_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^encoder.name .test_resnet. is no ConvNeXt: give convnext_tiny or"):
        ConvStemConvNeXt("test_resnet")


def test_a_whole_net_on_grey_images(tmp_path: Path) -> None:
    peer = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5)
    path = saved(peer, tmp_path)
    net = EncoderDecoder(5, MobileNetV3Encoder(in_channels=1), LRASPP).eval()
    assert import_weights(net, path).fresh == []
    torch.testing.assert_close(net.encoder.mean.flatten(), 255 * MEAN.mean().view(1))
    grey = photo(1)
    alike = (grey / 255 - MEAN.mean()) / STD.mean()
    with torch.no_grad():
        theirs = peer(alike.expand(-1, 3, -1, -1))["out"]
        ours = nn.functional.interpolate(net(grey).logits, theirs.shape[-2:], mode="bilinear")
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
