"""Scenes, and all their pixels in tiles. Imports no torch: `doctor` reads tiles in processes that start without it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from seglight.data.scenes.area import Area, Box, tiles
from seglight.data.scenes.labels import SceneLabels
from seglight.images.bands import Bands
from seglight.images.open_rasters import OpenRasters
from seglight.images.types import LabelMap


@dataclass(frozen=True)
class Scenes:
    """Scenes that are read by window.

    Args:
        images: Files of each scene: one, or one for each band.
        sizes: Height and width of each.
        labels: Labels of the scenes.
        bands: What the images hold.
        rasters: The open files of this process.
    """

    images: Sequence[tuple[Path, ...]]
    sizes: Sequence[tuple[int, int]]
    labels: SceneLabels
    bands: Bands
    rasters: OpenRasters

    @property
    def fingerprint(self) -> str:
        """Identity of all that the pixels and labels depend on except the files' content."""
        return f"{self.labels.description}, {self.bands.to_dict()}"

    def sources(self, scene: int) -> tuple[Path, ...]:
        """Files of a scene, its image first."""
        return (*self.images[scene], self.labels.paths[scene])

    def name(self, scene: int, box: Box) -> str:
        """Name of a window in messages: "area.tif[0:512, 1024:1536]", rows and columns."""
        return f"{self.images[scene][0]}[{box[0]}:{box[2]}, {box[1]}:{box[3]}]"

    def read(self, scene: int, box: Box) -> tuple[NDArray[Any], LabelMap]:
        """Read a window: image (h, w, bands) and mask (h, w).

        Raises:
            UserError: A file is damaged, or a label is of no class.
        """
        rows, columns = slice(box[0], box[2]), slice(box[1], box[3])
        return self.rasters.get(self.images[scene]).read(rows, columns), self.labels.read(scene, rows, columns)

    def is_empty(self, image: NDArray[Any]) -> bool:
        """Whether no pixel of an image (h, w, bands) has data."""
        if not self.bands.has_nodata or not self.bands.without_data(image[::16, ::16]).all():
            return False
        return bool(self.bands.without_data(image).all())


@dataclass(frozen=True)
class Tiles:
    """Parts of scenes, each once.

    Args:
        scenes: Scenes.
        boxes: Scene and box of each tile.
    """

    scenes: Scenes
    boxes: Sequence[tuple[int, Box]]

    @classmethod
    def of(cls, scenes: Scenes, areas: Sequence[Area], size: int) -> "Tiles":
        """All tiles of areas, of at most `size` pixels a side."""
        boxes = [(scene, tile) for scene, area in enumerate(areas) for box in area.boxes() for tile in tiles(box, size)]
        return cls(scenes, boxes)

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def fingerprint(self) -> str:
        """Identity of all that the samples depend on except the files' content."""
        return f"tiles {self.boxes} of {self.scenes.fingerprint}"

    def sources(self, index: int) -> tuple[Path, ...]:
        """Files of the scene of a tile."""
        return self.scenes.sources(self.boxes[index][0])

    def read(self, index: int) -> tuple[NDArray[Any], LabelMap, str]:
        """Image, mask and name of a tile."""
        scene, box = self.boxes[index]
        return (*self.scenes.read(scene, box), self.scenes.name(scene, box))
