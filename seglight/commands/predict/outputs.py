"""What is written of an image, and where below the folder of the outputs."""

import hashlib
import os
from collections.abc import Callable, Sequence, Set
from functools import partial
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.commands.predict.inputs import Pixels, Source
from seglight.commands.predict.submissions import ade_ids, cityscapes_ids, write_ids
from seglight.errors import UserError
from seglight.images.draw import overlay
from seglight.images.label_png import maker_of
from seglight.images.tiff import TiffWindows
from seglight.images.types import Color, LabelMap
from seglight.inference.predictor import Predictor
from seglight.system.atomic import atomic_path

LABELS = "labels"
"""The label map, which is always written: everything else but probabilities is made of it."""

FILES = {
    LABELS: ("", ".png"),
    "overlay": ("overlay", ".jpg"),
    "probabilities": ("probabilities", ".npz"),
    "cityscapes": ("cityscapes", ".png"),
    "ade": ("ade", ".png"),
    "video": ("video", ".mp4"),
}
"""Of each kind of output, its folder and the ending of its files."""

OF_PIXELS = (LABELS, "overlay", "probabilities")
"""Kinds that take the image itself."""

BAND = 1 << 18
"""Pixels that are overlaid at a time."""

LONGEST_SIDE = 65_500
"""Of a JPEG that libjpeg writes."""

Writer: TypeAlias = Callable[[Path, Pixels | None, LabelMap], None]
"""Called with the path to write, the image, of the kinds that take it, and its label map."""


def output_path(out: Path, kind: str, place: Path) -> Path:
    """The file of a kind for an image of a place; dots in its name are no ending."""
    folder, ending = FILES[kind]
    return out / folder / place.with_name(place.name + ending)


def is_no_older(path: Path, origin: Path) -> bool:
    """Whether a file is there and no older than what it is made of."""
    try:
        return path.stat().st_mtime_ns >= origin.stat().st_mtime_ns
    except OSError:
        return False


def file_key(source: Source) -> str:
    """Which file a label map is of: the start of what it says of its making."""
    return hashlib.sha256(os.fsencode(source.path.resolve())).hexdigest()[:16]


def remove_former(out: Path, source: Source, places: Set[Path]) -> None:
    """Remove what was made of pages or frames that a file has no more, by the label maps that say they are of it.

    Args:
        out: Folder of all outputs.
        source: The file.
        places: Of the pictures that it has.
    """
    if not source.is_video and not source.is_tiff:
        return
    numbered = (source.place / path.stem for path in (out / source.place).glob("*.png") if path.stem.isdigit())
    for place in {source.place, *numbered} - places:
        if (maker_of(output_path(out, LABELS, place)) or "").startswith(file_key(source)):
            # the label map is the last to go: a run that was stopped here goes on with the others
            for kind in sorted(FILES.keys() - {"video"}, key=LABELS.__eq__):
                path = output_path(out, kind, place)
                if path.parent.resolve().is_relative_to(out.resolve()):
                    path.unlink(missing_ok=True)


def writers(kinds: Sequence[str], predictor: Predictor) -> dict[str, Writer]:
    """What writes the kinds that are a file for each image, beside its label map.

    Raises:
        UserError: The model's classes are not those of a benchmark.
    """
    found: dict[str, Writer] = {}
    if "overlay" in kinds:
        found["overlay"] = partial(_write_overlay, predictor.palette)
    if "probabilities" in kinds:
        found["probabilities"] = partial(_write_probabilities, predictor)
    for kind, ids_of in (("cityscapes", cityscapes_ids), ("ade", ade_ids)):
        if kind in kinds:
            found[kind] = partial(_write_ids, ids_of(predictor.class_names))
    return found


def _write_overlay(palette: Sequence[Color], path: Path, pixels: Pixels | None, labels: LabelMap) -> None:
    assert pixels is not None
    height, width = labels.shape
    if max(height, width) > LONGEST_SIDE:
        raise UserError(f"--save overlay: {height} x {width} pixels are more than a JPEG can hold")
    picture = np.empty((height, width, 3), np.uint8)
    step = max(1, BAND // width)
    for rows in (slice(top, min(top + step, height)) for top in range(0, height, step)):
        band = pixels.read(rows, slice(0, width)) if isinstance(pixels, TiffWindows) else pixels[rows]
        picture[rows] = overlay(band, labels[rows].astype(np.uint8), palette)[..., ::-1]
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    with atomic_path(path) as part:
        part.write_bytes(data.tobytes())


def _write_probabilities(predictor: Predictor, path: Path, pixels: Pixels | None, labels: LabelMap) -> None:
    assert pixels is not None
    if isinstance(pixels, TiffWindows):
        height, width = pixels.shape
        total = 2 * len(predictor.class_names) * height * width / 1e9
        raise UserError(
            f"--save probabilities: not of an image so large that it is read by windows: those of {height} x {width} "
            f"pixels x {len(predictor.class_names)} classes are {total:.1f} GB: cut it into smaller ones"
        )
    probabilities = predictor.probabilities(pixels)
    with atomic_path(path) as part:
        np.savez_compressed(part, probabilities=probabilities.astype(np.float16))


def _write_ids(ids: NDArray[np.uint8], path: Path, pixels: Pixels | None, labels: LabelMap) -> None:
    write_ids(path, labels, ids)
