"""Every data module on a fabricated data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seglight.data import (
    ADE20KDataModule,
    Augmentation,
    CamVid32DataModule,
    CamVidDataModule,
    CityscapesDataModule,
    COCOPanopticDataModule,
    COCOPolygonsDataModule,
    COCOStuffDataModule,
    FolderDataModule,
    LabelMeDataModule,
    OxfordIIITPetDataModule,
    SegmentationDataModule,
    ShapesDataModule,
    VOCDataModule,
)
from tests.support import fabricate

LOADER: dict[str, Any] = {"augmentation": Augmentation(32), "batch_size": 2, "num_workers": 0}


MODULES: dict[str, tuple[Callable[[Path], SegmentationDataModule], int, dict[str, int]]] = {
    "ADE20KDataModule": (
        lambda path: ADE20KDataModule(str(fabricate.ade20k(path)), **LOADER),
        150,
        {"train": 4, "val": 2},
    ),
    "COCOPanopticDataModule": (
        lambda path: COCOPanopticDataModule(str(fabricate.coco_panoptic(path)), **LOADER),
        4,
        {"train": 4, "val": 2},
    ),
    "COCOPolygonsDataModule": (
        lambda path: COCOPolygonsDataModule(str(fabricate.coco_json(path)), **LOADER),
        4,
        {"train": 4, "val": 2},
    ),
    "COCOStuffDataModule": (
        lambda path: COCOStuffDataModule(str(fabricate.cocostuff(path)), **LOADER),
        171,
        {"train": 4, "val": 2},
    ),
    "CamVid32DataModule": (
        lambda path: CamVid32DataModule(str(fabricate.camvid32(path)), **LOADER),
        31,
        {"train": 4, "val": 2, "test": 2},
    ),
    "CamVidDataModule": (
        lambda path: CamVidDataModule(str(fabricate.camvid(path)), **LOADER),
        11,
        {"train": 4, "val": 2, "test": 2},
    ),
    "CityscapesDataModule": (
        lambda path: CityscapesDataModule(str(fabricate.cityscapes(path)), **LOADER),
        19,
        {"train": 4, "val": 2},
    ),
    "FolderDataModule": (
        lambda path: FolderDataModule(str(fabricate.folder(path)), **LOADER),
        3,
        {"train": 4, "val": 2, "test": 2},
    ),
    "LabelMeDataModule": (
        lambda path: LabelMeDataModule(str(fabricate.labelme(path)), **LOADER),
        3,
        {"train": 4, "val": 2, "test": 2},
    ),
    "OxfordIIITPetDataModule": (
        lambda path: OxfordIIITPetDataModule(str(fabricate.pet(path)), **LOADER),
        2,
        {"train": 4, "val": 1, "test": 2},
    ),
    "ShapesDataModule": (
        lambda path: ShapesDataModule(40, 4, 2, **LOADER),
        8,
        {"train": 4, "val": 2, "test": 2},
    ),
    "VOCDataModule": (
        lambda path: VOCDataModule(str(fabricate.voc(path)), **LOADER),
        21,
        {"train": 4, "val": 3},
    ),
}
