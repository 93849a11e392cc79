"""Precision of `seglight doctor --folds` and `--model` on label errors that are injected into CamVid, against cleanlab.

5 % of the objects of a split are changed (`benchmarks/_label_noise.py`). With --folds, the errors are in the training
split, and K nets are trained on the labels with errors; with --model, they are in the validation split, and the net is
one that was trained on the clean training split. Both libraries rank the same probabilities.

Precision at k: k is the number of injected errors, and of the first k regions those count that hit an error. A region
hits an error if more than half of its pixels are pixels that the error has changed. An error is hit once: further
regions on it are misses. For some kinds of errors alone, regions on errors of other kinds are left out. cleanlab marks
pixels; its regions are the connected components of one label and one predicted class in its mask, ranked in each of two
ways: by the mean probability of the label, and by size.

Memory: what the process holds at most beyond its imports. Ours contains the net.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from pycocotools import mask as rle

from benchmarks._label_noise import KINDS, LabelError, read_noisy, write_noisy
from benchmarks._record import PROJECT, Parser, write_record
from seglight.data import CamVidDataModule

RECIPE = PROJECT / "configs/camvid/fpn_efficientnet_lite0.yaml"
TOP = 3
"""Regions that are asked for, as a multiple of the injected errors."""


@dataclass(frozen=True)
class Hit:
    """What a ranked region lies on.

    Args:
        error: Index of the error that most of its pixels are of; None: it hits none.
    """

    error: int | None


def precision(ranked: Sequence[Hit], errors: Sequence[LabelError], kinds: Sequence[str]) -> dict[str, float]:
    """Precision at k for some kinds of errors, and the share of each kind that is among the first k regions."""
    k = sum(error.kind in kinds for error in errors)
    found = set[int]()
    taken = 0
    for hit in ranked:
        if taken == k:
            break
        if hit.error is not None and errors[hit.error].kind not in kinds:
            continue
        taken += 1
        if hit.error is not None:
            found.add(hit.error)
    shares = {
        kind: sum(errors[index].kind == kind for index in found) / max(1, sum(error.kind == kind for error in errors))
        for kind in kinds
    }
    return {"precision": len(found) / max(1, k), **(shares if len(kinds) > 1 else {}), "k": k}


def hit_of(numbers: NDArray[np.uint16], region: NDArray[np.bool_]) -> Hit:
    """The error that a region (H, W) lies on.

    Args:
        numbers: Number of the error of each pixel (H, W), or 0.
        region: Its pixels.
    """
    counts = np.bincount(numbers[region])
    counts[0] = 0
    best = int(counts.argmax())
    return Hit(best - 1 if 2 * counts[best] > np.count_nonzero(region) else None)


def reported(report: Path, numbers: dict[str, NDArray[np.uint16]]) -> list[Hit]:
    """The ranked regions of the file in COCO's format of a report."""
    content = json.loads((report / "coco.json").read_text(encoding="utf-8"))
    images = {one["id"]: one for one in content["images"]}
    found = []
    for one in sorted(content["annotations"], key=lambda one: -one["score"]):
        image = images[one["image_id"]]
        outline = one["segmentation"]
        if isinstance(outline, list):
            outline = rle.merge(rle.frPyObjects(outline, image["height"], image["width"]))
        found.append(hit_of(numbers[Path(image["file_name"]).name], rle.decode(outline).astype(bool)))
    return found


