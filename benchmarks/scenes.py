"""Training windows per second from one scene of 30,000 x 30,000 pixels of 4 bands uint16: seglight and torchgeo.

The scene and its mask are GeoTIFFs of tiles of 512 x 512 pixels, uncompressed and deflated, in which sixteen tiles that
are stored once repeat: the files are small, and decoding is that of a scene of 7 GB. Both sides draw windows of 512 x
512 pixels at random and load image and mask by the same number of worker processes, without augmentation; torchgeo's
`RandomGeoSampler` runs in an environment of its own (`--peer PYTHON`). Before anything is timed, the content of windows
is compared. Rounds alternate, and the medians count; files are in the page cache.
"""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray

from benchmarks._record import Parser, write_record
from seglight.data import Augmentation, ScenesDataModule

TILE, DISTINCT = 512, 16
LEFT, TOP, PIXEL = 500_000, 5_000_000, 10
SIZE, BATCH = 512, 8
BANDS = {"names": ["blue", "green", "red", "nir"], "type": "uint16", "mean": [1000.0] * 4, "std": [300.0] * 4}


def content(rng: np.random.Generator, bands: int) -> NDArray[np.uint16]:
    """Return a tile like a picture from above: areas with texture and noise, (TILE, TILE, bands)."""
    steps = rng.integers(-3, 4, (TILE, TILE, bands)).cumsum(1)
    return (1000 + steps + rng.integers(0, 8, steps.shape)).astype(np.uint16)


def write_scene(path: Path, side: int, bands: int, compress: str) -> None:
    """Write a scene in which a few tiles that are stored once repeat; one band is a mask of two classes."""
    import rasterio
    from rasterio.transform import from_origin

    rng = np.random.default_rng(bands)
    options = {"compress": compress, "tiled": True, "blockxsize": TILE, "blockysize": TILE, "interleave": "pixel"}
    options |= {"sparse_ok": True, "bigtiff": "yes", "transform": from_origin(LEFT, TOP, PIXEL, PIXEL)}
    kind = "uint16" if bands > 1 else "uint8"
    across = -(-side // TILE)
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=bands, dtype=kind, crs="EPSG:32632", **options
    ) as file:
        for number in range(DISTINCT):
            y, x = divmod(number, across - 1)
            tile = content(rng, bands)
            pixels = tile if bands > 1 else (tile > 1000).astype(np.uint8)
            window = rasterio.windows.Window(x * TILE, y * TILE, TILE, TILE)
            file.write(pixels.transpose(2, 0, 1), window=window)
    with tifffile.TiffFile(path, mode="r+") as file:
        tags = file.pages[0].aspage().tags
        stored = np.flatnonzero(tags["TileByteCounts"].value)
        assert len(stored) == DISTINCT
        chosen = rng.choice(stored, across * across)
        for name in ("TileOffsets", "TileByteCounts"):
            values = np.array(tags[name].value)
            tags[name].overwrite(tuple(values[chosen].tolist()))


class Ours:
    """seglight's loader.

    Args:
        root: Folder of the scene.
        windows: Windows of an epoch.
        workers: Number of loader processes.
    """

    def __init__(self, root: Path, windows: int, workers: int) -> None:
        still = Augmentation(SIZE, (1.0, 1.0), flip=0, photometric=0)
        names: dict[str, str | list[str]] = {"train": ["images/scene.tif"], "val": ["images/scene.tif"]}
        self.data = ScenesDataModule(
            str(root), still, images=names, windows_per_epoch=windows, batch_size=BATCH, num_workers=workers
        )
        self.data.setup("fit")
        self.loader = self.data.train_dataloader()
        self.windows = windows

    def window(self, row: int, column: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return image and mask of a window."""
        scenes, _ = self.data.areas("train")
        return scenes.read(0, (row, column, row + SIZE, column + SIZE))

    def epoch(self) -> float:
        """Seconds of an epoch."""
        start = time.perf_counter()
        loaded = sum(len(batch["image"]) for batch in self.loader)
        assert loaded == self.windows
        return time.perf_counter() - start


class Peer:
    """torchgeo's loader in a process of its own.

    Args:
        python: Interpreter of the environment that has torchgeo.
        root: Folder of the scene.
        workers: Number of loader processes.
    """

    def __init__(self, python: str, root: Path, workers: int) -> None:
        script = Path(__file__).with_name("_scenes_peer.py")
        command = [python, script, root / "images/scene.tif", root / "masks/scene.tif", SIZE, BATCH, workers]
        self.process = subprocess.Popen(list(map(str, command)), stdin=-1, stdout=-1, text=True)
        self.versions = self._answer()

    def window(self, row: int, column: int, path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return image and mask of a window."""
        left, top = LEFT + column * PIXEL, TOP - row * PIXEL
        self._ask(f"window {left} {top - SIZE * PIXEL} {left + SIZE * PIXEL} {top} {path}")
        with np.load(path) as found:
            return found["image"].transpose(1, 2, 0), found["mask"]

    def epoch(self, windows: int) -> float:
        """Seconds of an epoch."""
        return float(self._ask(f"epoch {windows}"))

    def end(self) -> None:
        """End the process, whose loader may not end by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _ask(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise RuntimeError("torchgeo's process has ended: its messages are above")
        return answer


def check(ours: Ours, peer: Peer, side: int, folder: Path) -> None:
    """Compare the content of windows.

    Raises:
        AssertionError: A pixel differs.
    """
    rng = np.random.default_rng(1)
    for _ in range(8):
        row, column = rng.integers(0, side - SIZE, 2).tolist()
        expected = peer.window(row, column, folder / "window.npz")
        for mine, theirs in zip(ours.window(row, column), expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def measure(root: Path, compress: str, options: Any) -> dict[str, Any]:
    """Return windows per second of both sides for one layout of the scene."""
    for name, bands in (("images", 4), ("masks", 1)):
        (root / name).mkdir(parents=True)
        write_scene(root / name / "scene.tif", options.side, bands, compress)
    classes = [{"name": "dark", "color": [0, 0, 0]}, {"name": "bright", "color": [255, 255, 0]}]
    (root / "classes.yaml").write_text(yaml.safe_dump({"classes": classes, "bands": BANDS}), "utf-8")
    ours, peer = Ours(root, options.windows, options.workers), Peer(options.peer, root, options.workers)
    check(ours, peer, options.side, root)
    ours.epoch(), peer.epoch(options.windows)  # starts the workers
    rounds = [(ours.epoch(), peer.epoch(options.windows)) for _ in range(options.rounds)]
    peer.end()
    mine, theirs = (options.windows / statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    return {
        "seglight_windows_per_second": round(mine, 1),
        "torchgeo_windows_per_second": round(theirs, 1),
        "ratio": round(mine / theirs, 2),
        "ratios": [round(slow / fast, 2) for fast, slow in rounds],
        "peer": peer.versions,
    }


def main(args: list[str]) -> None:
    """Measure both layouts and print them."""
    parser = Parser("scenes", __doc__)
    parser.add_argument(
        "--peer", required=True, metavar="PYTHON", help="interpreter of an environment with torchgeo 0.8.1"
    )
    parser.add_argument("--side", type=int, default=30_000, help="height and width of the scene in pixels")
    parser.add_argument("--windows", type=int, default=400, help="windows of an epoch, a multiple of 8")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layouts", nargs="+", default=["none", "deflate"], help="compressions as GDAL names them")
    options = parser.parse_args(args)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for compress in options.layouts:
            results[compress] = measure(Path(folder) / compress, compress, options)
            print(compress, results[compress], flush=True)
    write_record(options, results)
