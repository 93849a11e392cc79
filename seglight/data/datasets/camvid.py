"""CamVid, 480x360 in 11 classes, in the layout of the SegNet tutorial (Brostow et al. 2009; arXiv 1511.00561).

root/train/*.png  root/trainannot/*.png  (and val, test): RGB images; 8-bit index masks, 11 is void
"""

from seglight.data.datamodule import FileDataModule
from seglight.data.datasets.camvid_classes import CLASSES, CODEC
from seglight.data.pairs import FilePairs, image_files, surplus_masks


class CamVidDataModule(FileDataModule):
    """CamVid street scenes."""

    classes = CLASSES

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train", "val" or "test"."""
        images = image_files(self.root / name, f"CamVid's {name} images")
        annotations = self.root / f"{name}annot"
        masks = [annotations / image.name for image in images]
        return FilePairs(images, masks, CODEC, surplus_masks(annotations, masks))
