"""Data sets: a LightningDataModule each."""

from seglight.data.ade20k import ADE20KDataModule
from seglight.data.camvid import CamVidDataModule
from seglight.data.camvid32 import CamVid32DataModule
from seglight.data.cityscapes import CityscapesDataModule
from seglight.data.coco_json import COCOPolygonsDataModule
from seglight.data.cocostuff import COCOStuffDataModule
from seglight.data.datamodule import FileDataModule, SegmentationDataModule
from seglight.data.folder import FolderDataModule
from seglight.data.labelme import LabelMeDataModule
from seglight.data.pet import OxfordIIITPetDataModule
from seglight.data.shapes import ShapesDataModule
from seglight.data.transforms import Augmentation
from seglight.data.voc import VOCDataModule

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
