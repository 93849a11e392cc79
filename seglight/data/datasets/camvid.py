"""CamVid, 480x360 in 11 classes, in the layout of the SegNet tutorial (Brostow et al. 2009; arXiv 1511.00561).

root/train/*.png  root/trainannot/*.png  (and val, test): RGB images; 8-bit index masks, 11 is void
"""

from seglight.data.classes import Classes
from seglight.data.datamodule import FileDataModule
from seglight.data.labels import LabelCodec
from seglight.data.pairs import FilePairs, image_files, surplus_masks

CLASSES = Classes(
    names=(
        "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
    ),
    palette=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
)  # fmt: skip
CODEC = LabelCodec({index: index for index in range(len(CLASSES))}, ignored=(11,))


class CamVidDataModule(FileDataModule):
    """CamVid street scenes."""

    classes = CLASSES

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train", "val" or "test"."""
        images = image_files(self.root / name, f"CamVid's {name} images")
        annotations = self.root / f"{name}annot"
        masks = [annotations / image.name for image in images]
        return FilePairs(images, masks, CODEC, surplus_masks(annotations, masks))
