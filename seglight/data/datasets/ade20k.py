"""ADE20K in the 150 classes of the MIT Scene Parsing Benchmark (Zhou et al. 2017, arXiv 1608.05442).

    root/images/{training,validation}/*.jpg  root/annotations/{training,validation}/*.png

Masks are 8-bit index files: 0 is none of the 150 classes and ignored, 1 to 150 are classes 0 to 149. Root may also be
the parent folder, which contains `ADEChallengeData2016`. Names are those of the benchmark's colour chart, colours those
of its color150.mat (github.com/CSAILVision/sceneparsing): road and skyscraper have the same one.
"""

from seglight.data.datamodule import FileDataModule
from seglight.data.datasets.ade20k_classes import CLASSES, CODEC
from seglight.data.pairs import FilePairs, image_files, surplus_masks
from seglight.errors import UserError

FOLDERS = {"train": "training", "val": "validation"}


class ADE20KDataModule(FileDataModule):
    """ADE20K scenes. Its images differ in size, and its test labels are not public: score on `val`."""

    classes = CLASSES

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train" or "val"."""
        if name == "test":
            raise UserError("ADE20K's test labels are not public: score with `seglight validate`")
        above = self.root / "ADEChallengeData2016"
        root = above if above.is_dir() else self.root
        images = image_files(root / "images" / FOLDERS[name], f"ADE20K's {name} images")
        annotations = root / "annotations" / FOLDERS[name]
        masks = [annotations / f"{image.stem}.png" for image in images]
        return FilePairs(images, masks, CODEC, surplus_masks(annotations, masks))
