"""`predict` in shards beside `predict` in one process on the same cores: images per second of whole commands.

The images are the frames of CamVid, repeated under further names. A single process predicts with all cores; `--parallel
N` divides them between N jobs. Sides alternate, each into an empty folder, and all files of all runs are compared byte
by byte. Times include starting Python, the jobs, and merging their tables. Slurm and Ray have to run on this machine
alone: `python -m tests.support.slurm python -m benchmarks shards ...` starts a Slurm of one node, and
`python -m tests.support.ray_cluster python -m benchmarks shards ...` a Ray of two. Processor time is given where the
jobs are processes of the command.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks._record import PROJECT, Parser, write_record

ONE = "one process"


def repeated(root: Path, folder: Path, count: int) -> Path:
    """A folder of images: copies of CamVid's frames, with further links to them up to a number."""
    frames = [frame for split in ("train", "val") for frame in sorted((root / split).glob("*.png"))]
    assert frames, f"{root}: no images in train and val"
    folder.mkdir()
    for number in range(count):
        place = folder / f"{number:06d}.png"
        if number < len(frames):
            shutil.copyfile(frames[number], place)
        else:
            place.hardlink_to(folder / f"{number % len(frames):06d}.png")
    return folder


def timed(words: list[str], environment: Mapping[str, str]) -> dict[str, float]:
    """Seconds of a command by the clock, and on the processors, with those of the processes that it waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(words, env=environment, check=True)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "processor_seconds": processor}


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder by their names in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(one: Mapping[str, bytes], shards: Mapping[str, bytes], count: int) -> None:
    """Assert that each image has its label map, and that two commands have written the same files."""
    assert sum(name.endswith(".png") for name in one) == count, f"{len(one)} files of {count} images"
    assert one.keys() == shards.keys(), f"not written by both: {sorted(one.keys() ^ shards.keys())[:5]}"
    different = [name for name in one if one[name] != shards[name]]
    assert not different, f"{len(different)} files differ: {different[:5]}"


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = Parser("shards", __doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--model", required=True, help="checkpoint or exported file")
    parser.add_argument("--images", type=int, default=2000, help="number of images")
    parser.add_argument("--executors", nargs="+", choices=("local", "slurm", "ray"), default=("local",))
    parser.add_argument("--parallel", type=int, default=2, help="number of shards")
    parser.add_argument("--rounds", type=int, default=3, help="number of alternating runs of each side")
    parser.add_argument("--save", nargs="+", default=("csv",), help="further outputs of predict")
    options = parser.parse_args(args)
    sides: dict[str, list[str]] = {ONE: []}
    for name in options.executors:
        sides[f"{name}, {options.parallel} shards"] = ["--executor", name, "--parallel", str(options.parallel)]
    paths = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths}
    environment.pop("OMP_NUM_THREADS", None)  # the threads are what predict chooses
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as place:
        images = repeated(options.root, Path(place) / "images", options.images)
        expected: dict[str, bytes] = {}
        for _ in range(options.rounds):
            for name, extra in sides.items():
                out = Path(place) / "out"
                words = [sys.executable, "-m", "seglight", "predict", options.model, str(images), "--out", str(out)]
                runs[name].append(timed([*words, "--save", *options.save, *extra], environment))
                found = content(out)
                expected = expected or found
                check(expected, found, options.images)
                shutil.rmtree(out)
    rows = {name: figures(name, runs, options.images) for name in sides}
    for name, row in rows.items():
        print(f"{name:20} {row['seconds']:8.1f} s {row['per_second']:8.2f} images per second, {row['relative']:.3f}")
    write_record(options, rows)


def figures(name: str, runs: Mapping[str, list[dict[str, float]]], images: int) -> dict[str, Any]:
    """The medians of a side, and its speed relative to that of one process."""
    seconds = {side: statistics.median(run["seconds"] for run in found) for side, found in runs.items()}
    row: dict[str, Any] = {
        "seconds": seconds[name],
        "per_second": images / seconds[name],
        "relative": seconds[ONE] / seconds[name],
        "runs": [run["seconds"] for run in runs[name]],
    }
    if name == ONE or name.startswith("local"):
        row["processor_seconds"] = statistics.median(run["processor_seconds"] for run in runs[name])
    return row
