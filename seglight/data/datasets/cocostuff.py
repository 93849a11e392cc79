"""COCO-Stuff of 164k images: 80 things and 91 kinds of stuff (Caesar et al. 2018, arXiv 1612.03716).

    root/{train,val}2017/*.jpg  root/stuffthingmaps_trainval2017/{train,val}2017/*.png

As on the authors' page, the former may be in `images/` and the latter in `annotations/`. Masks are 8-bit index files of
label id - 1; 255 is unlabelled. Names and ids are those of labels.txt (github.com/nightrome/cocostuff), whose ids 12,
26, 29, 30, 45, 66, 68, 69, 71, 83 and 91 were never used. It has no colours: they are VOC's, by label id.
"""

from pathlib import Path

from seglight.data.classes import Classes, voc_color
from seglight.data.datamodule import FileDataModule
from seglight.data.labels import LabelCodec
from seglight.data.pairs import FilePairs, image_files, surplus_masks
from seglight.errors import UserError

NEVER_DRAWN = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)
LABEL_IDS = tuple(label_id for label_id in range(1, 183) if label_id not in NEVER_DRAWN)
"""Label id of each class, in order."""

CLASSES = Classes(
    names=(
        "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
        "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
        "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
        "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
        "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
        "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
        "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
        "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
        "hair drier", "toothbrush",
        "banner", "blanket", "branch", "bridge", "building-other", "bush", "cabinet", "cage", "cardboard", "carpet",
        "ceiling-other", "ceiling-tile", "cloth", "clothes", "clouds", "counter", "cupboard", "curtain", "desk-stuff",
        "dirt", "door-stuff", "fence", "floor-marble", "floor-other", "floor-stone", "floor-tile", "floor-wood",
        "flower", "fog", "food-other", "fruit", "furniture-other", "grass", "gravel", "ground-other", "hill", "house",
        "leaves", "light", "mat", "metal", "mirror-stuff", "moss", "mountain", "mud", "napkin", "net", "paper",
        "pavement", "pillow", "plant-other", "plastic", "platform", "playingfield", "railing", "railroad", "river",
        "road", "rock", "roof", "rug", "salad", "sand", "sea", "shelf", "sky-other", "skyscraper", "snow",
        "solid-other", "stairs", "stone", "straw", "structural-other", "table", "tent", "textile-other", "towel",
        "tree", "vegetable", "wall-brick", "wall-concrete", "wall-other", "wall-panel", "wall-stone", "wall-tile",
        "wall-wood", "water-other", "waterdrops", "window-blind", "window-other", "wood",
    ),
    palette=tuple(voc_color(label_id) for label_id in LABEL_IDS),
)  # fmt: skip
CODEC = LabelCodec({label_id - 1: index for index, label_id in enumerate(LABEL_IDS)}, ignored=(255,))


class COCOStuffDataModule(FileDataModule):
    """COCO-Stuff. Its images differ in size, and its test labels are not public: score on `val`."""

    classes = CLASSES

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train" or "val"."""
        if name == "test":
            raise UserError("COCO-Stuff's test labels are not public: score with `seglight validate`")
        folder = f"{name}2017"
        images = image_files(self._first(folder, "", "images"), f"COCO's {name} images")
        annotations = self._first(folder, "stuffthingmaps_trainval2017", "annotations", "stuffthingmaps")
        masks = [annotations / f"{image.stem}.png" for image in images]
        # mmsegmentation writes *_labelTrainIds.png beside them
        return FilePairs(images, masks, CODEC, surplus_masks(annotations, masks, "*[0-9].png"))

    def _first(self, folder: str, *parents: str) -> Path:
        """The first of the usual folders that exists, or the first one if none does."""
        places = [self.root / parent / folder for parent in parents]
        return next((place for place in places if place.is_dir()), places[0])
