"""From input files to outputs: decoded in the background, predicted in batches, written atomically, not done twice."""

import errno
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from seglight.commands.predict.inputs import Picture, Pixels, Source, pictures
from seglight.commands.predict.memory_budget import UNLIMITED, MemoryBudget
from seglight.commands.predict.outputs import (
    FROM_IMAGE,
    LABELS,
    Writer,
    file_key,
    is_no_older,
    output_path,
    remove_former,
)
from seglight.errors import UserError, one_line
from seglight.images.label_png import provenance_of, read_labels, write_label_rows, write_labels
from seglight.images.tiff import TiffWindows
from seglight.images.types import LabelMap
from seglight.inference.predictor import Predictor

T = TypeVar("T")

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO}
"""Errors that the next file would meet, too."""


class Work(NamedTuple):
    """An image whose outputs are written.

    Args:
        picture: The image.
        provenance: Input file, as it was before it was read, and model of the label map.
        missing: Paths of the outputs that are missing, by kind.
        pixels: Pixels, if an output is made from them.
        labels: Label map, if it exists already.
    """

    picture: Picture
    provenance: str
    missing: Mapping[str, Path]
    pixels: Pixels | None
    labels: LabelMap | None


class Run:
    """Predicts sources into a folder.

    Args:
        predictor: Model that predicts.
        out: Output folder.
        writers: Functions that write further outputs beside the label map, by kind.
        provenance: Model and options: an existing label map of the same provenance is kept.
        budget: Memory limit; with a limit, images are predicted one at a time and none is decoded ahead.

    Attributes:
        done: Name and label map of each image, in order.
        written: Number of label maps that this run has written.
        failures: Failures, one line each.
    """

    def __init__(
        self,
        predictor: Predictor,
        out: Path,
        writers: Mapping[str, Writer],
        provenance: str,
        budget: MemoryBudget = UNLIMITED,
    ) -> None:
        self.predictor = predictor
        self.out = out
        self.writers = writers
        self.provenance = provenance
        self.budget = budget
        self.done: list[tuple[str, Path]] = []
        self.written = 0
        self.failures: list[str] = []

    def predict(self, sources: Sequence[Source], batch: int, advance: Callable[[float], None]) -> None:
        """Predict all sources; failures are collected and do not stop the rest.

        Args:
            sources: Input files, in the order of `done`.
            batch: Number of images that are passed to the model together.
            advance: Function called with 1 for every finished image, or with a fraction of one.
        """
        works = self._works(sources)
        if self.budget.max_memory is None:
            works = ahead(works, batch + 1)
        else:
            batch = 1
        while group := list(islice(works, batch)):
            self._finish(group, advance)

    def _works(self, sources: Sequence[Source]) -> Iterator[Work | UserError]:
        for source in sources:
            try:
                provenance = self._provenance(source)
                keys = set[Path]()
                for picture in pictures(source):
                    keys.add(picture.key)
                    yield self._work(picture, provenance)
                remove_former(self.out, source, keys)
            except UserError as error:
                yield error

    def _work(self, picture: Picture, provenance: str) -> Work | UserError:
        paths = {kind: output_path(self.out, kind, picture.key) for kind in (LABELS, *self.writers)}
        former = provenance_of(paths[LABELS])
        if former is None and os.path.lexists(paths[LABELS]):
            return UserError(
                f"{paths[LABELS]}: exists and was not written by `seglight predict`: move it, or choose another --out"
            )
        if former == provenance:
            missing = {kind: path for kind, path in paths.items() if not is_no_older(path, paths[LABELS])}
        else:
            missing = paths
        try:
            pixels = self._pixels(picture) if any(kind in missing for kind in FROM_IMAGE) else None
            labels = None if LABELS in missing or not missing else read_labels(paths[LABELS])
        except UserError as error:
            return error
        return Work(picture, provenance, missing, pixels, labels)

    def _pixels(self, picture: Picture) -> Pixels:
        try:
            if self.budget.max_memory is not None:
                self.budget.check("image", picture.decoded())
            return picture.read()
        except UserError as error:
            path = str(picture.source.path)
            raise error if path in str(error) else UserError(f"{path}: {error}") from error

    def _finish(self, group: Sequence[Work | UserError], advance: Callable[[float], None]) -> None:
        wanted = [work for work in group if isinstance(work, Work) and LABELS in work.missing]
        whole = {work.picture.key: work.pixels for work in wanted if isinstance(work.pixels, np.ndarray)}
        label_maps = dict(zip(whole, self._predicted(list(whole.values())), strict=True))
        for work in group:
            try:
                if isinstance(work, UserError):
                    raise work
                if isinstance(work.pixels, TiffWindows) and LABELS in work.missing:
                    self._write_rows(work, work.pixels, advance)
                else:
                    advance(1)
                self._write(work, label_maps.get(work.picture.key, work.labels))
            except UserError as error:
                self._note(error, None if isinstance(work, UserError) else work.picture)
            except OSError as error:
                if error.errno in DISK_ERRORS:
                    raise
                self._note(UserError(str(error)), None if isinstance(work, UserError) else work.picture)

    def _note(self, error: UserError, picture: Picture | None) -> None:
        message, path = one_line(error), "" if picture is None else str(picture.source.path)
        self.failures.append(message if path in message else f"{path}: {message}")

    def _predicted(self, images: Sequence[NDArray[np.uint8]]) -> list[LabelMap | UserError]:
        """Label maps, or the error of an image that fails by itself, too."""
        try:
            return list(self.predictor.predict_batch(images)) if images else []
        except UserError as error:
            if len(images) == 1:
                return [error]
        return [found for image in images for found in self._predicted([image])]

    def _write(self, work: Work, labels: LabelMap | UserError | None) -> None:
        if isinstance(labels, UserError):
            raise labels
        path = output_path(self.out, LABELS, work.picture.key)
        if LABELS in work.missing:
            if labels is not None:
                self.budget.check(LABELS, labels.size)
                write_labels(path, labels, self.predictor.palette, work.provenance)
            self.written += 1
        self.done.append((work.picture.name, path))
        for kind, target in work.missing.items():
            if kind != LABELS:
                labels = read_labels(path) if labels is None else labels
                try:
                    self.budget.check(kind, labels.size)
                    self.writers[kind](target, work.pixels, labels)
                except UserError as error:
                    self._note(error, work.picture)

    def _write_rows(self, work: Work, pixels: TiffWindows, advance: Callable[[float], None]) -> None:
        path, height = output_path(self.out, LABELS, work.picture.key), pixels.shape[0]
        rows = _reported(self.predictor.rows(pixels), height, advance)
        write_label_rows(path, pixels.shape, rows, self.predictor.palette, work.provenance)

    def _provenance(self, source: Source) -> str:
        try:
            stat = source.path.stat()
        except OSError as error:
            raise UserError(f"{source.path}: {error.strerror}") from error
        return f"{file_key(source)} {stat.st_size} {stat.st_mtime_ns} {self.provenance}"


def _reported(bands: Iterator[LabelMap], height: int, advance: Callable[[float], None]) -> Iterator[LabelMap]:
    for band in bands:
        yield band
        advance(len(band) / height)


def ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """Yield the same items; the next few are computed in a thread while one is used."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, items, end) for _ in range(count))
        while (item := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, items, end))
            yield item  # type: ignore[misc]  # not the end
