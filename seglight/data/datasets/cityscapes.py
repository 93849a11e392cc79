"""Cityscapes, fine annotations in 19 classes (Cordts et al. 2016).

root/leftImg8bit/{train,val,test}/<city>/*_leftImg8bit.png  root/gtFine/{...}/<city>/*_gtFine_labelIds.png
"""

from seglight.data.datamodule import FileDataModule
from seglight.data.datasets.cityscapes_classes import CLASSES, TRAIN_IDS
from seglight.data.labels import LabelCodec
from seglight.data.pairs import FilePairs, existing_folder, surplus_masks
from seglight.errors import UserError

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
