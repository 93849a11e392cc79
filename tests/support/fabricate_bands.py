"""Write small data sets of images of many kinds in their real layouts; the same arguments write the same files.

In each, class 1 shows in one band only: in all others there is nothing to learn.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray

from tests.support.fabricate import save_mask

SIZE = (64, 64)
CLASSES = [{"name": "ground", "color": [0, 0, 0]}, {"name": "object", "color": [0, 200, 0]}]
SENTINEL = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
"""The bands of Sentinel-2, level 2A."""


def outlines(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Label map with ellipses of class 1."""
    rows, columns = np.indices(size)
    mask = np.zeros(size, np.uint8)
    for _ in range(3):
        centre, radii = rng.uniform(8, size[0] - 8, 2), rng.uniform(8, 16, 2)
        mask[((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 < 1] = 1
    return mask


def scene(
    rng: np.random.Generator, mask: NDArray[np.uint8], bands: int, told: int, mean: float, std: float
) -> NDArray[np.float64]:
    """Noise (H, W, bands), of which one band is brighter in class 1."""
    image = rng.normal(mean, std, (*mask.shape, bands))
    image[..., told] += 4 * std * mask.astype(np.float64)
    return image


def pairs(root: Path, train: int, val: int) -> Iterator[tuple[str, str, np.random.Generator, NDArray[np.uint8]]]:
    """Split, stem, generator and mask of each image; the mask is saved."""
    for split, count in (("train", train), ("val", val)):
        (root / "images" / split).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            rng = np.random.default_rng((split == "val", number))
            mask = outlines(rng)
            save_mask(root / "masks" / split / f"{number:02d}.png", mask)
            yield split, f"{number:02d}", rng, mask


def described(root: Path, bands: dict[str, Any]) -> Path:
    """The folder with a `classes.yaml` for these bands, whose statistics are those that the images are drawn with."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "classes.yaml").write_text(yaml.safe_dump({"classes": CLASSES, "bands": bands}))
    return root


def satellite(root: Path, train: int = 24, val: int = 8) -> Path:
    """12 bands of uint16 in GeoTIFFs with a coordinate reference system and a corner without data."""
    import rasterio

    for number, (split, stem, rng, mask) in enumerate(pairs(root, train, val)):
        image = scene(rng, mask, 12, told=7, mean=1500, std=200).clip(1, 65535).astype(np.uint16)
        image[:6, :6] = 0
        profile = {"driver": "GTiff", "height": 64, "width": 64, "count": 12, "dtype": "uint16", "crs": "EPSG:32633"}
        grid = rasterio.Affine(10, 0, 400_000 + 640 * number, 0, -10, 5_300_000)
        with rasterio.open(
            root / "images" / split / f"{stem}.tif", "w", transform=grid, nodata=0, compress="deflate", **profile
        ) as file:
            file.write(np.moveaxis(image, -1, 0))
            file.descriptions = SENTINEL
    names = list(SENTINEL)
    return described(root, {"names": names, "type": "uint16", "mean": [1500] * 12, "std": [200] * 12, "nodata": 0})


def aerial(root: Path, train: int = 24, val: int = 8) -> Path:
    """RGB and near infrared of uint8, in TIFFs of four samples a pixel."""
    for split, stem, rng, mask in pairs(root, train, val):
        image = scene(rng, mask, 4, told=3, mean=90, std=12).clip(0, 255).astype(np.uint8)
        tifffile.imwrite(
            root / "images" / split / f"{stem}.tif", image, photometric="rgb", extrasamples=["unspecified"]
        )
    names = ["red", "green", "blue", "nir"]
    return described(root, {"names": names, "type": "uint8", "mean": [90] * 4, "std": [12] * 4})


def fluorescence(root: Path, train: int = 24, val: int = 8) -> Path:
    """4 channels of uint16 in OME-TIFFs, one page a channel."""
    names = ["DAPI", "FITC", "TRITC", "Cy5"]
    for split, stem, rng, mask in pairs(root, train, val):
        image = scene(rng, mask, 4, told=2, mean=800, std=100).clip(0, 65535).astype(np.uint16)
        tifffile.imwrite(
            root / "images" / split / f"{stem}.ome.tif",
            np.moveaxis(image, -1, 0),
            photometric="minisblack",
            metadata={"axes": "CYX", "Channel": {"Name": names}},
        )
    for mask_file in sorted((root / "masks").rglob("*.png")):
        mask_file.rename(mask_file.with_name(f"{mask_file.stem}.ome.png"))  # the name of its image without suffix
    return described(root, {"names": names, "type": "uint16", "mean": [800] * 4, "std": [100] * 4})


def thermal(root: Path, train: int = 24, val: int = 8) -> Path:
    """One band of float32 in degrees, with pixels that are not numbers."""
    for split, stem, rng, mask in pairs(root, train, val):
        image = scene(rng, mask, 1, told=0, mean=15, std=2).astype(np.float32)[..., 0]
        image[-5:, -7:] = np.nan
        tifffile.imwrite(root / "images" / split / f"{stem}.tif", image)
    return described(root, {"names": ["temperature"], "type": "float32", "mean": [15], "std": [2]})


def one_file_a_band(root: Path, train: int = 24, val: int = 8) -> Path:
    """Three bands of int16, each in a file of its own."""
    names = ["B04", "B08", "B11"]
    for split, stem, rng, mask in pairs(root, train, val):
        image = scene(rng, mask, 3, told=1, mean=-300, std=50).astype(np.int16)
        for band, name in enumerate(names):
            tifffile.imwrite(root / "images" / split / f"{stem}_{name}.tif", image[..., band])
    bands = {"names": names, "type": "int16", "mean": [-300] * 3, "std": [50] * 3, "files": "{name}_{band}.tif"}
    return described(root, bands)


KINDS: dict[str, Callable[[Path], Path]] = {
    "satellite": satellite,
    "aerial": aerial,
    "fluorescence": fluorescence,
    "thermal": thermal,
    "one file a band": one_file_a_band,
}
