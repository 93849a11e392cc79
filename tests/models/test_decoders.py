"""One contract for every decoder on encoders of different strides, within the whole net."""

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.inference.whole import whole_image
from seglight.interfaces import SegOutput, seg_output
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN, DeepLabV3Plus, UNet

ENCODERS = ("resnet18", "vgg11_bn", "tf_efficientnet_lite0")
DECODERS = {UNet: None, FPN: 4, DeepLabV3Plus: 4}
"""Each with the stride it ends on; None: the encoder's finest."""

CLASSES = 7


@pytest.fixture(scope="module", params=DECODERS, ids=lambda decoder: decoder.__name__)
def decoder(request: pytest.FixtureRequest) -> type:
    return request.param


@pytest.fixture(scope="module", params=ENCODERS)
def net(request: pytest.FixtureRequest, decoder: type) -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(CLASSES, TimmEncoder(request.param, weights=None), decoder, aux_index=-2)


def photo(batch: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8, generator=generator)


def test_out_channels_and_stride(net: EncoderDecoder, decoder: type) -> None:
    stride = DECODERS[decoder] or net.encoder.strides[0]
    image = photo(2, 64, 96)
    with torch.no_grad():
        out = net.eval().decoder(net.encoder(image))
        logits, aux = net(image)
    assert out.shape == (2, net.decoder.out_channels, 64 // stride, 96 // stride)
    assert logits.shape == (2, CLASSES, 64 // stride, 96 // stride)
    assert aux == ()


def test_every_trainable_parameter_gets_a_gradient(net: EncoderDecoder) -> None:
    net.train().zero_grad()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)  # timm starts the last norm of a residual block at zero: the block is cut off
    out = net(photo(2, 64, 96))
    assert len(out.aux) == 1
    assert out.aux[0].shape == (2, CLASSES, 64 // net.encoder.strides[-2], 96 // net.encoder.strides[-2])
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
    assert whole_image(net, photo(1, 33, 45)).shape == (1, 33, 45)


def test_batch_of_one_trains(net: EncoderDecoder) -> None:
    assert net.train()(photo(1, 64, 64)).logits.isfinite().all()


def test_without_an_auxiliary_head(decoder: type) -> None:
    net = EncoderDecoder(CLASSES, TimmEncoder("test_resnet", weights=None), decoder)
    assert net.train()(photo(2, 64, 64)).aux == ()


def test_deeplab_names_the_strides_it_can_not_use() -> None:
    with pytest.raises(UserError, match=r"needs a feature of stride 4 below the last: the encoder has \[8, 16\]"):
        DeepLabV3Plus([8, 16], [8, 16])


@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilated_encoder_keeps_the_output_stride(decoder: type, output_stride: int) -> None:
    net = EncoderDecoder(CLASSES, TimmEncoder("resnet18", weights=None, output_stride=output_stride), decoder).eval()
    with torch.no_grad():
        assert net(photo(1, 64, 96)).logits.shape[-1] == 96 // (DECODERS[decoder] or 2)


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
    labels = whole_image(nn.Sequential(AsFloat(), net), image)
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
