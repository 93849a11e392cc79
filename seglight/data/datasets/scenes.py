"""Scenes of any size, such as orthophotos, satellite scenes and slides, which are read by window.

    root/classes.yaml  root/images/*.tif  root/masks/*.tif

`classes.yaml` names the classes and the bands (`seglight/data/class_files.py`). Images are tiled TIFFs and, with
rasterio (`pip install "seglight[geo]"`), whatever GDAL reads, such as VRT mosaics; labels are rasters on the grid of
their image, or vectors (`vectors`). Training samples are random windows, of which only the tiles that they touch are
read. The splits are divided by place (`blocks`), or by files: `images: {train: [north.tif], val: [south.tif]}`.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from seglight.data.augmentation.transforms import Augmentation
from seglight.data.class_files import CLASS_FILE, read_classes
from seglight.data.datamodule import SegmentationDataModule
from seglight.data.dataset import SegmentationDataset
from seglight.data.pairs import root_folder, say_once
from seglight.data.scenes.area import Area
from seglight.data.scenes.blocks import Blocks, Ground
from seglight.data.scenes.files import SCENE_SUFFIXES, Images, label_file, scene_files
from seglight.data.scenes.labels import RasterLabels, SceneLabels, VectorFiles, VectorLabels
from seglight.data.scenes.leaks import check_one_grid, check_places
from seglight.data.scenes.tiles import Scenes, Tiles
from seglight.data.scenes.windows import RandomWindows, WindowDataset, usable
from seglight.data.vectors import VectorMemory
from seglight.errors import UserError
from seglight.images.open_rasters import OpenRasters
from seglight.images.placement import Placement, placement
from seglight.images.read_bands import check_bands, files_of


class ScenesDataModule(SegmentationDataModule):
    """Random windows and tiles of scenes.

    Args:
        root: Folder of the data set.
        augmentation: Augmentation of training windows, which is required. Its crop size and scale decide how large the
            windows are; `rare_class_crops` needs whole masks and is not available.
        classes: File that names the classes, or None: `classes.yaml` in root.
        images: Folder or pattern of the images below root; or, without `blocks`, for each split a folder, a pattern or
            a list of files. None: as `classes.yaml` says, or `images`.
        masks: Folder or pattern of the label rasters. None: as `classes.yaml` says, or `masks`.
        vectors: Vector files with the labels, in place of rasters.
        blocks: Blocks that divide the ground into training and validation. None: `images` names the scenes of each.
        windows_per_epoch: Number of training windows of an epoch.
        eval_size: Largest height and width in pixels of the tiles in which validation areas are scored.
        batch_size: Training samples per process and step.
        eval_batch_size: Tiles per process and step in evaluation.
        num_workers: Number of loader processes. The samples do not depend on it.
        seed: Seed of order, windows and augmentation.

    Raises:
        UserError: A number is out of range, the file that names the classes is missing or not valid, or splits are
            given by files and by blocks, or by neither.
    """

    def __init__(
        self,
        root: str,
        augmentation: Augmentation | None = None,
        classes: str | None = None,
        images: str | dict[str, str | list[str]] | None = None,
        masks: str | None = None,
        vectors: VectorFiles | None = None,
        blocks: Blocks | None = None,
        windows_per_epoch: int = 1000,
        eval_size: int = 1024,
        batch_size: int = 8,
        eval_batch_size: int = 1,
        num_workers: int = 2,
        seed: int = 0,
    ) -> None:
        if augmentation is None:
            raise UserError("data.augmentation: give its crop_size, such as 512, by which windows are drawn")
        table = read_classes(Path(classes) if classes is not None else Path(root) / CLASS_FILE)
        super().__init__(table.classes, batch_size, eval_batch_size, num_workers, seed, augmentation, bands=table.bands)
        self.root = root_folder(root)
        self.codec = table.codec
        self.images: Images = images or table.images or "images"
        self.masks = masks or table.masks or "masks"
        self.vectors = vectors
        self.blocks = blocks
        self.windows_per_epoch = windows_per_epoch
        self.eval_size = eval_size
        self.windows = augmentation
        for name, number in (("windows_per_epoch", windows_per_epoch), ("eval_size", eval_size)):
            if number < 1:
                raise UserError(f"data.{name} {number}: give a whole number from 1")
        if augmentation.rare_class_crops is not None:
            raise UserError("data.augmentation.rare_class_crops: it needs whole masks: use max_class_ratio for scenes")
        if (blocks is None) == isinstance(self.images, str):
            raise UserError(
                "data: divide the scenes by data.blocks, {block_size: 2048}, or name those of each split in "
                "data.images, {train: [north.tif], val: [south.tif]}; not both"
            )

    def split(self, name: str) -> RandomWindows | Tiles:
        """Random windows of "train", or the tiles of "val" or "test".

        Raises:
            UserError: There is no such split, or one of its files is missing, damaged, or of other bands.
        """
        scenes, areas = self.areas(name)
        if name != "train":
            return Tiles.of(scenes, areas, self.eval_size)
        chosen = usable(areas, scenes.sizes, self.windows)
        if not chosen:
            raise UserError(
                f"no training area holds a window of crop_size {self.windows.crop_size} at scale "
                f"{self.windows.scale[0]}: raise data.blocks.block_size, or lower data.augmentation.crop_size"
            )
        if len(chosen) < len(areas):
            left_out = next(scene for scene in range(len(areas)) if scene not in chosen)
            say_once(
                f"{scenes.images[left_out][0]}: no training windows from it (and {len(areas) - len(chosen) - 1} more "
                "scenes), because no area of it is as large as the largest window"
            )
        return RandomWindows(scenes, areas, self.windows_per_epoch, self.windows, self.seed)

    def tiles(self, name: str) -> Tiles:
        """All pixels of a split in tiles, those of "train" as well.

        Raises:
            UserError: See `split`.
        """
        return Tiles.of(*self.areas(name), self.eval_size)

    def areas(self, name: str) -> tuple[Scenes, list[Area]]:
        """The scenes of a split, and the area of each that belongs to it.

        Raises:
            UserError: See `split`.
        """
        if self.blocks is not None:
            if name not in ("train", "val"):
                raise UserError(
                    f"data.blocks divides the scenes into training and validation, there is no {name} split: score "
                    "with `seglight validate`, or name the scenes of each split in data.images"
                )
            check_one_grid(self.grounds("val"))
            return self._scenes("val"), self._areas[name]
        scenes = self._scenes(name)
        return scenes, [Area.whole(size) for size in scenes.sizes]

    def grounds(self, name: str) -> list[Ground]:
        """Names, sizes and positions of the scenes of a split: with blocks, of all scenes.

        Raises:
            UserError: See `split`.
        """
        scenes = self._scenes(name)
        return [
            Ground(str(files[0]), size, self._placement(files[0], size))
            for files, size in zip(scenes.images, scenes.sizes, strict=True)
        ]

    def check_disjoint(self) -> None:
        """Check that no scene of the validation shows a place of the training, if they are divided by files.

        Raises:
            UserError: One does.
        """
        if self.blocks is None:
            check_places(self.grounds("train"), self.grounds("val"))

    def _placement(self, path: Path, size: tuple[int, int]) -> Placement | None:
        if path not in self._places:
            self._places[path] = placement(path, size)
        return self._places[path]

    @cached_property
    def _places(self) -> dict[Path, Placement | None]:
        return {}

    @cached_property
    def _areas(self) -> dict[str, list[Area]]:
        assert self.blocks is not None
        return self.blocks.areas(self.grounds("val"))

    @cached_property
    def _rasters(self) -> OpenRasters:
        return OpenRasters()

    def _training_set(self) -> SegmentationDataset:
        return WindowDataset(self.splits["train"], self.windows, self.seed, self.num_classes, self.bands)

    @cached_property
    def _of_split(self) -> dict[str, Scenes]:
        return {}

    def _scenes(self, name: str) -> Scenes:
        if name not in self._of_split:
            self._of_split[name] = self._found(name)
        return self._of_split[name]

    def _found(self, name: str) -> Scenes:
        images = self.images if isinstance(self.images, str) else self.images.get(name)
        if images is None:
            raise UserError(
                f"data.images names no scenes for the {name} split, only for {', '.join(self.images)}: add it"
            )
        found = scene_files(self.root, images, self.bands)
        files = [tuple(file for file, _ in files_of(path, self.bands)) for path in found]
        sizes = [self._size(one) for one in files]
        labels = self._labels(name, found)
        for scene, (one, size) in enumerate(zip(files, sizes, strict=True)):
            labels.check(scene, one[0], size, self._placement(one[0], size))
        return Scenes(files, sizes, labels, self.bands, self._rasters)

    def _labels(self, name: str, found: Mapping[Path, tuple[str, str]]) -> SceneLabels:
        if self.vectors is not None:
            places = [self.vectors.path(self.root, key, path) for path, key in found.items()]
            memory = VectorMemory.empty()
            of_file = {path: self.vectors.of(path, self.classes, self.codec, memory) for path in dict.fromkeys(places)}
            return VectorLabels(places, list(found), [of_file[path] for path in places], self.vectors)
        masks = self.masks if isinstance(self.masks, str) else self.masks.get(name, "masks")
        places = [label_file(self.root, masks, key, path, (*SCENE_SUFFIXES, ".png")) for path, key in found.items()]
        return RasterLabels(places, self.codec, self._rasters)

    def _size(self, files: tuple[Path, ...]) -> tuple[int, int]:
        for file, band in files_of(files[0], self.bands):
            check_bands(file, band)
        raster = self._rasters.get(files)
        height, width, bands = raster.shape
        if (bands, raster.dtype) != (len(self.bands.names), self.bands.dtype):
            raise UserError(
                f"{files[0]}: it holds {bands} band{'' if bands == 1 else 's'} of {raster.dtype}, where "
                f"{self.bands.line()} are declared: declare its bands in classes.yaml"
            )
        return height, width
