"""Outputs made from all label maps: tables of images and objects, and videos."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from seglight.commands.predict.class_fractions import ClassFractions
from seglight.commands.predict.inputs import Source
from seglight.commands.predict.memory_budget import UNLIMITED, MemoryBudget
from seglight.commands.predict.outputs import LABELS, is_no_older, output_path
from seglight.errors import UserError, one_line
from seglight.images.coco import CocoObjects
from seglight.images.draw import overlay
from seglight.images.label_png import read_labels
from seglight.images.outlines import outline_of
from seglight.images.types import Color, LabelMap
from seglight.images.video import frames, video_writer


class Table(Protocol):
    """A table of all images."""

    def add(self, name: str, labels: LabelMap) -> None:
        """Add an image by its label map (H, W)."""

    def write(self, path: Path) -> None:
        """Write the file atomically."""


TABLES = {"csv": "shares.csv", "coco": "coco.json", "coco_polygons": "coco_polygons.json"}
"""File of each kind of output that is one for all images."""


def new_table(kind: str, class_names: Sequence[str]) -> Table:
    """An empty table.

    Args:
        kind: One of `TABLES`.
        class_names: Names of the classes, by index.
    """
    if kind == "csv":
        return ClassFractions(class_names)
    return CocoObjects(class_names, "runs" if kind == "coco" else "polygons")


def write_tables(
    kinds: Sequence[str],
    class_names: Sequence[str],
    done: Iterable[tuple[str, Path]],
    out: Path,
    budget: MemoryBudget = UNLIMITED,
) -> list[str]:
    """Write the kinds of outputs that are one file for all images.

    Args:
        kinds: All kinds of outputs.
        class_names: Names of the classes, by index.
        done: Name and label map of each image.
        out: Output folder.
        budget: Memory limit; an image that would exceed it is left out of a table.

    Returns:
        What was left out, one line each.
    """
    tables = {kind: new_table(kind, class_names) for kind in TABLES if kind in kinds}
    failures: list[str] = []
    for name, path in done if tables else ():
        try:
            labels = read_labels(path)
        except UserError as error:
            failures.append(one_line(error))
            continue
        outline = 0 if budget.max_memory is None else outline_of(labels)
        for kind, table in tables.items():
            try:
                budget.check(kind, labels.size, outline)
                table.add(name, labels)
            except UserError as error:
                failures.append(f"{path}: {one_line(error)}")
    for kind, table in tables.items():
        table.write(out / TABLES[kind])
    return failures


def write_video(source: Source, out: Path, palette: Sequence[Color]) -> None:
    """Write a video overlaid with the label maps of its frames, unless it exists and is no older than these.

    Raises:
        UserError: The video is cut off, or a frame's label map is missing.
    """
    path = output_path(out, "video", source.key)
    if path.exists() and all(is_no_older(path, frame) for frame in (out / source.key).glob("*.png")):
        return
    with video_writer(path, source.path) as write:
        for number, frame in enumerate(frames(source.path), 1):
            labels = output_path(out, LABELS, source.key / f"{number:06}")
            if not labels.exists():
                raise UserError(f"{path}: not written, because {labels} is missing: predict the video again")
            write(overlay(frame, read_labels(labels), palette))
