"""Samples per second of training loaders: seglight with and without its cache, torchvision's classes, albumentations.

Two workers, batches of 8, scale 0.5 to 2, flip, photometric. (a) 2048x1024 PNG in Cityscapes' layout, crop 512x1024;
(b) 500x375 JPEG in VOC's layout, crop 512; (c) 480x360 PNG in CamVid's layout, crop 288 (the real data set if its
folder is given). The data are on disk; before a cold epoch (the first one of new workers) they are dropped from the
page cache. Before anything is timed, a Kolmogorov-Smirnov test checks that the crops of all loaders have the same
distribution of scale and position.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import v2

from benchmarks import _street
from benchmarks._loader_peers import (
    BATCH,
    JITTER,
    SCALE,
    WORKERS,
    Case,
    albumentations_loader,
    geometry_albumentations,
    geometry_v2,
    torchvision_loader,
)
from benchmarks._record import Parser, write_record
from seglight.commands.cache import cache
from seglight.data import Augmentation, CamVidDataModule, CityscapesDataModule, SegmentationDataModule, VOCDataModule

MODULES = {"cityscapes": CityscapesDataModule, "voc": VOCDataModule, "camvid": CamVidDataModule}
ALPHA = 1e-3
"""Level of each test of the crops' distribution; the seeds are fixed, so that the result is reproducible."""


def datamodule(case: Case, cached: Path | None = None) -> SegmentationDataModule:
    """Return seglight's data module, set up for training."""
    made: SegmentationDataModule = MODULES[case.layout](
        str(case.root),
        Augmentation(case.crop, SCALE, photometric=JITTER[0]),
        batch_size=BATCH,
        num_workers=WORKERS,
        cache=None if cached is None else str(cached),
    )
    made.setup("fit")
    return made