def components(issues: NDArray[np.bool_], codes: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    """Connected components of one code in a mask (H, W)."""
    for code in np.unique(codes[issues]).tolist():
        number, parts = cv2.connectedComponents((issues & (codes == code)).view(np.uint8), connectivity=8)
        for part in range(1, number):
            yield parts == part


def of_cleanlab(folder: Path, numbers: Sequence[NDArray[np.uint16]], num_classes: int) -> dict[str, list[Hit]]:
    """Cleanlab's regions, ranked by the mean probability of the label and by size."""
    issues = np.load(folder / "issues.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy", mmap_mode="r")
    probabilities = np.load(folder / "probabilities.npy", mmap_mode="r")
    rows: list[tuple[float, int, Hit]] = []
    for index, errors in enumerate(numbers):
        own = np.take_along_axis(probabilities[index], labels[index][None].astype(np.int64), 0)[0]
        codes = labels[index].astype(np.int64) * num_classes + probabilities[index].argmax(0)
        rows += [
            (float(own[region].mean()), int(region.sum()), hit_of(errors, region))
            for region in components(np.asarray(issues[index]), codes)
        ]
    return {
        "cleanlab, by quality": [hit for _, _, hit in sorted(rows, key=lambda row: row[0])],
        "cleanlab, by size": [hit for _, _, hit in sorted(rows, key=lambda row: -row[1])],
    }


def images_at_k(ranked: Sequence[int], errors: Sequence[LabelError]) -> float:
    """Share of images with an error among the first k images, for as many as have one."""
    wrong = {error.image for error in errors}
    return sum(index in wrong for index in ranked[: len(wrong)]) / max(1, len(wrong))


def held() -> int:
    """Bytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write_probabilities(options: argparse.Namespace, parts: Sequence[tuple[str, Sequence[int]]]) -> None:
    """Write probabilities and labels as cleanlab takes them; ignored pixels get the label that the net finds."""
    from seglight.inference.torch_predictor import load_torch

    data = CamVidDataModule(str(options.out / "data"))
    split = data.split(options.split)
    height, width = split.read(0)[1].shape
    shape = (len(split), data.num_classes, height, width)
    folder = options.out / "cleanlab"
    folder.mkdir(exist_ok=True)
    probabilities = np.lib.format.open_memmap(folder / "probabilities.npy", "w+", np.float32, shape)
    labels = np.lib.format.open_memmap(folder / "labels.npy", "w+", np.uint8, (len(split), height, width))
    for model, indices in parts:
        predictor = load_torch([model])
        for index in indices:
            image, mask, _ = split.read(index)
            probabilities[index] = predictor.probabilities(image)
            labels[index] = np.where(mask == data.ignore_index, probabilities[index].argmax(0), mask)
    probabilities.flush()
    labels.flush()


def judge_by_cleanlab(folder: Path) -> None:
    """In a process of its own: cleanlab's mask and image scores, and the memory that they take."""
    from cleanlab.segmentation.filter import find_label_issues
    from cleanlab.segmentation.rank import get_label_quality_scores

    before = held()
    labels = np.load(folder / "labels.npy").astype(np.int64)
    probabilities = np.load(folder / "probabilities.npy")
    issues = find_label_issues(labels, probabilities, n_jobs=1, verbose=False)
    scores, _ = get_label_quality_scores(labels, probabilities, verbose=False)
    taken = held() - before
    np.save(folder / "issues.npy", issues)
    ranked = np.argsort(scores, kind="stable").tolist()
    (folder / "measured.json").write_text(json.dumps({"bytes": taken, "images": ranked}), encoding="utf-8")


def judge_by_seglight(options: argparse.Namespace, parts: Sequence[tuple[str, Sequence[int]]]) -> None:
    """In a process of its own: our passes, and the memory that they take."""
    from seglight.commands.doctor.label_errors.command import load
    from seglight.commands.doctor.label_errors.judge import Part, judge

    before = held()
    data = CamVidDataModule(str(options.out / "data"))
    split = data.split(options.split)
    loaders = [Part(lambda model=model: load(model, data), indices) for model, indices in parts]  # type: ignore[misc]
    judged = judge(loaders, split, data.num_classes, data.ignore_index, max(options.top, len(split)))
    taken = held() - before
    ranked = [one.index for one in judged.ranked_images]
    (options.out / "measured.json").write_text(json.dumps({"bytes": taken, "images": ranked}), encoding="utf-8")


def parts_of(options: argparse.Namespace) -> list[tuple[str, list[int]]]:
    """Checkpoints, and the indices of the images that each of them judges."""
    split = CamVidDataModule(str(options.out / "data")).split(options.split)
    names = {split.sources(index)[0].name: index for index in range(len(split))}
    if options.model is not None:
        return [(str(options.model), list(range(len(split))))]
    parts = []
    for number in range(1, options.folds + 1):
        folder = options.out / "report" / "folds" / str(number)
        lines = (folder / "lists" / "val.txt").read_text(encoding="utf-8").splitlines()
        parts.append((str(folder / "run/checkpoints/last.ckpt"), [names[Path(line).name] for line in lines]))
    return parts


def run_doctor(options: argparse.Namespace) -> None:
    """Train the nets, unless there is a model, and write the report."""
    changes = {
        "trainer": {"max_epochs": options.epochs, "check_val_every_n_epoch": options.epochs},
        "data": {"init_args": {"augmentation": {"crop_size": round(320 * options.scale), "scale": [0.75, 2.0]}}},
    }
    recipe = options.out / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(changes), encoding="utf-8")
    data = ["--config", str(RECIPE), "--config", str(recipe), "--data.root", str(options.out / "data")]
    own = ["--out", str(options.out / "report"), "--top", str(options.top)]
    if options.model is not None:
        own += ["--model", str(options.model), "--split", options.split]
    else:
        own += ["--folds", str(options.folds)]
    subprocess.run([sys.executable, "-m", "seglight", "doctor", *data, *own], check=True)


