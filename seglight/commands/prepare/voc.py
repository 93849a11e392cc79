"""PASCAL VOC 2012 (Everingham et al. 2010): `prepare voc`.

Size and SHA-256 are those of TensorFlow Datasets (`url_checksums/voc.txt`), found there for the copy of pjreddie.com.
Mirrors: thor is the permanent address according to Oxford's administrator; host is the old address, which redirects
there; pjreddie is the oldest copy; d2l-data that of the book "Dive into Deep Learning", bcebos PaddlePaddle's.
"""

from collections.abc import Mapping
from pathlib import Path

from seglight.commands.prepare.download import Archive
from seglight.commands.prepare.layout import names_in
from seglight.commands.prepare.steps import DataSet

NAME = "VOCtrainval_11-May-2012.tar"
PARTS = ("JPEGImages", "SegmentationClass", "ImageSets", "Annotations", "SegmentationObject")
ARCHIVE = Archive(
    name=NAME,
    urls=(
        f"https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/{NAME}",
        f"http://host.robots.ox.ac.uk/pascal/VOC/voc2012/{NAME}",
        f"https://d2l-data.s3-accelerate.amazonaws.com/{NAME}",
        f"https://dataset.bj.bcebos.com/voc/{NAME}",
        f"https://data.pjreddie.com/files/{NAME}",
    ),
    size=1_999_639_040,
    sha256="e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
    inside="VOCdevkit/VOC2012",
    keep=PARTS,
)


def count(root: Path) -> Mapping[str, int]:
    """Count the images of VOC's own lists, as the data module finds them.

    Raises:
        UserError: A list, an image or a mask is missing.
    """
    from seglight.data.datasets.voc import VOCDataModule  # here: `prepare --help` needs no torch

    data = VOCDataModule(str(root))
    images = {split: len(data.split(split)) for split in ("train", "val")}
    lists = root / "ImageSets" / "Segmentation"
    if (lists / "trainaug.txt").is_file():  # SBD has been prepared, too, and the data module trains on it
        images["train"] = len(names_in(lists / "train.txt"))
    return images


DATA_SET = DataSet(
    name="voc",
    title="PASCAL VOC 2012",
    archives=(ARCHIVE,),
    gives=PARTS,
    unpacked=2_100_000_000,
    images={"train": 1464, "val": 1449},
    count=count,
    fit="-c configs/base.yaml -c configs/data/voc.yaml -c configs/model/unet_resnet34.yaml "
    "-c configs/schedule/sgd_poly_40k.yaml",
    nested="VOC2012",
)
