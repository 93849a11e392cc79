"""PointRend's points, values and gradients, against the paper's steps in a few lines."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.errors import UserError
from seglight.losses import CrossEntropy
from seglight.models import EncoderDecoder, PointRend, TimmEncoder
from seglight.models.decoders import FPN
from seglight.models.pointrend import PointHead
from tests.support.decoders import DECODERS

CLASSES = 5


def make(**options: object) -> PointRend:
    torch.manual_seed(0)
    decoder = partial(FPN, pyramid_channels=16, channels=16, dropout=0.0)
    return PointRend(CLASSES, TimmEncoder("test_resnet", None), decoder, channels=16, **options)


def photo(height: int = 64, width: int = 96) -> Tensor:
    return torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_a_point_is_read_where_it_lies() -> None:
    """On maps that hold their own coordinates, a point head that copies gives the place of each point."""
    head = PointHead(2, 2, 2)
    for layer in (*head.hidden, head.predict):
        layer.weight.zero_()
        layer.weight[:2, :2, 0] = torch.eye(2)
        layer.bias.zero_()
    # a map of half the size holds, at its pixels' centres, the coordinates in pixels of the whole one
    y, x = torch.meshgrid(2 * torch.arange(4) + 0.5, 2 * torch.arange(6) + 0.5, indexing="ij")
    fine = torch.stack([x, y])[None]
    points = torch.tensor([[1 + 12 * 1, 5 + 12 * 3, 9 + 12 * 6]])
    got = head(fine, torch.zeros(1, 2, 4, 6), points, 12, 8)[0]
    torch.testing.assert_close(got, torch.tensor([[1.0, 5, 9], [1, 3, 6]]))


@torch.no_grad()
def test_subdivision_step_by_step() -> None:
    net = make(steps=2, eval_points=50).eval()
    image = photo()
    features = net.encoder(image)
    coarse = logits = EncoderDecoder.scored(net, features).logits
    for _ in range(2):
        logits = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
        batch, _, height, width = logits.shape
        for b in range(batch):
            top = logits[b].flatten(1).sort(0, descending=True).values
            chosen = (top[0] - top[1]).argsort()[:50]
            y, x = chosen // width, chosen % width
            place = torch.stack([(x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1], 1)[None, None]
            fine, scores = (
                F.grid_sample(m[b : b + 1], place, padding_mode="border", align_corners=False)[:, :, 0]
                for m in (features[0], coarse)
            )
            hidden = fine
            for layer in net.point_head.hidden:
                hidden = layer(torch.cat([hidden, scores], 1)).relu()
            logits[b].flatten(1)[:, chosen] = net.point_head.predict(torch.cat([hidden, scores], 1))[0]
    assert net(image).logits.shape == (2, CLASSES, 64, 96)
    torch.testing.assert_close(net(image).logits, logits, rtol=1e-4, atol=1e-4)


def test_training_gives_the_coarse_map_and_one_with_points() -> None:
    net = make(points=40, aux_index=-2).train()
    logits, aux = net(photo())
    assert logits.shape == (2, CLASSES, 16, 24)
    assert [x.shape[-2:] for x in aux] == [(32, 48), (4, 6)]
    plain = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
    changed = (aux[0] != plain).any(1).flatten(1)
    assert (changed.sum(1) <= 40).all()
    assert (changed.sum(1) > 20).all()
    # most of them lie where two classes are close
    first, second = plain.topk(2, dim=1).values.flatten(2).unbind(1)
    margin = first - second
    assert margin[changed].mean() < 0.7 * margin[~changed].mean()


def test_gradient_is_that_of_a_mean_over_the_points() -> None:
    net = make(points=40).train()
    mask = torch.randint(0, CLASSES, (2, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    seen = []

    def look(module: PointHead, args: tuple[Tensor, ...], logits: Tensor) -> None:
        logits.retain_grad()
        seen.append((args[2], logits))

    net.point_head.register_forward_hook(look)
    CrossEntropy(255)(net(photo()).aux[0], mask).backward()
    ((points, logits),) = seen
    for b in range(2):
        labels = mask[b].flatten()[points[b]].long()
        wanted = (logits[b].T.softmax(1) - F.one_hot(labels, CLASSES)) / (2 * 40)
        once = (points[b][:, None] == points[b]).sum(1) == 1  # of points drawn twice one stands in the map
        assert once.sum() > 20
        torch.testing.assert_close(logits.grad[b].T[once], wanted[once], rtol=1e-3, atol=1e-6)


def test_every_parameter_gets_a_gradient_and_the_encoder_through_the_points() -> None:
    net = make(points=64).train()
    out = net(photo())
    out.aux[0].square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.point_head.parameters())
    assert net.encoder.net.conv1[0].weight.grad.any()


@pytest.mark.parametrize("size", [(65, 97), (33, 45)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert make().eval()(photo(*size)).logits.isfinite().all()


@pytest.mark.parametrize("decoder", sorted(DECODERS))
def test_over_any_decoder(decoder: str) -> None:
    """A doubled map of which at most the asked number of points are others, and a gradient for what predicts these."""
    torch.manual_seed(0)
    options = {"aux_index": -2, "channels": 8, "steps": 1, "points": 20, "eval_points": 30}
    net = PointRend(CLASSES, TimmEncoder("test_resnet", None), DECODERS[decoder][0], **options).eval()
    image = photo(65, 97)
    with torch.no_grad():
        coarse = EncoderDecoder.scored(net, net.encoder(image)).logits
        plain = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        changed = (net(image).logits != plain).any(1).flatten(1).sum(1)
    assert (changed > 0).all()
    assert (changed <= 30).all()
    out = net.train()(image)
    assert len(out.aux) == 2
    sum(x.square().mean() for x in (out.logits, *out.aux)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name


@pytest.mark.slow
def test_export() -> None:
    net, image = make(eval_points=64).eval(), photo()
    with torch.no_grad():
        program = torch.export.export(net, (image,)).module()
        torch.testing.assert_close(program(image).logits, net(image).logits, rtol=1e-4, atol=1e-4)


def test_one_class_has_no_uncertain_points() -> None:
    with pytest.raises(UserError, match=r"PointRend of 1 class: .* at least 2 classes, or take EncoderDecoder$"):
        PointRend(1, TimmEncoder("test_resnet", None), partial(FPN, pyramid_channels=16, channels=16))
