"""The 21 classes of PASCAL VOC, for code that runs without torch."""

from seglight.data.classes import Classes, voc_color

NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

CLASSES = Classes(NAMES, tuple(voc_color(index) for index in range(len(NAMES))))
