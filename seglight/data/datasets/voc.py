"""PASCAL VOC 2012 in 21 classes (Everingham et al. 2010), with SBD's `trainaug` list if it exists.

    root/JPEGImages/*.jpg  root/SegmentationClass/*.png  root/ImageSets/Segmentation/{train,trainaug,val}.txt

Masks are palette PNGs; 255 is void. Root may also be the parent folder `VOCdevkit`. The masks of SBD (Hariharan et al.
2011) are index PNGs in `SegmentationClassAug`, the usual folder.
"""

from seglight.data.datamodule import FileDataModule
from seglight.data.datasets.voc_classes import CLASSES
from seglight.data.labels import LabelCodec
from seglight.data.pairs import FilePairs, existing_folder
from seglight.errors import UserError

CODEC = LabelCodec({index: index for index in range(len(CLASSES))}, ignored=(255,))


class VOCDataModule(FileDataModule):
    """PASCAL VOC 2012. Its images differ in size, and its test labels are not public: score on `val`."""

    classes = CLASSES

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train" (`trainaug` if its list exists) or "val"."""
        if name == "test":
            raise UserError("VOC's test labels are not public: score with `seglight validate`")
        root = self.root / "VOC2012" if (self.root / "VOC2012").is_dir() else self.root
        lists = existing_folder(root / "ImageSets" / "Segmentation", "VOC's lists of images")
        augmented = name == "train" and (lists / "trainaug.txt").is_file()
        listing = lists / ("trainaug.txt" if augmented else f"{name}.txt")
        if not listing.is_file():
            raise UserError(f"{listing}: VOC's list of the {name} split is missing: unpack the data set again")
        names = listing.read_text(encoding="utf-8").split()
        if not names:
            raise UserError(f"{listing}: the list of the {name} split is empty: unpack the data set again")
        masks = root / "SegmentationClass"
        if augmented and (root / "SegmentationClassAug").is_dir():
            masks = root / "SegmentationClassAug"
        images = [root / "JPEGImages" / f"{stem}.jpg" for stem in names]
        return FilePairs(images, [masks / f"{stem}.png" for stem in names], CODEC)
