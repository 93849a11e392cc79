from .ade20k import ADE20KDataModule
from .camvid import CamVidDataModule
from .camvid32 import CamVid32DataModule
from .cityscapes import CityscapesDataModule
from .coco_json import COCOPolygonsDataModule
from .cocostuff import COCOStuffDataModule
from .datamodule import FileDataModule, SegmentationDataModule
from .folder import FolderDataModule
from .labelme import LabelMeDataModule
from .pet import OxfordIIITPetDataModule
from .shapes import ShapesDataModule
from .transforms import Augmentation
from .voc import VOCDataModule

__all__ = [
    "ADE20KDataModule",
    "Augmentation",
    "COCOPolygonsDataModule",
    "COCOStuffDataModule",
    "CamVid32DataModule",
    "CamVidDataModule",
    "CityscapesDataModule",
    "FileDataModule",
    "FolderDataModule",
    "LabelMeDataModule",
    "OxfordIIITPetDataModule",
    "SegmentationDataModule",
    "ShapesDataModule",
    "VOCDataModule",
]
