"""Steps of two threads on idle cores and with one busy process on the same cores, of seglight and of its peers.

An OpenMP thread that waits for another one spins by default. If another process is busy, it thereby occupies the core
that the other thread needs. `seglight` lets its threads sleep sooner (`seglight.system.threads`). Each row is timed
in three processes: ours with the environment of `seglight`, ours with OpenMP's defaults, and the peer with OpenMP's
defaults, as its users run it. Results are compared first. Then the three alternate, first on idle cores, then while
another process runs an endless loop. The rows of losses and metrics are those of `loss` and `metric`. The step of
the CamVid recipe consists of the encoder, the decoder, the loss and the optimizer of
`configs/camvid/fpn_efficientnet_lite0.yaml` on a batch in memory. Its peer is segmentation_models.pytorch's FPN with
the same layers and weights, and the losses of that library. Both decoders use group normalisation here.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import loss, metric
from benchmarks._pair import Side
from benchmarks._record import write_record
from benchmarks._table import Row, parser_of
from seglight.interfaces import LossFactory
from seglight.losses import CrossEntropy, Dice, WeightedSum
from seglight.models import EncoderDecoder, TimmEncoder, import_weights
from seglight.models.decoders import FPN
from seglight.system.threads import SPINS

CLASSES = 11
WEIGHTS = (0.34, 0.29, 4.0, 0.25, 0.66, 0.45, 1.30, 1.33, 0.58, 1.76, 2.61)
ENCODER = "tf_efficientnet_lite0"
SIDES = {"ours": {"GOMP_SPINCOUNT": SPINS}, "ours, OpenMP's defaults": {}, "peer": {}}
"""Environment variables of each process."""


def batch(size: int, images: int) -> tuple[Tensor, Tensor]:
    """Return uint8 images in channels_last and uint8 labels."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (images, 3, size, size), generator=generator, dtype=torch.uint8)
    mask = torch.randint(0, CLASSES, (images, size, size), generator=generator, dtype=torch.uint8)
    return image.contiguous(memory_format=torch.channels_last), mask


def peers_net() -> Any:
    """Return segmentation_models.pytorch's FPN with the recipe's sizes and the same random weights in each call."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    widths = {"decoder_pyramid_channels": 128, "decoder_segmentation_channels": 64}
    return smp.FPN(f"tu-{ENCODER}", encoder_weights=None, classes=CLASSES, decoder_dropout=0.0, **widths)


def our_step(size: int, images: int) -> Callable[[], Tensor]:
    """Return a step with net, loss and optimizer of the recipe."""
    decoder = lambda channels, strides: FPN(channels, strides, 128, 64, groups=32)  # noqa: E731
    net = EncoderDecoder(CLASSES, TimmEncoder(ENCODER, None), decoder).train()
    with TemporaryDirectory() as folder:
        torch.save(peers_net().state_dict(), Path(folder) / "theirs.pth")
        import_weights(net, Path(folder) / "theirs.pth")
    net.to(memory_format=torch.channels_last)
    losses: list[LossFactory] = [lambda ignore: CrossEntropy(ignore, class_weights=WEIGHTS), Dice]
    loss_of = WeightedSum(255, losses, (1.0, 1.0))
    image, mask = batch(size, images)
    return _training(net, lambda: net(image).logits, lambda: loss_of(net(image).logits, mask))


def peers_step(size: int, images: int) -> Callable[[], Tensor]:
    """Return the same step with segmentation_models.pytorch and torch."""
    import segmentation_models_pytorch as smp

    net = peers_net().to(memory_format=torch.channels_last)
    image, mask = batch(size, images)
    labels, dice = mask.long(), smp.losses.DiceLoss("multiclass", ignore_index=255)

    def loss_of() -> Tensor:
        logits = net(image / 127.5 - 1)
        total: Tensor = F.cross_entropy(logits, labels, torch.tensor(WEIGHTS), ignore_index=255) + dice(logits, labels)
        return total

    def head_logits() -> Tensor:
        found: Tensor = net.segmentation_head[0](net.decoder(net.encoder(image / 127.5 - 1)))
        return found

    return _training(net, head_logits, loss_of)


def _training(net: Any, logits: Callable[[], Tensor], loss_of: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Return a training step, which returns the logits of the net before its first step."""
    net.eval()
    with torch.no_grad():
        before = logits()
    net.train()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss_of().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return before

    return step


def alike(ours: Any, peer: Any) -> None:
    """Compare logits; the peer upsamples with aligned corners, so that they are similar but not equal, as in `nets`."""
    apart = np.abs(ours - peer).mean() / peer.std()
    assert apart < 0.3, f"logits differ by {apart:.2g} of their standard deviation"


@contextmanager
def busy(process: bool) -> Iterator[None]:
    """Run an endless loop in another process if `process` is true."""
    if not process:
        yield
        return
    counting = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        counting.kill()
        counting.wait()


def seconds(row: Row, sides: dict[str, Side], threads: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the median seconds per step of each side, on idle cores and with a busy process."""
    for name, side in sides.items():
        side.ask("make", row.peer if name == "peer" else row.ours, row.args, threads)
    ours, defaults, peer = (side.ask("result") for side in sides.values())
    row.check(ours, peer)
    for waiting, spinning in zip(_listed(ours), _listed(defaults), strict=True):
        np.testing.assert_array_equal(waiting, spinning)
    found = {}
    for load in ("idle", "busy"):
        with busy(load == "busy"):
            turns = [[side.ask("time") for side in sides.values()] for _ in range(rounds)]
        found[load] = dict(zip(sides, map(statistics.median, zip(*turns, strict=True)), strict=True))
    return found


def _listed(result: Any) -> list[Any]:
    return [*result] if isinstance(result, tuple) else [result]


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("contention", __doc__, rounds=9)
    parser.set_defaults(threads=[min(2, os.cpu_count() or 1)])
    parser.add_argument("--scale", type=int, default=1, help="divisor of all lengths, for a quick trial")
    options = parser.parse_args(args)
    if {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        parser.error("OMP_WAIT_POLICY and GOMP_SPINCOUNT must not be set: each side has its own settings")
    rows = {"step of the CamVid recipe": Row(our_step, peers_step, (320 // options.scale, 8), alike)}
    for name in ("C=19 128x256->512x1024", "C=11 72->288 batch 8"):
        (batch, classes, *small), large = loss.CASES[name]
        case = (batch, classes, *(side // options.scale for side in small)), tuple(s // options.scale for s in large)
        rows[f"loss {name}"] = Row(loss.ours, loss.peer, (case, "cpu"), loss.check)
    size = (1024 // options.scale, 2048 // options.scale)
    labels = (size, torch.uint8, {"validate_args": False}, "cpu")
    rows["metric, labels uint8"] = Row(metric.ours_from_labels, metric.peer_from_labels, labels, metric.check)
    logits = (size, True, "cpu")
    rows["metric, logits"] = Row(metric.ours_from_logits, metric.peer_from_logits, logits, metric.check)
    sides = {name: Side(environment) for name, environment in SIDES.items()}
    results = {}
    try:
        for threads in options.threads:
            for name, row in rows.items():
                found = seconds(row, sides, threads, options.rounds)
                results[f"{name}, threads {threads}"] = found
                print(f"{name}, {threads} threads")
                for side in SIDES:
                    idle, loaded = found["idle"][side], found["busy"][side]
                    print(f"  {side:24} idle {1e3 * idle:9.2f} ms   busy {1e3 * loaded:9.2f} ms   x{loaded / idle:.2f}")
    finally:
        for process in sides.values():
            process.end()
    write_record(options, results)
