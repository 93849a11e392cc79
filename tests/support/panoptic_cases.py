"""Random panoptic images, and their counts by the published code: that of panopticapi, which cityscapesscripts has."""

import contextlib
import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cityscapesscripts.evaluation import evalPanopticSemanticLabeling
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage


class Case(NamedTuple):
    """An image: maps of numbers from 1 (H, W), 0 for none, and the class of each; whether labels are crowds."""

    predicted: NDArray[np.int32]
    predicted_classes: NDArray[np.int64]
    segments: NDArray[np.int32]
    classes: NDArray[np.int64]
    crowds: NDArray[np.bool_]


def drawn(
    seed: int, classes: int, size: tuple[int, int] = (60, 70), void: float = 0.1, crowds: float = 0.1, number: int = 14
) -> Case:
    """Draw regions, and the same regions shifted, some of them with other classes, without some pixels of both."""
    rng = np.random.default_rng(seed)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    centres = rng.uniform(0, 1, (number, 2)) * size
    segments = np.argmin([(rows - y) ** 2 + (columns - x) ** 2 for y, x in centres], 0).astype(np.int32) + 1
    moved = centres + rng.normal(0, rng.uniform(0, 5), (number, 2))
    predicted = np.argmin([(rows - y) ** 2 + (columns - x) ** 2 for y, x in moved], 0).astype(np.int32) + 1
    label = rng.integers(0, classes, number)
    guess = np.where(rng.uniform(size=number) < 0.8, label, rng.integers(0, classes, number))
    blobs = ndimage.gaussian_filter(rng.normal(size=(2, *size)), (0, 4, 4))
    segments[blobs[0] < np.quantile(blobs[0], void)] = 0
    predicted[blobs[1] < np.quantile(blobs[1], 0.1)] = 0
    return compact(Case(predicted, guess, segments, label, rng.uniform(size=number) < crowds))


def compact(case: Case) -> Case:
    """Number the segments that have pixels, as files of panopticapi do."""
    predicted, kept = np.unique(case.predicted, return_inverse=True)
    segments, there = np.unique(case.segments, return_inverse=True)
    shift = [int(numbers[0] != 0) for numbers in (predicted, segments)]
    predicted, segments = predicted[predicted > 0] - 1, segments[segments > 0] - 1
    return Case(
        (kept.reshape(case.predicted.shape) + shift[0]).astype(np.int32),
        case.predicted_classes[predicted],
        (there.reshape(case.segments.shape) + shift[1]).astype(np.int32),
        case.classes[segments],
        case.crowds[segments],
    )


def published_counts(cases: list[Case], num_classes: int, folder: Path) -> NDArray[np.float64]:
    """Sum of the IoUs of matches, and tp, fp and fn of each class, (C, 4), from PNG files and annotations."""
    pairs = []
    for k, case in enumerate(cases):
        names = (f"true{k}.png", f"predicted{k}.png")
        annotations = []
        for name, numbers, classes, crowds in zip(
            names,
            (case.segments, case.predicted),
            (case.classes, case.predicted_classes),
            (case.crowds, np.zeros(len(case.predicted_classes), bool)),
            strict=True,
        ):
            color = np.stack([numbers % 256, numbers // 256, numbers // 65536], -1).astype(np.uint8)
            Image.fromarray(color).save(folder / name)
            infos = [
                {
                    "id": number,
                    "category_id": int(label),
                    "iscrowd": int(crowd),
                    "area": int((numbers == number).sum()),
                }
                for number, (label, crowd) in enumerate(zip(classes, crowds, strict=True), 1)
            ]
            annotations.append({"image_id": k, "file_name": name, "segments_info": infos})
        pairs.append(tuple(annotations))
    categories = {k: {"id": k, "isthing": k % 2} for k in range(num_classes)}
    with contextlib.redirect_stdout(io.StringIO()):
        found = evalPanopticSemanticLabeling.pq_compute_single_core(0, pairs, str(folder), str(folder), categories)
    return np.array([[getattr(found[k], count) for count in ("iou", "tp", "fp", "fn")] for k in range(num_classes)])


def published_means(counts: NDArray[np.float64]) -> dict[str, tuple[float, float, float]]:
    """PQ, SQ and RQ of all classes, of things (odd classes) and of stuff, from counts (C, 4)."""
    found = evalPanopticSemanticLabeling.PQStat()
    for label, values in enumerate(counts.tolist()):
        for count, value in zip(("iou", "tp", "fp", "fn"), values, strict=True):
            setattr(found[label], count, value)
    categories = {k: {"isthing": k % 2} for k in range(len(counts))}
    means = evalPanopticSemanticLabeling.average_pq(found, categories)
    return {name: (means[name]["pq"], means[name]["sq"], means[name]["rq"]) for name in ("All", "Things", "Stuff")}


def boundary_counts(case: Case, num_classes: int, ratio: float) -> NDArray[np.float64]:
    """The same of one image with the smaller of the IoUs of segments and of their bands, by erosion, one by one."""
    labelled = case.segments > 0
    radius = max(1, round(ratio * math.hypot(*labelled.shape)))
    square = np.ones((3, 3))

    def band(numbers: NDArray[np.int32], number: int) -> NDArray[np.bool_]:
        own = (numbers == number) & labelled
        inner = ndimage.binary_erosion(own | ~labelled, square, iterations=radius, border_value=0)
        return own & ~inner

    counts = np.zeros((num_classes, 4))
    matched: tuple[set[int], set[int]] = (set(), set())
    numbers = range(1, len(case.classes) + 1), range(1, len(case.predicted_classes) + 1)
    bands = [band(case.segments, g) for g in numbers[0]], [band(case.predicted, p) for p in numbers[1]]
    for g, true in zip(numbers[0], bands[0], strict=True):
        for p, guess in zip(numbers[1], bands[1], strict=True):
            if case.crowds[g - 1] or case.classes[g - 1] != case.predicted_classes[p - 1]:
                continue
            own, other = case.segments == g, (case.predicted == p) & labelled
            iou = min((own & other).sum() / (own | other).sum(), (true & guess).sum() / max(1, (true | guess).sum()))
            if iou > 0.5:
                counts[case.classes[g - 1], :2] += iou, 1
                matched[0].add(g)
                matched[1].add(p)
    last = {int(label): g for g, label, crowd in zip(numbers[0], case.classes, case.crowds, strict=True) if crowd}
    for g, label, crowd in zip(numbers[0], case.classes, case.crowds, strict=True):
        counts[label, 3] += g not in matched[0] and not crowd
    for p, label in zip(numbers[1], case.predicted_classes, strict=True):
        own = case.predicted == p
        excused = own & (~labelled | (case.segments == last.get(int(label), -1)))
        counts[label, 2] += p not in matched[1] and excused.sum() / own.sum() <= 0.5
    return counts
