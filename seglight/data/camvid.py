"""CamVid, 480x360 in 11 classes, as the SegNet tutorial lays it out (Brostow et al. 2009; arXiv 1511.00561).

root/train/*.png  root/trainannot/*.png  (and val, test): RGB images; 8-bit index masks, 11 is void
"""

from pathlib import Path

from seglight.data.classes import Classes
from seglight.data.datamodule import SegmentationDataModule
from seglight.data.labels import LabelCodec
from seglight.data.pairs import FilePairs, image_files, paired
from seglight.data.transforms import Augmentation

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


class CamVidDataModule(SegmentationDataModule):
    """CamVid street scenes.

    Args:
        root: Folder that holds `train`, `trainannot`, `val`, ...
        augmentation: What a training sample goes through, or None: as it is.
        batch_size: Training samples a process and step.
        eval_batch_size: Images a process and step in evaluation.
        num_workers: Loader processes.
        seed: Decides order and augmentation.
    """

    def __init__(
        self,
        root: str,
        augmentation: Augmentation | None = None,
        batch_size: int = 8,
        eval_batch_size: int = 1,
        num_workers: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__(CLASSES, batch_size, eval_batch_size, num_workers, seed, augmentation)
        self.root = Path(root)

    def split(self, name: str) -> FilePairs:
        """The labelled images of "train", "val" or "test"."""
        images = image_files(self.root / name, f"CamVid's {name} images")
        annotations = self.root / f"{name}annot"
        return paired(images, [annotations / image.name for image in images], CODEC)
