"""Data sets: a LightningDataModule each."""

from seglight.data.camvid import CamVidDataModule
from seglight.data.cityscapes import CityscapesDataModule
from seglight.data.datamodule import FileDataModule, SegmentationDataModule
from seglight.data.folder import FolderDataModule
from seglight.data.shapes import ShapesDataModule
from seglight.data.transforms import Augmentation
from seglight.data.voc import VOCDataModule

__all__ = [
    "Augmentation",
    "CamVidDataModule",
    "CityscapesDataModule",
    "FileDataModule",
    "FolderDataModule",
    "SegmentationDataModule",
    "ShapesDataModule",
    "VOCDataModule",
]