def crop_facts(pixels: NDArray[np.float32], mask: NDArray[Any]) -> tuple[float, ...]:
    """Return scale, centre (y, x) and labelled fraction of a crop; the image's channels are each pixel's x and y."""
    rows, columns = (np.flatnonzero((mask != 255).any(axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0] + 2, rows[-1] - 2, columns[0] + 2, columns[-1] - 2
    x, y = pixels[(top + bottom) // 2, :, 0], pixels[:, (left + right) // 2, 1]
    step = (y[bottom] - y[top]) / (bottom - top)
    across = (x[right] - x[left]) / (right - left)
    center = y[top] + (len(y) / 2 - top) * step, x[left] + (len(x) / 2 - left) * across
    return 1 / step, *map(float, center), float((mask != 255).mean())


def crops(case: Case, draws: int) -> dict[str, NDArray[np.float64]]:
    """Return `crop_facts` of many crops of an image of coordinates, by loader: (draws, 4)."""
    grid = np.zeros((*case.size, 3), np.float32)
    grid[..., 1], grid[..., 0] = np.meshgrid(*(np.arange(side) for side in case.size), indexing="ij")
    mask = np.zeros(case.size, np.uint8)
    ours = Augmentation(case.crop, SCALE, photometric=0)
    composed = A.Compose(geometry_albumentations(case), seed=0)
    torch.manual_seed(0)
    steps = v2.Compose(geometry_v2(case))
    image_v2, mask_v2 = tv_tensors.Image(torch.from_numpy(grid).permute(2, 0, 1)), tv_tensors.Mask(mask)
    facts: dict[str, list[tuple[float, ...]]] = {"seglight": [], "torchvision": [], "albumentations": []}
    for index in range(draws):
        facts["seglight"].append(crop_facts(*ours(grid, mask, (0, 0, index))))
        out = composed(image=grid, mask=mask)
        facts["albumentations"].append(crop_facts(out["image"], out["mask"]))
        pixels, labels = steps(image_v2, mask_v2)
        facts["torchvision"].append(crop_facts(pixels.permute(1, 2, 0).numpy(), labels.numpy()))
    return {name: np.array(rows) for name, rows in facts.items()}


def quarter(case: Case) -> Case:
    """Divide all lengths by four: the distribution of crops is the same, and they are faster to draw."""
    size, crop = ((height // 4, width // 4) for height, width in (case.size, case.crop))
    return Case(case.layout, case.root, size, crop)


def check_distribution(case: Case, draws: int) -> dict[str, list[float]]:
    """Return the p values of scale, y, x and labelled fraction against each peer.

    Raises:
        AssertionError: If a value is below ALPHA: the crops differ, and the times would compare different work.
    """
    facts = crops(case, draws)
    ours = facts.pop("seglight")
    values = {name: [ks_2samp(ours[:, k], rows[:, k]).pvalue for k in range(4)] for name, rows in facts.items()}
    assert min(min(row) for row in values.values()) > ALPHA, values
    return {name: [round(float(value), 3) for value in row] for name, row in values.items()}


def epoch(loader: DataLoader[Any]) -> tuple[float, int]:
    """Return the samples per second of one epoch, and the bytes of a sample's image and mask in the trainer."""
    start, samples, size = time.perf_counter(), 0, 0
    for batch in loader:
        image, mask = (batch["image"], batch["mask"]) if isinstance(batch, dict) else batch
        samples += len(image)
        size = (image.nbytes + mask.nbytes) // len(image)
    return samples / (time.perf_counter() - start), size


def evict(*folders: Path) -> None:
    """Drop the files of folders from the page cache."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(case: Case, rounds: int, scratch: Path) -> dict[str, Any]:
    """Return medians over rounds in which the loaders alternate, each with a cold and a warm epoch."""
    loaders: dict[str, Callable[[], DataLoader[Any]]] = {
        "torchvision": lambda: torchvision_loader(case),
        "albumentations": lambda: albumentations_loader(case),
        "seglight": lambda: datamodule(case).train_dataloader(),
        "seglight, cache": lambda: datamodule(case, scratch / f"{case.layout}-{turn}").train_dataloader(),
    }
    rates: dict[str, dict[str, list[float]]] = {name: {"cold": [], "warm": []} for name in loaders}
    built, sizes = [], {}
    for turn in range(rounds):
        os.sync()
        evict(case.root)
        start = time.perf_counter()
        cache(datamodule(case), str(scratch / f"{case.layout}-{turn}"))
        built.append(time.perf_counter() - start)
        os.sync()
        for name, make in loaders.items():
            loader = make()
            evict(case.root, scratch)
            rates[name]["cold"].append(epoch(loader)[0])
            rate, sizes[name] = epoch(loader)
            rates[name]["warm"].append(rate)
            del loader
    medians = {
        name: {kind: statistics.median(values) for kind, values in kinds.items()} for name, kinds in rates.items()
    }
    samples = len(datamodule(case).splits["train"]) // BATCH * BATCH
    cold = samples / (statistics.median(built) + samples / medians["seglight, cache"]["cold"])
    medians["seglight, cache"]["cold with the build"] = cold
    return {
        "samples_per_second": {n: {k: round(v, 1) for k, v in row.items()} for n, row in medians.items()},
        "bytes_per_sample": sizes,
        "cache_build_seconds": round(statistics.median(built), 2),
        "ratios": {
            f"{ours} over {peer}, {kind}": round(rate / medians[peer][kind.split()[0]], 2)
            for ours in ("seglight", "seglight, cache")
            for kind, rate in medians[ours].items()
            for peer in ("torchvision", "albumentations")
        },
        "bytes_ratio": round(sizes["seglight"] / min(sizes["torchvision"], sizes["albumentations"]), 3),
    }


def main(args: list[str]) -> None:
    """Measure the three cases and print them."""
    parser = Parser("loader", __doc__)
    parser.add_argument("--camvid", type=Path, help="folder of the real CamVid; without it one is drawn")
    parser.add_argument(
        "--images", type=int, nargs=3, default=(96, 480, 368), help="numbers of training images of (a), (b), (c)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=1000, help="number of crops in the test of their distribution")
    options = parser.parse_args(args)
    cv2.setNumThreads(0)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        counts = options.images
        cases = {
            "a": Case("cityscapes", _street.cityscapes(scratch / "city", counts[0]), (1024, 2048), (512, 1024)),
            "b": Case("voc", _street.voc(scratch / "VOCdevkit" / "VOC2012", counts[1]), (375, 500), (512, 512)),
            "c": Case("camvid", options.camvid or _street.camvid(scratch / "cv", counts[2]), (360, 480), (288, 288)),
        }
        for name, case in cases.items():
            p_values = check_distribution(quarter(case), options.draws)
            results[name] = {"p_values": p_values, **measure(case, options.rounds, scratch / "caches")}
            print(name, json.dumps(results[name], indent=2), flush=True)
    write_record(options, results)
