"""Converts a labelled data set to folders of images and masks.

    out/classes.yaml  out/images/<split>/*  out/masks/<split>/*.png

Masks are palette PNGs whose index is the class. Images are hard links to the files of the data set where the file
system allows them, and copies elsewhere; they are never encoded again. `out` is complete or does not exist.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import yaml

from seglight.data.class_files import CLASS_FILE
from seglight.data.classes import Classes
from seglight.data.layouts.layout import LabelReader, Layout
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.exif import SIDEWAYS
from seglight.images.label_png import write_labels
from seglight.images.read_bands import exif_orientation, image_size
from seglight.system.atomic import atomic_folder, atomic_write
from seglight.system.pool import spread


@dataclass(frozen=True)
class Converted:
    """Result of a conversion.

    Args:
        root: Folder that was written.
        images: Path of each image of the layout in it, relative to `root`, with slashes.
        remarks: What the user should know about it, one sentence each.
    """

    root: Path
    images: Mapping[Path, str]
    remarks: Sequence[str]


def convert(
    layout: Layout, out: Path, splits: Mapping[str, Sequence[Path]] | None = None, bands: Bands = RGB
) -> Converted:
    """Write the images and masks of a layout to a folder that `FolderDataModule` reads.

    Args:
        layout: Layout of the data set.
        out: Folder that is written; it must not exist.
        splits: Images of each split; None: those of the layout.
        bands: What the images hold.

    Raises:
        UserError: The folder exists, a label can't be read, or a mask has another size than its image.
    """
    if out.exists():
        raise UserError(f"{out}: it exists, and nothing in it is overwritten: give another folder, or remove it")
    images: dict[Path, str] = {}
    jobs: list[tuple[Path, str, str]] = []
    renamed = 0
    for split, files in (layout.splits if splits is None else splits).items():
        names = unique_names(files)
        renamed += sum(name != file.name for file, name in zip(files, names, strict=True))
        images |= {file: f"images/{split}/{name}" for file, name in zip(files, names, strict=True)}
        jobs += [(file, split, name) for file, name in zip(files, names, strict=True)]
    with atomic_folder(out) as part:
        for split in {split for _, split, _ in jobs}:
            (part / "images" / split).mkdir(parents=True)
            (part / "masks" / split).mkdir(parents=True)
        writer = Writer(layout.form, layout.labels, layout.image_bytes, layout.classes, part)
        copied = sum(spread({"write": writer}, [("write", job) for job in jobs], "converting"))
        atomic_write(part / CLASS_FILE, class_file(layout.classes, bands))
    return Converted(out, images, _remarks(len(jobs), copied, renamed, layout.image_bytes is None))


@dataclass(frozen=True)
class Writer:
    """Writes an image and its mask; called in several processes.

    Args:
        form: Name of the form that is converted.
        labels: Function that reads the label map of an image.
        image_bytes: Function that reads an image inside another file; None: the images are files.
        classes: Names and colours of the classes.
        root: Folder that is written.
    """

    form: str
    labels: LabelReader
    image_bytes: Callable[[Path], bytes] | None
    classes: Classes
    root: Path

    def __call__(self, job: tuple[Path, str, str]) -> bool:
        """Write an image; returns whether its file was copied, and not linked.

        Args:
            job: The image, its split, and the name of the file that is written.
        """
        image, split, name = job
        target = self.root / "images" / split / name
        if self.image_bytes is not None:
            target.write_bytes(self.image_bytes(image))
            copied = True
        else:
            copied = not _linked(image, target)
        mask = self.labels(image)
        _check_size(image, target, mask.shape)
        mask_file = self.root / "masks" / split / f"{target.stem}.png"
        write_labels(mask_file, mask, self.classes.palette, f"{self.form}: {image.name}")
        return copied


def unique_names(images: Sequence[Path]) -> list[str]:
    """Names of files in one folder whose stems differ, as those of masks have to, whatever the case of letters.

    A name that occurs once is kept. The others are preceded by their folders: `cam1/0001.jpg` is `cam1__0001.jpg`.

    Args:
        images: Image files of a split.
    """
    stems = Counter(image.stem.casefold() for image in images)
    taken = {stem for stem, number in stems.items() if number == 1}
    above = Path(os.path.commonpath([image.parent for image in images])) if images else Path()
    names = []
    for image in images:
        if stems[image.stem.casefold()] == 1:
            names.append(image.name)
            continue
        stem = free = "__".join(PurePath(image).relative_to(above).with_suffix("").parts)
        number = 1
        while free.casefold() in taken:
            number += 1
            free = f"{stem}__{number}"
        taken.add(free.casefold())
        names.append(free + image.suffix)
    return names


def class_file(classes: Classes, bands: Bands = RGB) -> str:
    """Content of the `classes.yaml` of the masks that are written.

    Args:
        classes: Names and colours of the classes.
        bands: What the images hold.
    """
    content = {} if bands.is_rgb8 else {"bands": bands.to_dict()}
    of_bands = yaml.safe_dump(content, default_flow_style=None, sort_keys=False, width=10**6) if content else ""
    entries = [{"name": name, "color": list(color)} for name, color in zip(classes.names, classes.palette, strict=True)]
    lines = [yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10**6) for entry in entries]
    return f"{of_bands}ignore: {classes.ignore_index}\nclasses:\n" + "".join(f"- {line}" for line in lines)


def _linked(image: Path, target: Path) -> bool:
    """Link or copy a file; returns whether it is a link."""
    image = image.resolve()  # a hard link to a symbolic link would be another symbolic link
    try:
        os.link(image, target)
    except OSError:  # another file system, one without links, or a file of another user
        shutil.copy2(image, target)
        return False
    return True


def _check_size(image: Path, written: Path, size: tuple[int, ...]) -> None:
    try:
        found = image_size(written)
        if found == size:
            return
        orientation = exif_orientation(written)
    except UserError as error:  # `written` is gone when the message is read
        raise UserError(str(error).replace(str(written), str(image))) from error
    labelled, shown = (f"{height}x{width}" for height, width in (size, found))
    if orientation in SIDEWAYS and found == size[::-1]:
        raise UserError(
            f"{image}: its EXIF orientation {orientation} turns it to {shown} (height x width), but its labels "
            f"fit the image as it is stored, {labelled}: label the turned image, or remove the tag from the image"
        )
    raise UserError(
        f"{image}: the image has {shown} pixels (height x width), but its labels are for {labelled}: "
        "put the image there that was labelled, or export the labels again"
    )


def _remarks(number: int, copied: int, renamed: int, files: bool) -> list[str]:
    linked = number - copied
    how = [f"{linked} are hard links"] if linked else []
    if copied:
        how.append(f"{copied} are copies" if files else f"{copied} were written as they are stored")
    remarks = [f"Of {number} images, {' and '.join(how)}."] if number else []
    if renamed:
        remarks.append(f"{renamed} images have the name of another one, and got that of their folder in front of it.")
    return remarks
