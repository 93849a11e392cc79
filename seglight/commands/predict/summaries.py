"""Outputs made from all label maps: tables of images and objects, and videos."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TypeAlias

from seglight.commands.predict.class_fractions import ClassFractions
from seglight.commands.predict.destination import Destination
from seglight.commands.predict.inputs import Source
from seglight.commands.predict.kinds import LABELS, TABLES
from seglight.commands.predict.memory_budget import UNLIMITED, MemoryBudget
from seglight.commands.predict.outputs import output_path
from seglight.errors import UserError, one_line
from seglight.images.coco import CocoObjects
from seglight.images.draw import overlay
from seglight.images.geo import Georeference
from seglight.images.label_rows import LabelRows, LabelsInMemory
from seglight.images.outlines import outline_of
from seglight.images.types import Color
from seglight.images.video import frames, video_writer

Table: TypeAlias = ClassFractions | CocoObjects
"""A table of all images."""


def new_table(
    kind: str, class_names: Sequence[str], no_data: bool = False, places: Mapping[str, Georeference] | None = None
) -> Table:
    """An empty table.

    Args:
        kind: One of `TABLES`.
        class_names: Names of the classes, by index.
        no_data: Whether pixels may have no data.
        places: Georeferences of images, by their name.
    """
    if kind == "csv":
        return ClassFractions(class_names, no_data, places)
    return CocoObjects(class_names, "runs" if kind == "coco" else "polygons")


def write_tables(
    kinds: Sequence[str],
    class_names: Sequence[str],
    done: Sequence[tuple[str, Path]],
    out: Path,
    label_maps: Callable[[Iterable[Path]], Iterator[LabelRows | UserError]],
    budget: MemoryBudget = UNLIMITED,
    no_data: bool = False,
    places: Mapping[str, Georeference] | None = None,
) -> list[str]:
    """Write the kinds of outputs that are one file for all images.

    Args:
        kinds: All kinds of outputs.
        class_names: Names of the classes, by index.
        done: Name and label map of each image.
        out: Folder of the tables.
        label_maps: Function that reads label maps, see `Destination.label_maps`.
        budget: Memory limit; an image that would exceed it is left out of a table.
        no_data: Whether pixels may have no data.
        places: Georeferences of images, by their name.

    Returns:
        What was left out, one line each.
    """
    tables = {kind: new_table(kind, class_names, no_data, places) for kind in TABLES if kind in kinds}
    failures: list[str] = []
    used = done if tables else []
    for (name, path), labels in zip(used, label_maps(path for _, path in used), strict=True):
        if isinstance(labels, UserError):
            failures.append(one_line(labels))
            continue
        failed: dict[str, None] = {}  # once, if a damaged label map fails in each table
        for kind, table in tables.items():
            try:
                labels = _added(kind, table, name, labels, budget)
            except UserError as error:
                told = one_line(error)
                failed[told if told.startswith(f"{path}: ") else f"{path}: {told}"] = None
        failures += failed
    for kind, table in tables.items():
        table.write(out / TABLES[kind])
    return failures


def _added(kind: str, table: Table, name: str, labels: LabelRows, budget: MemoryBudget) -> LabelRows:
    """Add an image to a table, and return its label map, in memory if that was needed.

    Raises:
        UserError: The label map is damaged, or the table needs it whole, which does not fit into the memory.
    """
    pixels = labels.shape[0] * labels.shape[1]
    budget.check(kind, pixels)
    if isinstance(table, ClassFractions):
        table.add_rows(name, labels)
        return labels
    whole = labels.whole()
    if budget.max_memory is not None:
        budget.check(kind, pixels, outline_of(whole))
    table.add(name, whole)
    return LabelsInMemory(whole)


def publish_tables(kinds: Sequence[str], destination: Destination) -> None:
    """Store the tables that were written to an output folder.

    Args:
        kinds: All kinds of outputs.
        destination: Output folder.

    Raises:
        UserError: A remote storage does not answer.
    """
    for kind, name in TABLES.items():
        if kind in kinds:
            destination.publish_file(destination.folder / name)


def write_video(source: Source, destination: Destination, palette: Sequence[Color]) -> None:
    """Write a video overlaid with the label maps of its frames.

    Args:
        source: The video, on this machine's disk.
        destination: Output folder.
        palette: RGB colours of the classes, by index.

    Raises:
        UserError: The video is cut off, or a frame's label map is missing.
    """
    path = output_path(destination.folder, "video", source.key)
    places = (output_path(destination.folder, LABELS, source.key / f"{number:06}") for number in count(1))
    with video_writer(path, source.path) as write:
        for frame, labels in zip(frames(source.path), destination.label_maps(places), strict=False):
            try:
                if isinstance(labels, UserError):
                    raise labels
                whole = labels.whole()
            except UserError as error:
                raise UserError(f"{path}: not written, because {one_line(error)}") from error
            write(overlay(frame, whole, palette))
    destination.publish_file(path)
