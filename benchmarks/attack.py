"""SEA, three attacks on each image: ours, in bands of logits, against the published code's way at full resolution.

Both sides attack the same net on the same images from the same random starts. Before anything is timed, the mean
accuracy under attack, of each image under the worst of the three, is compared over a part of at most 96x128 pixels of
each image: ours may not be above theirs by more than 0.005. Steps by the sign of a gradient amplify each rounding, so
that a single image may differ by 0.1, and 48 images by 0.002. One batch of whole images is timed. Without `--ckpt` a
small training on drawn scenes makes a net that can be attacked.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import _attack_peer, _street
from benchmarks._table import DEVICE, Row, measure, parser_of
from seglight.checkpoints.checkpoint import load_net
from seglight.data import CamVidDataModule
from seglight.inference import WholeImage
from seglight.interfaces import seg_output
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from seglight.ops.sizes import DIVISOR
from seglight.robustness import SEA
from seglight.robustness.attacks.ball import Ball

CLASSES = 11
IGNORE = 255
MARGIN = 0.005
"""Accuracy under attack that ours may be above theirs."""

PART = (96, 128)
"""Height and width of the part of an image whose accuracy is compared."""


class Case:
    """What both sides attack: a file of images, masks and class weights, and a net.

    Args:
        file: Images, masks and weights, as `written` makes them.
        net: Checkpoint of seglight, or a state dict of `small_net`.
        radius: Radius of the attacks.
        steps: Steps of each of the three attacks.
        batch: Number of images that are attacked together.
        scored: Whether the peer computes the mean IoU at each step, as the published code does.
    """

    def __init__(self, file: Path, net: Path, radius: float, steps: int, batch: int, scored: bool) -> None:
        self.file = file
        self.net = net
        self.radius = radius
        self.steps = steps
        self.batch = batch
        self.scored = scored

    def load(self) -> tuple[nn.Module, Tensor, Tensor, list[float]]:
        """Net, images uint8 (B, 3, H, W), masks uint8 (B, H, W) and class weights."""
        with np.load(self.file) as content:
            image, mask = (torch.from_numpy(content[name]) for name in ("image", "mask"))
            weights = content["weights"].tolist()
        if self.net.suffix == ".pt":
            net: nn.Module = small_net()
            net.load_state_dict(torch.load(self.net, weights_only=True))
            net.to(memory_format=torch.channels_last)
        else:
            net, _ = load_net(self.net)
        image = image.contiguous(memory_format=torch.channels_last)
        return net.eval().to(DEVICE), image.to(DEVICE), mask.to(DEVICE), weights


def small_net() -> EncoderDecoder:
    """The net that is trained without `--ckpt`."""
    torch.manual_seed(0)
    decoder: Any = partial(FPN, pyramid_channels=64, channels=64)
    return EncoderDecoder(CLASSES, TimmEncoder("tf_efficientnet_lite0", weights="random"), decoder)


class Step:
    """A step: the first call attacks a part of each image, and returns what is compared; others attack one batch.

    Args:
        image: uint8 (B, 3, H, W).
        mask: uint8 (B, H, W).
        batch: Number of images that are attacked together.
        accuracy: Function of some images, their masks and their numbers that attacks them and returns the accuracy of
            each (B,).
    """

    def __init__(
        self, image: Tensor, mask: Tensor, batch: int, accuracy: Callable[[Tensor, Tensor, range], Tensor]
    ) -> None:
        self.image = image
        self.mask = mask
        self.batch = batch
        self.accuracy = accuracy
        self.compared = False

    def __call__(self) -> float:
        """Attack, and return the mean accuracy."""
        if self.compared:
            image, mask = self.image[: self.batch], self.mask[: self.batch]
            return float(self.accuracy(image, mask, range(len(image))).mean())
        self.compared = True
        numbers = range(len(self.image))
        parts = [part(self.image[k], self.mask[k], k) for k in numbers]
        images, masks = (torch.stack(list(some)) for some in zip(*parts, strict=True))
        ranges = [numbers[first : first + self.batch] for first in numbers[:: self.batch]]
        found = [self.accuracy(images[some.start : some.stop], masks[some.start : some.stop], some) for some in ranges]
        return float(torch.cat(found).mean())


def part(image: Tensor, mask: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Return a part of an image (3, H, W) and of its mask (H, W), at another place for each number."""
    height, width = (min(most, side) for most, side in zip(PART, mask.shape, strict=True))
    top = 60 * number % (mask.shape[0] - height + 1)
    left = 90 * number % (mask.shape[1] - width + 1)
    rows, columns = slice(top, top + height), slice(left, left + width)
    return image[:, rows, columns], mask[rows, columns]


def ours(case: Case) -> Step:
    """Return a step with `seglight.robustness.SEA`."""
    net, image, mask, weights = case.load()
    attack = SEA(case.radius, case.steps, IGNORE, class_weights=weights)

    def accuracy(image: Tensor, mask: Tensor, numbers: range) -> Tensor:
        candidates = attack.candidates(net, image, mask, numbers)
        return _accuracy([WholeImage().labels(net, one) for one in candidates], mask)

    return Step(image, mask, case.batch, accuracy)


