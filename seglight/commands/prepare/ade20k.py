"""ADE20K's scene parsing benchmark (Zhou et al. 2017): `prepare ade20k`, after the archive is fetched by hand.

Size and SHA-256 are those of TensorFlow Datasets (`url_checksums/ade20k.txt`).
"""

from collections.abc import Mapping
from pathlib import Path

from seglight.commands.prepare.download import Archive
from seglight.commands.prepare.steps import DataSet

PARTS = ("images", "annotations", "objectInfo150.txt", "sceneCategories.txt")
ARCHIVE = Archive(
    name="ADEChallengeData2016.zip",
    urls=(),
    size=967_382_037,
    sha256="7ff1be44964418441f542a7cc1e1a650e7dc0fc275f5d23252bc9bbdbc977b29",
    inside="ADEChallengeData2016",
    keep=PARTS,
)


def count(root: Path) -> Mapping[str, int]:
    """Count the images of both splits, as the data module finds them.

    Raises:
        UserError: A mask is missing.
    """
    from seglight.data.datasets.ade20k import ADE20KDataModule  # here: `prepare --help` needs no torch

    data = ADE20KDataModule(str(root))
    return {split: len(data.split(split)) for split in ("train", "val")}


DATA_SET = DataSet(
    name="ade20k",
    title="ADE20K",
    archives=(ARCHIVE,),
    gives=PARTS,
    unpacked=1_500_000_000,
    images={"train": 20_210, "val": 2_000},
    count=count,
    fit="-c configs/base.yaml -c configs/data/ade20k.yaml -c configs/model/deeplabv3plus_resnet50.yaml "
    "-c configs/schedule/sgd_poly_40k.yaml",
    by_hand="agree to the terms at http://sceneparsing.csail.mit.edu and download the data for the benchmark there "
    "(http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip)",
    nested="ADEChallengeData2016",
)
