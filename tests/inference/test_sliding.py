"""Sliding windows against logits padded to the whole image, as mmsegmentation does it, and against MONAI.

Covers: ops.blending, ops.tiles.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.inference import SlidingWindow, WholeImage
from seglight.interfaces import SegOutput, seg_output
from seglight.ops.blending import side


class Net(nn.Module):
    """Logits at a stride that look around: what a window gives near its border, the whole image doesn't."""

    def __init__(self, stride: int = 4, classes: int = 5) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Conv2d(3, 8, 9, padding=4)
        self.head = nn.Conv2d(8, classes, 3, padding=1)
        self.stride = stride
        self.seen: list[tuple[int, ...]] = []

    def forward(self, image: Tensor) -> SegOutput:
        self.seen.append(tuple(image.shape))
        assert image.dtype in (torch.uint8, torch.float32)
        x = self.body(image.float() / 255)
        size = [-(-length // self.stride) for length in image.shape[-2:]]
        return SegOutput(20 * self.head(F.relu(F.adaptive_avg_pool2d(x, size))))


def photo(height: int, width: int, count: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    coarse = 255 * torch.rand(count, 3, -(-height // 8), -(-width // 8), generator=generator)
    return F.interpolate(coarse, (height, width), mode="bilinear").to(torch.uint8)


def starts(length: int, window: int, step: int) -> list[int]:
    return sorted({min(start, length - window) for start in range(0, length, step)})


def whole_logits(net: nn.Module, image: Tensor, window: tuple[int, int], step: tuple[int, int], sigma: Any) -> Tensor:
    """float64 (C, H, W): every window's logits padded to the whole image, their weighted sum over that of weights."""
    height, width = image.shape[-2:]
    total = count = torch.zeros(())
    profiles = [
        torch.ones(n) if sigma is None else torch.exp(-(((torch.arange(n) - (n - 1) / 2) / (sigma * n)) ** 2) / 2)
        for n in window
    ]
    weight = torch.outer(*profiles).double()
    for y, x in product(*map(starts, (height, width), window, step)):
        part = image[..., y : y + window[0], x : x + window[1]]
        logits = F.interpolate(seg_output(net(part)).logits.float(), part.shape[-2:], mode="bilinear").detach().double()
        around = (x, width - x - window[1], y, height - y - window[0])
        total = total + F.pad(weight * logits, around)
        count = count + F.pad(weight, around)
    return (total / count)[0]


CASES = [
    # size, window, overlap, its step, stride of the net, sigma
    ((160, 224), 64, 0.5, 32, 4, None),
    ((160, 224), 64, 0.5, 32, 4, 0.125),
    ((224, 160), 96, 0.25, 64, 8, 0.25),
    ((160, 160), 128, 0.9, 32, 4, 0.125),
    ((128, 192), 64, 0.0, 64, 1, 0.125),
    ((128, 160), 96, 0.3, 64, 16, 0.125),
    ((128, 160), 64, 0.5, 32, 7, 0.125),
]


@pytest.mark.parametrize(("size", "window", "overlap", "step", "stride", "sigma"), CASES)
def test_equals_logits_padded_to_the_whole_image(
    size: tuple[int, int], window: int, overlap: float, step: int, stride: int, sigma: float | None
) -> None:
    net, image = Net(stride), photo(*size)
    expected = whole_logits(net, image, (window, window), (step, step), sigma)
    blending = {"blending": "uniform"} if sigma is None else {"sigma": sigma}
    inferer = SlidingWindow(window, overlap, **blending)  # type: ignore[arg-type]
    found = inferer.probabilities(net, image)
    np.testing.assert_allclose(found[0], expected.softmax(0), atol=1e-5)
    assert_labels(inferer.labels(net, image)[0], expected)


def assert_labels(labels: Tensor, logits: Tensor) -> None:
    """All but near-ties, which the order of a float32 sum decides; these are few."""
    first, second = logits.topk(2, 0).values
    clear = first - second > 1e-4
    assert clear.float().mean() > 0.999
    assert labels.dtype == (torch.uint8 if len(logits) <= 255 else torch.int32)
    assert torch.equal(labels.long()[clear], logits.argmax(0)[clear])
    assert len(labels.unique()) > 1


@pytest.mark.parametrize(("mode", "blending"), [("constant", "uniform"), ("gaussian", "gaussian")])
def test_equals_monai(mode: str, blending: Any) -> None:
    """Its Gaussian has a least weight of 1e-3, which one as wide as a quarter of the window stays above."""
    net, image = Net(), photo(288, 352)
    theirs = SlidingWindowInferer(
        (128, 128), sw_batch_size=2, overlap=0.25, mode=mode, sigma_scale=0.25, progress=False
    )
    expected: Any = theirs(
        image.float(), lambda part: F.interpolate(seg_output(net(part)).logits, part.shape[-2:], mode="bilinear")
    )
    inferer = SlidingWindow(128, 0.25, batch_size=2, blending=blending, sigma=0.25)
    np.testing.assert_allclose(inferer.probabilities(net, image), expected.detach().softmax(1), atol=1e-5)
    assert_labels(inferer.labels(net, image)[0], expected[0].detach())


@pytest.mark.parametrize("size", [(161, 130), (1, 1), (40, 300), (64, 64)])
def test_images_of_any_size_are_padded_by_their_last_pixels(size: tuple[int, int]) -> None:
    net, image = Net(), photo(*size, count=2)
    padded = F.pad(image.float(), (0, -size[1] % 32, 0, -size[0] % 32), mode="replicate")
    window = (min(64, padded.shape[-2]), min(64, padded.shape[-1]))
    inferer = SlidingWindow(64, 0.5)
    labels = inferer.labels(net, image)
    assert labels.shape == (2, *size)
    for one, found in zip(padded, labels, strict=True):
        expected = whole_logits(net, one[None], window, (32, 32), 0.125)[:, : size[0], : size[1]]
        first, second = expected.topk(2, 0).values
        clear = first - second > 1e-4
        assert torch.equal(found.long()[clear], expected.argmax(0)[clear])


def test_an_image_within_a_window_is_seen_whole() -> None:
    net, image = Net(), photo(100, 200)
    probabilities = SlidingWindow(256).probabilities(net, image)
    np.testing.assert_allclose(probabilities, WholeImage().probabilities(net, image), atol=1e-6)
    assert net.seen[0] == (1, 3, 128, 224)


def test_oblong_windows_come_in_batches() -> None:
    net, image = Net(), photo(128, 256)
    expected = whole_logits(net, image, (64, 96), (32, 64), 0.125)
    net.seen.clear()
    assert_labels(SlidingWindow((64, 96), 0.3, batch_size=3).labels(net, image)[0], expected)
    assert net.seen == [(3, 3, 64, 96), (1, 3, 64, 96)] * 3


def test_more_than_256_classes() -> None:
    net, image = Net(classes=300), photo(96, 96)
    expected = whole_logits(net, image, (64, 64), (32, 32), 0.125)
    assert_labels(SlidingWindow(64, 0.5).labels(net, image)[0], expected)


class Lines:
    """A source that draws its rows when they are asked for."""

    def __init__(self, height: int, width: int) -> None:
        self.shape = (height, width)
        self.asked: list[tuple[int, int]] = []

    def read(self, rows: slice, columns: slice) -> Any:
        assert columns == slice(0, self.shape[1])
        self.asked.append((rows.start, rows.stop))
        y, x = np.mgrid[rows, columns]
        return np.stack([y * 7 % 256, x * 5 % 256, (x + y) % 256], 2).astype(np.uint8)


def test_a_source_is_read_row_by_row_of_windows_and_gives_the_labels_of_a_tensor() -> None:
    source, net, inferer = Lines(330, 100), Net(), SlidingWindow(64, 0.5)
    bands: Iterator[tuple[int, Tensor]] = inferer.rows(net, source)
    parts = [next(bands)]
    assert source.asked == [(0, 64)]
    parts += bands
    assert source.asked == [(top, min(top + 64, 330)) for top in range(0, 320, 32)]
    tops = [top for top, _ in parts]
    assert tops == np.cumsum([0, *(len(band) for _, band in parts[:-1])]).tolist()
    image = torch.from_numpy(Lines(330, 100).read(slice(0, 330), slice(0, 100))).permute(2, 0, 1)
    assert torch.equal(torch.cat([band for _, band in parts]), inferer.labels(net, image[None])[0])


def test_keeps_no_graph_and_leaves_the_callers_mode_alone() -> None:
    grads = []
    net = Net()
    net.head.register_forward_hook(lambda module, inputs, out: grads.append(out.requires_grad))
    for _ in SlidingWindow(32).rows(net, photo(64, 32)[0]):
        assert torch.is_grad_enabled()
    assert set(grads) == {False}


def test_autocast_does_not_coarsen_the_mean() -> None:
    net, image = Net(), photo(96, 96)
    with torch.autocast("cpu", torch.bfloat16):
        probabilities = SlidingWindow(64, 0.5).probabilities(net, image)
        expected = whole_logits(net, image, (64, 64), (32, 32), 0.125)
    np.testing.assert_allclose(probabilities[0], expected.softmax(0), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"window": 500}, "inferer.window is 500"),
        ({"window": (512, 0)}, "multiple of 32"),
        ({"window": (64,)}, r"inferer.window is \(64,\): .*or two of them"),
        ({"window": (64, 64, 64)}, "inferer.window is .64, 64, 64.: .*or two of them"),
        ({"window": 64.0}, "inferer.window is 64.0: .*as integers"),
        ({"window": (64, 64.0)}, "inferer.window is .64, 64.0.: .*as integers"),
        ({"window": "64"}, "inferer.window is '64'"),
        ({"window": None}, "inferer.window is None"),
        ({"blending": "Gaussian"}, 'inferer.blending is \'Gaussian\': .*"gaussian" or "uniform"'),
        ({"blending": None}, "inferer.blending"),
        ({"overlap": 1.0}, "inferer.overlap is 1"),
        ({"batch_size": 0}, "inferer.batch_size"),
        ({"batch_size": 1.5}, "inferer.batch_size"),
        ({"sigma": 0.0}, "inferer.sigma"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        SlidingWindow(**arguments)


def test_a_narrow_gaussian_leaves_no_pixel_without_weight() -> None:
    """Its tails are 0 in float64, too: a mean of 0 / 0."""
    windows = side(128, 64, 32, 0.005)
    total = torch.zeros(128)
    for start, weights in zip(windows.starts, windows.weights, strict=True):
        total[start : start + 64] += weights
    torch.testing.assert_close(total, torch.ones(128))
    assert windows.weights[1, 31] == 1, "the middle of a window is its own"