class _Normalised(nn.Module):
    """The net without its own normalisation."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        net: Any = self.net
        return seg_output(net.scored(net.encoder.net(image))).logits


def peer(case: Case) -> Step:
    """Return a step with the published code's way."""
    net, image, mask, weights = case.load()
    encoder: Any = net.encoder
    model = _attack_peer.FullSize(_Normalised(net), encoder.mean / 255, encoder.std / 255, DIVISOR).to(DEVICE)
    of_class = torch.tensor(weights, device=DEVICE)

    def accuracy(image: Tensor, mask: Tensor, numbers: range) -> Tensor:
        pixels = image.float() / 255
        labels = mask.long()
        labels[mask == IGNORE] = -1
        noise = [Ball(torch.zeros_like(pixels) + 1, 1, "linf").start(numbers, draw) - 1 for draw in range(3)]
        given = (pixels, labels, case.radius, case.steps, of_class, noise, case.scored)
        return _accuracy(_attack_peer.sea(model, *given), mask)

    return Step(image, mask, case.batch, accuracy)


def _accuracy(under_attack: list[Tensor], mask: Tensor) -> Tensor:
    """Share of the right pixels of each image, (B,), under the worst of the attacks."""
    valid = (mask != IGNORE).flatten(1)
    right = torch.stack([((labels == mask).flatten(1) & valid).sum(1) for labels in under_attack])
    return right.amin(0) / valid.sum(1)


def check(ours: float, peer: float) -> None:
    """Compare the accuracies under attack."""
    print(f"accuracy under attack: ours {ours:.4f}, peer {peer:.4f}", flush=True)
    assert ours <= peer + MARGIN, f"accuracy under attack: ours {ours}, peer {peer}"


def _scenes(number: int, size: tuple[int, int]) -> Iterator[tuple[Any, Any]]:
    for seed in range(number):
        yield _street.scene(seed, *size, CLASSES, 1.8)


def _camvid(root: str, number: int) -> Iterator[tuple[Any, Any]]:
    split = CamVidDataModule(root, num_workers=0).split("val")
    for index in np.linspace(0, len(split) - 1, number).round().astype(int):
        image, mask, _ = split.read(int(index))
        yield image, mask


def written(samples: Iterator[tuple[Any, Any]], folder: Path) -> Path:
    """Write images, masks, and the inverse numbers of pixels of the classes."""
    images, masks = zip(*samples, strict=True)
    pixels = np.bincount(np.concatenate([mask.ravel() for mask in masks]), minlength=256)[:CLASSES]
    path = folder / "images.npz"
    np.savez(
        path, image=np.stack(images).transpose(0, 3, 1, 2), mask=np.stack(masks), weights=1 / np.maximum(1, pixels)
    )
    return path


def trained(folder: Path, size: tuple[int, int], steps: int) -> Path:
    """Train the small net on drawn scenes, and write its weights."""
    net = small_net().train()
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3)
    seeds = range(10_000, 10_000 + 4 * steps + 1, 4)
    for first, last in islice(pairwise(seeds), steps):
        drawn = [_street.scene(seed, *size, CLASSES, 1.8) for seed in range(first, last)]
        image = torch.from_numpy(np.stack([image for image, _ in drawn]).transpose(0, 3, 1, 2))
        mask = torch.from_numpy(np.stack([mask for _, mask in drawn])).long()
        logits = F.interpolate(net(image).logits, mask.shape[-2:], mode="bilinear", align_corners=False)
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(logits, mask))
        optimizer.step()
    path = folder / "net.pt"
    torch.save(net.state_dict(), path)
    return path


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("attack", __doc__, rounds=5)
    parser.add_argument("--ckpt", type=Path, help="checkpoint of a net of an encoder, a decoder and a head for CamVid")
    parser.add_argument("--root", help="CamVid, whose validation images are attacked; default: drawn scenes")
    parser.add_argument("--images", type=int, default=48, help="number of images whose accuracy is compared")
    parser.add_argument("--batch", type=int, default=4, help="number of images that both sides attack together")
    parser.add_argument("--steps", type=int, default=20, help="steps of each of the three attacks")
    parser.add_argument("--radii", type=float, nargs="+", default=[1, 4], help="radii in grey levels")
    parser.add_argument("--train_steps", type=int, default=60, help="steps of the training without --ckpt")
    parser.add_argument("--scale", type=int, default=1, help="divisor of height and width, for a quick trial")
    options = parser.parse_args(args)
    size = (math.ceil(360 / options.scale), math.ceil(480 / options.scale))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        samples = _camvid(options.root, options.images) if options.root else _scenes(options.images, size)
        file = written(samples, folder)
        net = options.ckpt or trained(folder, size, options.train_steps)
        rows = {
            f"SEA at {radius:g}/255, {options.steps} steps{name}": Row(
                ours, peer, (Case(file, net, radius / 255, options.steps, options.batch, scored),), check
            )
            for radius in options.radii
            for name, scored in (("", True), (", peer without scores", False))
        }
        measure(rows, options)
