"""Decoders give what those of torchvision and segmentation_models.pytorch give, from the same weights and features.

Where a peer differs by intent, that part is said and changed in the peer.
"""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3Decoder
from segmentation_models_pytorch.decoders.fpn import decoder as smp_fpn
from segmentation_models_pytorch.decoders.pspnet import decoder as smp_pspnet
from segmentation_models_pytorch.decoders.segformer.decoder import SegformerDecoder
from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder
from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead
from torchvision.models.segmentation.lraspp import LRASPPHead

from seglight.models.decoders import FCN, FPN, LRASPP, DeepLabV3, PSPNet, SegFormer, UNetPlusPlus, UPerNet

SIZES = [(33, 49), (17, 25), (9, 13), (5, 7)]
"""Of features of strides 4 to 32, for images of 130 x 194."""


def features(channels: list[int], sizes: list[tuple[int, int]] = SIZES) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, width, *size, generator=generator) for width, size in zip(channels, sizes, strict=True)]


def randomised(peer: nn.Module) -> nn.Module:
    """Its weights as they are drawn, its norms no more the identity; in eval mode."""
    for layer in peer.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return peer.eval()


def load(ours: nn.Module, weights: dict[str, Tensor], names: dict[str, str]) -> nn.Module:
    """Fill ours with theirs: `names` maps the beginnings of our names to those of theirs."""
    state = {}
    for name in ours.state_dict():
        start = max((start for start in names if name.startswith(f"{start}.")), key=len)
        state[name] = weights[names[start] + name.removeprefix(start)]
    ours.load_state_dict(state)
    return ours.eval()


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> dict[str, Tensor]:
    """A convolution with a bias that does what one with a norm does in evaluation."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return {"weight": conv.weight * scale.view(-1, 1, 1, 1), "bias": norm.bias - norm.running_mean * scale}


def folded(weights: dict[str, Tensor], place: str, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> dict[str, Tensor]:
    """Their weights with one folded convolution at a place: ours has no norm where a batch of one would break it."""
    return weights | {f"{place}.{name}": value for name, value in fold(conv, norm).items()}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def half_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """These two resize with align_corners=True; the papers do not say, and all of seglight resizes by half pixels."""

    def interpolate(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return F.interpolate(x, *args, **kwargs | {"align_corners": False})

    for module in (smp_fpn, smp_pspnet):
        monkeypatch.setattr(module, "F", SimpleNamespace(interpolate=interpolate))


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert theirs.std() > 0.01
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@torch.no_grad()
def test_torchvision_fcn_head() -> None:
    peer = randomised(FCNHead(40, 7))
    ours, head = FCN([24, 40], [16, 32], stride=32, channels=10), peer[4]
    load(ours, peer.state_dict(), {"coarse.0.0": "0", "coarse.0.1": "1"})
    maps = features([24, 40], SIZES[2:])
    assert_same(head(ours(maps)), peer(maps[-1]))


@torch.no_grad()
def test_torchvision_deeplabv3_head() -> None:
    peer = randomised(DeepLabHead(40, 7, (6, 12, 18)))
    pool = peer[0].convs[4]
    weights = folded(peer.state_dict(), "pool", pool[1], pool[2])
    names = {f"pyramid.branches.{k}": f"0.convs.{k}" for k in range(4)}
    names |= {"pyramid.pool.1": "pool", "pyramid.project": "0.project", "merge.0": "1", "merge.1": "2"}
    ours = load(DeepLabV3([40], [16]), weights, names)
    (x,) = features([40], SIZES[2:3])
    assert_same(peer[4](ours([x])), peer(x))


@torch.no_grad()
def test_smp_deeplabv3_decoder() -> None:
    peer = randomised(DeepLabV3Decoder(40, 16, (12, 24, 36), aspp_separable=False, aspp_dropout=0.5))
    pool = peer.aspp.convs[4]
    weights = folded(peer.state_dict(), "pool", pool[1], pool[2])
    names = {f"pyramid.branches.{k}": f"aspp.convs.{k}" for k in range(4)}
    names |= {"pyramid.pool.1": "pool", "pyramid.project": "aspp.project", "merge.0": "conv", "merge.1": "bn"}
    ours = load(DeepLabV3([40], [8], channels=16, dilations=(12, 24, 36)), weights, names)
    maps = features([40], SIZES[1:2])
    assert_same(ours(maps), peer(maps))


@torch.no_grad()
def test_torchvision_lraspp_head() -> None:
    peer = randomised(LRASPPHead(low_channels=24, high_channels=40, num_classes=7, inter_channels=16))
    ours = load(LRASPP([24, 40], [8, 16], channels=16), peer.state_dict(), {"coarse": "cbr", "gate": "scale"})
    # their two classifiers, as one on both maps
    weight = torch.cat([peer.high_classifier.weight, peer.low_classifier.weight], 1)
    bias = peer.high_classifier.bias + peer.low_classifier.bias
    low, high = features([24, 40], SIZES[1:3])
    assert_same(F.conv2d(ours([low, high]), weight, bias), peer({"low": low, "high": high}))


@torch.no_grad()
def test_smp_pspnet_decoder(half_pixels: None) -> None:
    peer = randomised(smp_pspnet.PSPDecoder([24, 40], out_channels=16))
    weights = peer.state_dict()
    # ours merges with a 3x3 convolution, as the paper's code does, theirs with 1x1: the middle of it, and the map first
    merge = weights.pop("conv.0.weight").roll(40, 1)
    weights["conv.0.weight"] = F.pad(merge, (1, 1, 1, 1))
    names = {"pyramid.merge": "conv"}
    for k in range(4):
        names |= {
            f"pyramid.pools.{k}.1": f"psp.blocks.{k}.pool.1.0",
            f"pyramid.pools.{k}.2": f"psp.blocks.{k}.pool.1.1",
        }
    ours = load(PSPNet([24, 40], [16, 32], channels=16), weights, names)
    maps = features([24, 40], SIZES[1:3])
    assert_same(ours(maps), peer(maps))


@torch.no_grad()
def test_smp_upernet_decoder() -> None:
    widths = [8, 16, 24, 40]
    peer = randomised(UPerNetDecoder([3, 4, *widths], decoder_channels=16))
    peer.feature_norms = nn.ModuleList(nn.Identity() for _ in widths)  # the paper has no norms before its pyramid
    names = {"top.merge": "psp.out_conv", "top.pools.0.1": "pool", "merge": "fusion_block"}
    for k in (1, 2, 3):
        names |= {f"top.pools.{k}.1": f"psp.blocks.{k}.1.0", f"top.pools.{k}.2": f"psp.blocks.{k}.1.1"}
    for k in range(3):  # theirs go from coarse to fine
        names |= {
            f"lateral.{k}": f"fpn_lateral_blocks.{2 - k}.conv_norm_relu",
            f"smooth.{k}": f"fpn_conv_blocks.{2 - k}",
        }
    mean = peer.psp.blocks[0][1]
    weights = folded(peer.state_dict(), "pool", mean[0], mean[1])
    ours = load(UPerNet([3, 4, *widths], [1, 2, 4, 8, 16, 32], channels=16), weights, names)
    maps = features([3, 4, *widths], [(130, 194), (65, 97), *SIZES])
    assert_same(ours(maps), peer(list(maps)))


@torch.no_grad()
def test_smp_segformer_decoder() -> None:
    widths = [8, 16, 24, 40]
    peer = randomised(SegformerDecoder([3, 0, *widths], segmentation_channels=16))
    weights = peer.state_dict()
    conv, norm = peer.fuse_stage[0], peer.fuse_stage[1]
    # ours has no biases before the norm, whose mean takes them away
    shift = conv.weight[..., 0, 0] @ torch.cat([stage.linear.bias for stage in peer.mlp_stage])
    weights["fuse_stage.1.running_mean"] = norm.running_mean - shift
    # theirs go from coarse to fine
    weights["fuse_stage.0.weight"] = torch.cat(conv.weight.split(16, 1)[::-1], 1)
    for k in range(4):
        weights[f"linear.{k}.weight"] = weights[f"mlp_stage.{3 - k}.linear.weight"][..., None, None]
    ours = load(SegFormer(widths, [4, 8, 16, 32], channels=16), weights, {"linear": "linear", "mix": "fuse_stage"})
    maps = features(widths)
    image = torch.empty(2, 3, 133, 199)  # theirs takes the size from it: the floor of a fourth
    assert_same(ours(maps), peer([image, torch.empty(2, 0, 1, 1), *maps]))


@torch.no_grad()
def test_smp_unetplusplus_decoder() -> None:
    # theirs gives inner nodes the encoder's channels, the paper's all of a level the same: here both are
    widths = [8, 16, 24, 40]
    peer = UnetPlusPlusDecoder([3, *widths], [24, 16, 8, 4], n_blocks=4, interpolation_mode="bilinear")
    weights = randomised(peer).state_dict()
    names = {}
    for level in range(3):
        for node in range(level + 1):
            block = f"blocks.x_{level - node}_{level}"
            names |= {f"levels.{level}.{node}.{k}": f"{block}.conv{k + 1}" for k in (0, 1)}
            # theirs reads a level from its newest node back to the encoder's feature
            below, *row = weights[f"{block}.conv1.0.weight"].split(
                [widths[3 - level], *[widths[2 - level]] * (node + 1)], 1
            )
            weights[f"{block}.conv1.0.weight"] = torch.cat([below, *row[::-1]], 1)
    ours = load(UNetPlusPlus(widths, [2, 4, 8, 16], channels=(24, 16, 8)), weights, names)
    # theirs can only double: odd sizes at the coarsest; and its last block, beyond the encoder's features, is left out
    maps = features(widths, [(40, 56), (20, 28), (10, 14), (5, 7)])
    peer.blocks["x_0_3"] = nn.Identity()
    assert_same(ours(maps), peer([torch.empty(0), *maps]))


@torch.no_grad()
def test_smp_fpn_decoder(half_pixels: None) -> None:
    widths = [8, 16, 24, 40]
    peer = smp_fpn.FPNDecoder(
        [3, 4, *widths], pyramid_channels=48, segmentation_channels=32, interpolation_mode="bilinear"
    )
    for layer in list(peer.modules()):
        if isinstance(layer, smp_fpn.Conv3x3GNReLU):
            layer.block[1] = nn.BatchNorm2d(32)  # theirs normalises by groups, seglight by batches everywhere
    randomised(peer)
    names = {f"lateral.{k}": f"p{k + 2}.skip_conv" for k in range(3)} | {"lateral.3": "p5"}
    for level in range(4):
        for step in range(max(1, level)):
            names[f"branches.{level}.convs.{step}"] = f"seg_blocks.{3 - level}.block.{step}.block"
    ours = load(FPN(widths, [4, 8, 16, 32], pyramid_channels=48, channels=32), peer.state_dict(), names)
    maps = features(widths, [(40, 56), (20, 28), (10, 14), (5, 7)])  # theirs can only double
    assert_same(ours(maps), peer(maps))
