"""Scenes with and without a georeference, and their masks, written by rasterio."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from seglight.data import Augmentation, Blocks, ScenesDataModule

CLASSES = [{"name": "dark", "color": [0, 0, 0]}, {"name": "bright", "color": [255, 255, 0]}]
NAMES = ("blue", "green", "red", "nir")
PIXEL = 10.0


def write(
    path: Path, pixels: NDArray[Any], corner: tuple[float, float] | None = (500_000, 5_000_000), **options: Any
) -> None:
    """Write (H, W, bands) as a tiled GeoTIFF whose upper left corner is at x, y."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.transform import Affine

    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, bands = pixels.shape
    settings: dict[str, Any] = {"tiled": True, "blockxsize": 64, "blockysize": 48, "compress": "deflate"}
    if corner is not None:
        settings |= {"crs": "EPSG:32632", "transform": Affine(PIXEL, 0, corner[0], 0, -PIXEL, corner[1])}
    settings |= {"driver": "GTiff", "height": height, "width": width, "count": bands, "dtype": pixels.dtype, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **settings) as file:
            file.write(pixels.transpose(2, 0, 1))


def scene(
    root: Path, name: str, size: tuple[int, int], corner: tuple[float, float] | None = (500_000, 5_000_000)
) -> None:
    """Write a scene of four bands, of which nir tells the class, and its mask; the first 40 x 40 pixels have no data.

    The values of a pixel are those of its place on the ground, so that overlapping scenes show the same.
    """
    left, top = (0, 0) if corner is None else (round(corner[0] / PIXEL), -round(corner[1] / PIXEL))
    y, x = np.mgrid[top : top + size[0], left : left + size[1]]
    bands = [(y * 31 + x * 17 + k * 1009) % 4000 + 1 for k in range(4)]
    image = np.stack(bands, 2).astype(np.uint16)
    image[:40, :40] = 0
    write(root / "images" / name, image, corner)
    write(root / "masks" / name, (image[..., 3:] > 2000).astype(np.uint8), corner)


def classes(root: Path) -> None:
    """Write the file that names classes and bands."""
    statistics = {"mean": [2000.0] * 4, "std": [1000.0] * 4}
    bands = {"names": list(NAMES), "type": "uint16", "nodata": 0, **statistics}
    (root / "classes.yaml").write_text(yaml.safe_dump({"classes": CLASSES, "bands": bands}), "utf-8")


def two_scenes(root: Path) -> Path:
    """Write two scenes that overlap, and return their folder."""
    scene(root, "a.tif", (300, 400))
    scene(root, "b.tif", (260, 240), (500_000 + 250 * PIXEL, 5_000_000 - 120 * PIXEL))
    classes(root)
    return root


def module(root: Path, **options: Any) -> ScenesDataModule:
    """A data module of scenes with small windows, not set up."""
    augmentation = options.pop("augmentation", Augmentation(32, (0.5, 2.0), photometric=0))
    settings: dict[str, Any] = {"windows_per_epoch": 16, "eval_size": 64, "batch_size": 4, "num_workers": 0}
    if "images" not in options:
        settings["blocks"] = Blocks(80, seed=1)
    return ScenesDataModule(str(root), augmentation, **{**settings, **options})
