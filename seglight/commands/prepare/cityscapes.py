"""Cityscapes (Cordts et al. 2016): `prepare cityscapes`, after the archives are fetched by hand (needs an account).

The SHA-256 are those of torchvision's prototype data sets (`cityscapes.py`), the sizes those of public listings of the
two files.
"""

from collections.abc import Mapping
from pathlib import Path

from seglight.commands.prepare.download import Archive
from seglight.commands.prepare.steps import DataSet

IMAGES = Archive(
    name="leftImg8bit_trainvaltest.zip",
    urls=(),
    size=11_592_327_197,
    sha256="3ccff9ac1fa1d80a6a064407e589d747ed0657aac7dc495a4403ae1235a37525",
    inside="",
    keep=("leftImg8bit",),
)
LABELS = Archive(
    name="gtFine_trainvaltest.zip",
    urls=(),
    size=252_567_705,
    sha256="40461a50097844f400fef147ecaf58b18fd99e14e4917fb7c3bf9c0d87d95884",
    inside="",
    keep=("gtFine",),
)


def count(root: Path) -> Mapping[str, int]:
    """Count the images of the splits with labels, as the data module finds them.

    Raises:
        UserError: A folder or a mask is missing.
    """
    from seglight.data.datasets.cityscapes import CityscapesDataModule  # here: `prepare --help` needs no torch

    data = CityscapesDataModule(str(root))
    return {split: len(data.split(split)) for split in ("train", "val")}


DATA_SET = DataSet(
    name="cityscapes",
    title="Cityscapes",
    archives=(LABELS, IMAGES),
    gives=("leftImg8bit", "gtFine"),
    unpacked=14_000_000_000,
    images={"train": 2975, "val": 500},
    count=count,
    fit="-c configs/base.yaml -c configs/data/cityscapes.yaml -c configs/model/deeplabv3plus_resnet50.yaml "
    "-c configs/schedule/sgd_poly_40k.yaml",
    by_hand="register at https://www.cityscapes-dataset.com and log in to its downloads",
)
