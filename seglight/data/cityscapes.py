"""Cityscapes, fine annotations in 19 classes (Cordts et al. 2016; table: cityscapesscripts/helpers/labels.py).

root/leftImg8bit/{train,val,test}/<city>/*_leftImg8bit.png  root/gtFine/{...}/<city>/*_gtFine_labelIds.png
"""

from seglight.data.classes import Classes
from seglight.data.datamodule import FileDataModule
from seglight.data.labels import LabelCodec
from seglight.data.pairs import FilePairs, existing_folder, surplus_masks
from seglight.errors import UserError

CLASSES = Classes(
    names=(
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
        "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    ),
    palette=(
        (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
        (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0),
        (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
    ),
)  # fmt: skip
TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label id of each class, in order."""

# 255 is label id -1, the number plate, in an 8-bit file
CODEC = LabelCodec(
    {label_id: index for index, label_id in enumerate(TRAIN_IDS)},
    ignored=tuple(value for value in (*range(34), 255) if value not in TRAIN_IDS),
)


class CityscapesDataModule(FileDataModule):
    """Cityscapes. The public labels of its test split are blank: score on `val`."""

    classes = CLASSES

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train" or "val"."""
        if name == "test":
            raise UserError("Cityscapes' test labels are not public: score with `seglight validate`")
        folder = existing_folder(self.root / "leftImg8bit" / name, f"Cityscapes' {name} images by city")
        images = sorted(folder.glob("*/*_leftImg8bit.png"))
        if not images:
            raise UserError(f"{folder}: no <city>/*_leftImg8bit.png there: unpack leftImg8bit_trainvaltest.zip again")
        labels = self.root / "gtFine" / name
        masks = [
            labels / image.parent.name / image.name.replace("_leftImg8bit.png", "_gtFine_labelIds.png")
            for image in images
        ]
        return FilePairs(images, masks, CODEC, surplus_masks(labels, masks, "*/*_gtFine_labelIds.png"))
