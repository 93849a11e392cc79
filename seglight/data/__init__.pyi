from .augmentation.transforms import Augmentation
from .datamodule import FileDataModule, SegmentationDataModule
from .datasets.ade20k import ADE20KDataModule
from .datasets.camvid import CamVidDataModule
from .datasets.camvid32 import CamVid32DataModule
from .datasets.cityscapes import CityscapesDataModule
from .datasets.coco_json import COCOPolygonsDataModule
from .datasets.cocostuff import COCOStuffDataModule
from .datasets.folder import FolderDataModule
from .datasets.labelme import LabelMeDataModule
from .datasets.pet import OxfordIIITPetDataModule
from .datasets.shapes import ShapesDataModule
from .datasets.voc import VOCDataModule

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
