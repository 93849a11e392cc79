"""torchgeo's loader of random windows, in an environment of its own.

`PYTHON _scenes_peer.py IMAGE MASK SIZE BATCH WORKERS`

Each line of the standard input is a request. "window LEFT BOTTOM RIGHT TOP FILE" writes the window with these bounds to
FILE (.npz), "epoch NUMBER" loads that many windows. The answer is a line: the versions, "done", or the seconds.
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset, stack_samples
from torchgeo.samplers import RandomGeoSampler


class Labels(RasterDataset):  # type: ignore[misc]
    """A raster of class indices."""

    is_image = False


class Peer:
    """Image and mask as one data set of torchgeo.

    Args:
        image: Path of the scene.
        mask: Path of its mask.
        size: Height and width of a window in pixels.
        batch: Windows of a batch.
        workers: Number of loader processes.
    """

    def __init__(self, image: str, mask: str, size: int, batch: int, workers: int) -> None:
        # workers are forked off: files that are open then would have one position for all of them
        self.loaded, self.shown = (RasterDataset(image) & Labels(mask) for _ in range(2))
        self.size = size
        self.options: dict[str, Any] = {
            "batch_size": batch,
            "num_workers": workers,
            "collate_fn": stack_samples,
            "persistent_workers": workers > 0,
        }
        self.loaders: dict[int, DataLoader[Any]] = {}

    def window(self, bounds: list[float], path: str) -> str:
        """Write the window with these bounds (left, bottom, right, top) to a file."""
        left, bottom, right, top = bounds
        sample = self.shown[left:right, bottom:top]
        np.savez(path, image=sample["image"].numpy(), mask=sample["mask"].numpy())
        return "done"

    def epoch(self, number: int) -> float:
        """Seconds in which a number of windows is loaded."""
        if number not in self.loaders:
            sampler = RandomGeoSampler(self.loaded, self.size, length=number)
            self.loaders[number] = DataLoader(self.loaded, sampler=sampler, **self.options)
        start = time.perf_counter()
        loaded = sum(len(batch["image"]) for batch in self.loaders[number])
        assert loaded == number
        return time.perf_counter() - start


def main() -> None:
    """Answer the requests."""
    image, mask, *numbers = sys.argv[1:]
    peer = Peer(str(Path(image)), mask, *map(int, numbers))
    print(f"torchgeo {version('torchgeo')}, rasterio {version('rasterio')}", flush=True)
    for line in sys.stdin:
        what, *values = line.split()
        if what == "window":
            print(peer.window([*map(float, values[:4])], values[4]), flush=True)
        else:
            print(peer.epoch(int(values[0])), flush=True)


if __name__ == "__main__":
    main()
