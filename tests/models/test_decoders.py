"""One contract for every decoder on encoders of different strides, within the whole net."""

import copy
from collections.abc import Callable
from functools import cache, partial

import pytest
import torch
import torchvision
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.inference import WholeImage
from seglight.interfaces import SegOutput, seg_output
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import (
    FCN,
    LRASPP,
    OCR,
    DeepLabV3Plus,
    ReSeg,
)
from tests.support.decoders import DECODERS

ENCODERS = ("resnet18", "vgg11_bn", "tf_efficientnet_lite0")

CLASSES = 7


@pytest.fixture(scope="module", params=DECODERS)
def decoder(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module", params=ENCODERS)
def net(request: pytest.FixtureRequest, decoder: str) -> EncoderDecoder:
    return make_net(decoder, make_encoder(request.param))


@cache
def _encoder(name: str) -> TimmEncoder:
    torch.manual_seed(0)
    return TimmEncoder(name, weights=None)


def make_encoder(name: str) -> TimmEncoder:
    return copy.deepcopy(_encoder(name))  # to build VGG takes four seconds, of which all but the copy are thrown away


def make_net(decoder: str, encoder: TimmEncoder) -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(CLASSES, encoder, DECODERS[decoder][0], aux_index=-2)


def photo(batch: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8, generator=generator)


def test_out_channels_and_stride(net: EncoderDecoder, decoder: str) -> None:
    stride = DECODERS[decoder][1](net.encoder.strides)
    with torch.no_grad():
        logits, aux = net.eval()(photo(2, 64, 96))
    assert net.head.in_channels == net.decoder.out_channels
    assert logits.shape == (2, CLASSES, 64 // stride, 96 // stride)
    assert aux == ()


def test_every_trainable_parameter_gets_a_gradient(net: EncoderDecoder) -> None:
    net.train().zero_grad()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)  # timm starts the last norm of a residual block at zero: the block is cut off
    out = net(photo(2, 96, 128))
    assert len(out.aux) == 1
    assert out.aux[0].shape == (2, CLASSES, 96 // net.encoder.strides[-2], 128 // net.encoder.strides[-2])
    generator = torch.Generator().manual_seed(0)
    sum((part * torch.randn(part.shape, generator=generator)).sum() for part in (out.logits, *out.aux)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.requires_grad, name
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_odd_sizes(net: EncoderDecoder) -> None:
    with torch.no_grad():
        assert net.eval()(photo(1, 65, 97)).logits.isfinite().all()
    assert WholeImage().labels(net, photo(1, 33, 45)).shape == (1, 33, 45)


def test_batch_of_one_trains(net: EncoderDecoder) -> None:
    assert net.train()(photo(1, 64, 64)).logits.isfinite().all()


@pytest.mark.parametrize("decoder", sorted(DECODERS.keys() - {"OCR"}))
def test_without_an_auxiliary_head(decoder: str) -> None:
    net = EncoderDecoder(CLASSES, make_encoder("test_resnet"), DECODERS[decoder][0])
    assert net.train()(photo(2, 64, 64)).aux == ()


def test_ocr_names_the_head_that_it_reads() -> None:
    with pytest.raises(UserError, match=r"OCR reads the class scores of an auxiliary head.*set .*aux_index"):
        EncoderDecoder(CLASSES, make_encoder("test_resnet"), OCR)


@pytest.mark.parametrize("training", [False, True])
def test_ocr_reads_the_scores_of_the_auxiliary_head(training: bool) -> None:
    net = make_net("OCR", make_encoder("test_resnet")).train(training)
    image = photo(2, 64, 64)
    for layer in net.modules():
        if isinstance(layer, nn.Dropout2d | nn.BatchNorm2d):
            layer.eval()  # the same in both modes
    with torch.no_grad():
        before = net(image).logits
        net.aux_head[-1].weight.neg_()
        assert not torch.allclose(net(image).logits, before)
    assert len(net(image).aux) == training


def test_channels_last_and_bfloat16(decoder: str) -> None:
    net = make_net(decoder, make_encoder("test_resnet")).eval()
    image = photo(2, 65, 97)
    with torch.no_grad():
        expected = net(image).logits
        net.to(memory_format=torch.channels_last)
        image = image.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(net(image).logits, expected, rtol=1e-3, atol=1e-3)
        with torch.autocast("cpu", torch.bfloat16):
            low = net(image).logits
    assert low.dtype == torch.bfloat16
    assert (low - expected).abs().mean() < 0.05 * expected.abs().mean()  # bfloat16 has three digits
    with torch.autocast("cpu", torch.bfloat16):
        net.train()(image).logits.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in net.decoder.parameters())


def test_deeplab_names_the_strides_it_can_not_use() -> None:
    with pytest.raises(UserError, match=r"needs a feature of stride 4 below the last: the encoder has \[8, 16\]"):
        DeepLabV3Plus([8, 16], [8, 16])


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (FCN, r"FCN decoder.stride 8: the encoder has features of strides \[4, 16\]"),
        (LRASPP, r"needs a feature of stride 8 below the last: the encoder has \[4, 16\]"),
        (partial(ReSeg, channels=(9, 9, 9)), r"decoder.channels \[9, 9, 9\]: .* has features of 2 strides only"),
    ],
)
def test_they_name_the_strides_they_can_not_use(decoder: type, message: str) -> None:
    with pytest.raises(UserError, match=message):
        decoder([8, 8], [4, 16])


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_fcn_ends_on_its_stride(stride: int) -> None:
    decoder = FCN([2, 3, 4, 5, 6], [2, 4, 8, 16, 32], stride, channels=7)
    sizes = zip([2, 3, 4, 5, 6], [(33, 49), (17, 25), (9, 13), (5, 7), (3, 4)], strict=True)
    out = decoder([torch.randn(2, channels, *size) for channels, size in sizes])
    assert out.shape == (2, 7, *{8: (9, 13), 16: (5, 7), 32: (3, 4)}[stride])


@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilated_encoder(decoder: str, output_stride: int) -> None:
    net = make_net(decoder, TimmEncoder("resnet18", weights=None, output_stride=output_stride)).eval()
    with torch.no_grad():
        assert net(photo(1, 64, 96)).logits.shape[-1] == 96 // DECODERS[decoder][1](net.encoder.strides)


def test_a_foreign_net_speaks_through_seg_output() -> None:
    net = torchvision.models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=CLASSES
    ).eval()
    image = photo(1, 64, 96)
    with torch.no_grad():
        expected = net(image.float())["out"]
    logits, aux = seg_output(net(image.float()))
    torch.testing.assert_close(logits, expected)
    assert aux == ()
    # its logits have the full resolution: the label map is their argmax
    labels = WholeImage().labels(nn.Sequential(AsFloat(), net), image)
    assert torch.equal(labels.long(), expected.argmax(1))


class AsFloat(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.float()


@pytest.mark.parametrize(
    ("wrap", "aux"),
    [
        (lambda x: x, 0),
        (lambda x: {"out": x}, 0),
        (lambda x: {"out": x, "aux": x}, 1),
        (lambda x: SegOutput(x, (x, x)), 2),
    ],
)
def test_seg_output_reads(wrap: Callable[[Tensor], object], aux: int) -> None:
    logits = torch.zeros(1, 2, 3, 4)
    out = seg_output(wrap(logits))
    assert out.logits is logits
    assert len(out.aux) == aux
