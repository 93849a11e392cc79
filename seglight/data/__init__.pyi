from .augmentation.per_band import PerBand
from .augmentation.transforms import Augmentation
from .classes import Classes
from .datamodule import FileDataModule, SegmentationDataModule
from .datasets.ade20k import ADE20KDataModule
from .datasets.camvid import CamVidDataModule
from .datasets.camvid32 import CamVid32DataModule
from .datasets.cifar10 import CIFAR10DataModule
from .datasets.cityscapes import CityscapesDataModule
from .datasets.coco_json import COCOPolygonsDataModule
from .datasets.coco_panoptic import COCOPanopticDataModule
from .datasets.cocostuff import COCOStuffDataModule
from .datasets.folder import FolderDataModule
from .datasets.image_folder import ImageFolderDataModule
from .datasets.labelme import LabelMeDataModule
from .datasets.pet import OxfordIIITPetDataModule
from .datasets.scenes import ScenesDataModule
from .datasets.shapes import ShapesDataModule
from .datasets.voc import VOCDataModule
from .labels import ColorCodec, LabelCodec
from .pairs import FilePairs, image_files
from .scenes.blocks import Blocks
from .scenes.labels import VectorFiles

__all__ = [
    "ADE20KDataModule",
    "Augmentation",
    "Blocks",
    "CIFAR10DataModule",
    "COCOPanopticDataModule",
    "COCOPolygonsDataModule",
    "COCOStuffDataModule",
    "CamVid32DataModule",
    "CamVidDataModule",
    "CityscapesDataModule",
    "Classes",
    "ColorCodec",
    "FileDataModule",
    "FilePairs",
    "FolderDataModule",
    "ImageFolderDataModule",
    "LabelCodec",
    "LabelMeDataModule",
    "OxfordIIITPetDataModule",
    "PerBand",
    "ScenesDataModule",
    "SegmentationDataModule",
    "ShapesDataModule",
    "VOCDataModule",
    "VectorFiles",
    "image_files",
]
