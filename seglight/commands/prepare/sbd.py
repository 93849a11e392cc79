"""SBD, further masks for the images of VOC 2012 (Hariharan et al. 2011): `prepare sbd` after `prepare voc`, same root.

Writes `SegmentationClassAug/*.png`, index PNGs, and `ImageSets/Segmentation/trainaug.txt`: the images of SBD and of
VOC's train without those of VOC's val, 10,582 in all. If VOC has a mask of its own, that one is used, as in the usual
`trainaug`: it is finer, and marks the borders as void.

The SHA-256 is that of torchvision's prototype data sets (`sbd.py`); the size is that of a download in a public notebook
that passed torchvision's MD5.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from rich.progress import track

from seglight.commands.prepare.download import Archive
from seglight.commands.prepare.extract import ArchiveError
from seglight.commands.prepare.layout import names_in
from seglight.commands.prepare.steps import DataSet
from seglight.commands.prepare.transfer import on_disk
from seglight.errors import UserError
from seglight.system.terminal import plain_console

MASKS = "SegmentationClassAug"
LISTS = Path("ImageSets", "Segmentation")
ARCHIVE = Archive(
    name="benchmark.tgz",
    urls=(
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
        "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
    ),
    size=1_419_539_633,
    sha256="6a5a2918d5c73ce032fdeba876574d150d9d04113ab87540a1304cbcc715be53",
    inside="benchmark_RELEASE/dataset",
    keep=("cls", "train.txt", "val.txt"),
)


def needs_voc(root: Path) -> None:
    """Check that VOC 2012 has been prepared.

    Raises:
        UserError: A part of it is missing.
    """
    for path in (LISTS / "train.txt", LISTS / "val.txt", Path("JPEGImages"), Path("SegmentationClass")):
        if not (root / path).exists():
            raise UserError(f"{root / path}: missing, but SBD needs VOC 2012: run `prepare voc` with this root first")


def convert(unpacked: Path, root: Path) -> None:
    """Convert SBD's .mat files to PNGs, and write the list.

    Raises:
        ArchiveError: SBD's lists contain names that can't be images of VOC.
        UserError: The disk is full.
    """
    ours, val = names_in(root / LISTS / "train.txt"), set(names_in(root / LISTS / "val.txt"))
    theirs = [*names_in(unpacked / "train.txt"), *names_in(unpacked / "val.txt")]
    strange = [name for name in theirs if not re.fullmatch(r"\d{4}_\d{6}", name)]
    if strange:
        raise ArchiveError(
            f"{ARCHIVE.name}: {strange[0]!r} in SBD's lists is no image of VOC: remove the archive and run this again"
        )
    masks, lists = unpacked / MASKS, unpacked / LISTS
    with on_disk(unpacked):
        masks.mkdir()
        lists.mkdir(parents=True)
        for name in ours:
            shutil.copyfile(root / "SegmentationClass" / f"{name}.png", masks / f"{name}.png")
        console = plain_console(stderr=True)
        further = sorted({*theirs} - {*ours} - val)
        for name in track(further, "masks to PNG", console=console, disable=not console.is_terminal):
            save_png(unpacked / "cls" / f"{name}.mat", masks / f"{name}.png")
        (lists / "trainaug.txt").write_text(
            "".join(f"{name}\n" for name in sorted({*ours, *further})), encoding="utf-8"
        )


def save_png(mat: Path, png: Path) -> None:
    """Write the mask in a .mat file of SBD as an 8-bit PNG of class indices."""
    from PIL import Image
    from scipy.io import loadmat

    Image.fromarray(loadmat(mat, variable_names=["GTcls"])["GTcls"][0, 0]["Segmentation"]).save(png)


def count(root: Path) -> Mapping[str, int]:
    """Count the training images, as the data module finds them.

    Raises:
        UserError: A list, an image or a mask is missing.
    """
    from seglight.data.datasets.voc import VOCDataModule  # here: `prepare --help` needs no torch

    return {"train": len(VOCDataModule(str(root)).split("train"))}


DATA_SET = DataSet(
    name="sbd",
    title="SBD",
    archives=(ARCHIVE,),
    gives=(MASKS, str(LISTS / "trainaug.txt")),
    unpacked=3_000_000_000,
    images={"train": 10_582},
    count=count,
    fit="-c configs/base.yaml -c configs/data/voc.yaml -c configs/model/unet_resnet34.yaml "
    "-c configs/schedule/sgd_poly_40k.yaml",
    nested="VOC2012",
    needs=needs_voc,
    finish=convert,
)
