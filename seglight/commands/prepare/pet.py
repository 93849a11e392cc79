"""Oxford-IIIT Pet (Parkhi et al. 2012): `prepare pet`.

Sizes and SHA-256 are those of TensorFlow Datasets (`oxford_iiit_pet/checksums.tsv`).
"""

from collections.abc import Mapping
from pathlib import Path

from seglight.commands.prepare.download import Archive
from seglight.commands.prepare.steps import DataSet

SERVERS = ("https://thor.robots.ox.ac.uk/~vgg/data/pets", "https://www.robots.ox.ac.uk/~vgg/data/pets/data")
IMAGES = Archive(
    name="images.tar.gz",
    urls=tuple(f"{server}/images.tar.gz" for server in SERVERS),
    size=791_918_971,
    sha256="67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
    inside="",
    keep=("images",),
)
ANNOTATIONS = Archive(
    name="annotations.tar.gz",
    urls=tuple(f"{server}/annotations.tar.gz" for server in SERVERS),
    size=19_173_078,
    sha256="52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
    inside="",
    keep=("annotations",),
)


def count(root: Path) -> Mapping[str, int]:
    """Count the images of all splits, as the data module finds them; its `train` and `val` are the 3,680 of trainval.

    Raises:
        UserError: A list, an image or a trimap is missing.
    """
    from seglight.data.datasets.pet import OxfordIIITPetDataModule  # here: `prepare --help` needs no torch

    data = OxfordIIITPetDataModule(str(root))
    return {split: len(data.split(split)) for split in ("train", "val", "test")}


DATA_SET = DataSet(
    name="pet",
    title="Oxford-IIIT Pet",
    archives=(ANNOTATIONS, IMAGES),
    gives=("images", "annotations"),
    unpacked=1_200_000_000,
    images={"train": 2944, "val": 736, "test": 3669},
    count=count,
    fit="-c configs/base.yaml -c configs/data/pet.yaml -c configs/model/unet_resnet34.yaml "
    "-c configs/schedule/adamw_poly_short.yaml",
    nested="oxford-iiit-pet",
)