def own_process(options: argparse.Namespace, what: str) -> None:
    """Run a part of this benchmark in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "label_errors", *options.args, "--part", what]
    subprocess.run(command, check=True, env={**os.environ, "COLUMNS": "200"})


def results(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Figures of both libraries."""
    maps, errors = read_noisy(options.out / "data")
    names = sorted(path.name for path in (options.out / "data" / "injected").iterdir())
    rankings = {"seglight": reported(options.out / "report", dict(zip(names, maps, strict=True)))}
    memory = {"seglight": json.loads((options.out / "measured.json").read_text(encoding="utf-8"))}
    if find_spec("cleanlab") is not None:
        memory["cleanlab"] = json.loads((options.out / "cleanlab" / "measured.json").read_text(encoding="utf-8"))
        rankings |= of_cleanlab(options.out / "cleanlab", maps, CamVidDataModule(str(options.out / "data")).num_classes)
    rows: dict[str, dict[str, Any]] = {}
    for name, ranked in rankings.items():
        measured = memory[name.partition(",")[0]]
        rows[name] = {
            "flips and drops": precision(ranked, errors, ("flip", "drop")),
            **{kind: precision(ranked, errors, (kind,)) for kind in KINDS},
            "images": images_at_k(measured["images"], errors),
            "MiB": round(measured["bytes"] / 2**20, 1),
        }
    return rows


def main(args: list[str]) -> None:
    """Inject errors, judge the labels and print the precision."""
    parser = Parser("label_errors", __doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--out", type=Path, required=True, help="folder for data set, nets and reports")
    parser.add_argument("--model", type=Path, help="checkpoint that was trained on the clean training split")
    parser.add_argument("--folds", type=int, default=2, help="without --model: number of nets that are trained")
    parser.add_argument("--epochs", type=int, default=36, help="epochs of each net")
    parser.add_argument("--scale", type=float, default=0.5, help="size of the images relative to CamVid's")
    parser.add_argument("--seed", type=int, default=0, help="seed of the errors")
    parser.add_argument("--part", choices=("probabilities", "seglight", "cleanlab"), help=argparse.SUPPRESS)
    options = parser.parse_args(args)
    options.args = args
    options.split = "train" if options.model is None else "val"
    data = options.out / "data"
    if not (data / "injected.json").is_file():
        write_noisy(options.root, data, options.split, options.seed, options.scale)
    options.top = TOP * len(read_noisy(data)[1])
    if options.part == "probabilities":
        write_probabilities(options, parts_of(options))
    elif options.part == "seglight":
        judge_by_seglight(options, parts_of(options))
    elif options.part == "cleanlab":
        judge_by_cleanlab(options.out / "cleanlab")
    else:
        if not (options.out / "report" / "labels.json").is_file():
            run_doctor(options)
        own_process(options, "seglight")
        if find_spec("cleanlab") is not None:
            own_process(options, "probabilities")
            own_process(options, "cleanlab")
        rows = results(options)
        for name, row in rows.items():
            print(f"{name:<22} {json.dumps(row)}")
        write_record(options, rows)
