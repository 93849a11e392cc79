"""The 11 classes of CamVid in the SegNet tutorial, for code that runs without torch."""

from seglight.data.classes import Classes
from seglight.data.labels import LabelCodec

CLASSES = Classes(
    names=(
        "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
    ),
    palette=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
)  # fmt: skip
VOID = 11
"""Value of pixels that are not labelled."""

CODEC = LabelCodec({index: index for index in range(len(CLASSES))}, ignored=(VOID,))
