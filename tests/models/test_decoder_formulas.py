"""Decoders that no peer has, against their papers' formulas.

Covers: models.decoders.fcn, models.decoders.ocr, models.decoders.reseg.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from seglight.models.decoders import FCN, OCR, ReSeg
from seglight.models.decoders.reseg import ReNetLayer

Array = NDArray[np.float64]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def bilinear(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


@pytest.mark.parametrize(("stride", "skips"), [(8, 2), (16, 1), (32, 0)])
@torch.no_grad()
def test_fcn_can_be_any_sum_of_class_scores(stride: int, skips: int) -> None:
    """arXiv 1411.4038, section 4.2: score the coarsest, upsample, add the score of the next finer, and so on."""
    classes, channels = 7, 12
    decoder, head = FCN([6, 8, 10], [8, 16, 32], stride, channels).eval(), nn.Conv2d(channels, classes, 1)
    fine, middle, coarse = maps = [torch.randn(2, c, *s) for c, s in ((6, (9, 13)), (8, (5, 7)), (10, (3, 4)))]
    score_fine, score_middle = torch.randn(classes, 6, 1, 1), torch.randn(classes, 8, 1, 1)
    for conv, score in zip(reversed(decoder.skips), [score_middle, score_fine][:skips], strict=True):
        # the linear map that the head turns into these scores
        conv.weight.copy_((torch.linalg.pinv(head.weight[..., 0, 0]) @ score[..., 0, 0])[..., None, None])
    scores = head(decoder.coarse(coarse))
    if skips > 0:
        scores = bilinear(scores, middle) + F.conv2d(middle, score_middle)
    if skips > 1:
        scores = bilinear(scores, fine) + F.conv2d(fine, score_fine)
    torch.testing.assert_close(head(decoder(maps)), scores, rtol=1e-4, atol=1e-4)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max())
    return e / e.sum()


def norm_relu(block: nn.Sequential, x: Array) -> Array:
    """1x1 convolution, norm in evaluation, ReLU, of rows of channels."""
    weight, norm = block[0].weight[..., 0, 0].numpy(), block[1]
    y = (x @ weight.T - norm.running_mean.numpy()) / np.sqrt(norm.running_var.numpy() + norm.eps)
    return np.maximum(y * norm.weight.numpy() + norm.bias.numpy(), 0)


@torch.no_grad()
def test_ocr_pixel_by_pixel() -> None:
    """arXiv 1909.11065, section 3.2: equations 1 to 4, with loops over pixels and classes."""
    classes, height, width = 3, 4, 5
    decoder = OCR([6], [8], channels=8, key_channels=4).eval()
    for layer in decoder.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_var, 0.1, 0.5)
            nn.init.normal_(layer.bias)
    feature, scores = torch.randn(1, 6, height, width), 2 * torch.randn(1, classes, height, width)
    pixels = decoder.pixel(feature)[0].flatten(1).T.double().numpy()
    logits = scores[0].flatten(1).double().numpy()
    regions = np.array([sum(m * x for m, x in zip(softmax(logits[k]), pixels, strict=True)) for k in range(classes)])
    out = []
    for x in pixels:
        query = norm_relu(decoder.query, x)
        relation = softmax(np.array([query @ norm_relu(decoder.key, f) for f in regions]) / np.sqrt(4))
        context = sum(w * norm_relu(decoder.value, f) for w, f in zip(relation, regions, strict=True))
        out.append(norm_relu(decoder.augment, np.concatenate([norm_relu(decoder.context, context), x])))
    expected = np.array(out).T.reshape(1, 8, height, width)
    assert expected.std() > 0.05
    np.testing.assert_allclose(decoder([feature], scores).numpy(), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_ocr_takes_scores_of_another_size() -> None:
    decoder = OCR([6], [16], channels=8, key_channels=4).eval()
    feature, scores = torch.randn(1, 6, 4, 5), torch.randn(1, 3, 7, 9)
    torch.testing.assert_close(decoder([feature], scores), decoder([feature], bilinear(scores, feature)))


def gru(weights: dict[str, Array], steps: list[Array]) -> list[Array]:
    """A GRU over a list of vectors, gate by gate."""

    def sigmoid(x: Array) -> Array:
        return 1 / (1 + np.exp(-x))

    state = np.zeros(weights["hh"].shape[1])
    states = []
    for x in steps:
        ir, iz, i_n = np.split(weights["ih"] @ x + weights["b_ih"], 3)
        hr, hz, hn = np.split(weights["hh"] @ state + weights["b_hh"], 3)
        reset, update = sigmoid(ir + hr), sigmoid(iz + hz)
        state = (1 - update) * np.tanh(i_n + reset * hn) + update * state
        states.append(state)
    return states


def both_ways(module: nn.GRU, steps: list[Array]) -> Array:
    parts = []
    for way in ("", "_reverse"):
        names = {"ih": "weight_ih", "hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}
        weights = {key: getattr(module, f"{name}_l0{way}").double().numpy() for key, name in names.items()}
        parts.append(gru(weights, steps[::-1])[::-1] if way else gru(weights, steps))
    return np.concatenate([np.array(part) for part in parts], 1)


@pytest.mark.parametrize("patch", [1, 2])
@torch.no_grad()
def test_renet_layer_sweep_by_sweep(patch: int) -> None:
    """arXiv 1511.07053, section 3.1: patches, GRUs down and up each column, then along each row of what they gave."""
    layer = ReNetLayer(3, 4, patch)
    image = torch.randn(2, 3, 5, 7)
    rows, columns = -(-5 // patch), -(-7 // patch)
    padded = np.zeros((2, 3, rows * patch, columns * patch))
    padded[:, :, :5, :7] = image.numpy()
    expected = np.zeros((2, 8, rows, columns))
    for b in range(2):
        cells = [
            [padded[b, :, i * patch : (i + 1) * patch, j * patch : (j + 1) * patch].ravel() for j in range(columns)]
            for i in range(rows)
        ]
        vertical = [both_ways(layer.columns, [cells[i][j] for i in range(rows)]) for j in range(columns)]
        for i in range(rows):
            expected[b, :, i] = both_ways(layer.rows, [vertical[j][i] for j in range(columns)]).T
    np.testing.assert_allclose(layer(image).numpy(), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_reseg_sees_the_whole_image_from_everywhere() -> None:
    decoder = ReSeg([4, 6], [4, 8], hidden=(5, 5), channels=(5, 4)).eval()
    features = [torch.zeros(1, 4, 17, 25), torch.randn(1, 6, 9, 13)]
    before = decoder(features)
    assert before.shape == (1, 4, 17, 25)
    features[1][..., 0, 0] += 1
    changed = (decoder(features) != before).any(1)[0]
    assert changed[-1, -1]
    assert changed.float().mean() > 0.9
