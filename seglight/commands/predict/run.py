"""From input files to outputs: decoded in the background, predicted in batches, written atomically, not done twice."""

import errno
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from seglight.commands.predict.band_inputs import band_picture, further_versions, is_read_by_bands
from seglight.commands.predict.destination import Destination
from seglight.commands.predict.downloads import Downloads
from seglight.commands.predict.inputs import Picture, Pixels, Source, pictures, single
from seglight.commands.predict.kinds import LABELS
from seglight.commands.predict.memory_budget import UNLIMITED, MemoryBudget
from seglight.commands.predict.outputs import FROM_IMAGE, Writer, file_version, output_path
from seglight.commands.predict.placed import PlacedWriter, may_lie_on_a_map, place_for_areas, place_of
from seglight.errors import UserError, one_line
from seglight.images.geo import Georeference
from seglight.images.label_png import read_labels, write_label_rows, write_labels
from seglight.images.label_rows import LabelsInMemory, StoredLabels
from seglight.images.types import LabelMap, Windows
from seglight.inference.predictor import Predictor

T = TypeVar("T")

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO}
"""Errors that the next file would meet, too."""


class Prepared(NamedTuple):
    """A source that has been looked up.

    Args:
        source: Input file, on this machine's disk if it is needed.
        provenance: Input file, as it was before it was read, and model of the label maps.
        missing: Paths of the outputs that are missing, by kind; None for a TIFF or video, which is looked up image by
            image, unless it has one page and is not needed.
    """

    source: Source
    provenance: str
    missing: Mapping[str, Path] | None


class Work(NamedTuple):
    """An image whose outputs are written.

    Args:
        picture: The image.
        provenance: Input file, as it was before it was read, and model of the label map.
        missing: Paths of the outputs that are missing, by kind.
        pixels: Pixels, if an output is made from them.
        labels: Label map, if it exists already and is needed whole.
        place: Georeference of the image, if an output lies on a map.
    """

    picture: Picture
    provenance: str
    missing: Mapping[str, Path]
    pixels: Pixels | None
    labels: LabelMap | None
    place: Georeference | None = None


class Run:
    """Predicts sources into a folder.

    Args:
        predictor: Model that predicts.
        out: Output folder.
        writers: Functions that write further outputs beside the label map, by kind.
        placed: Functions that write those that lie on a map, by kind.
        areas: Whether the georeferences of images are kept for areas on the ground.
        provenance: Model and options: an existing label map of the same provenance is kept.
        budget: Memory limit; with a limit, images are predicted one at a time and none is decoded ahead.

    Attributes:
        bands: What the model reads.
        done: Name and label map of each image, in order.
        places: Georeferences of images by their name, if areas are asked for.
        written: Number of label maps that this run has written.
        failures: Failures, one line each.
    """

    def __init__(
        self,
        predictor: Predictor,
        out: Destination,
        writers: Mapping[str, Writer],
        provenance: str,
        budget: MemoryBudget = UNLIMITED,
        placed: Mapping[str, PlacedWriter] | None = None,
        areas: bool = False,
    ) -> None:
        self.predictor = predictor
        self.bands = predictor.card.pixels
        self.out = out
        self.writers = writers
        self.placed = placed or {}
        self.areas = areas
        self.provenance = provenance
        self.budget = budget
        self.done: list[tuple[str, Path]] = []
        self.places: dict[str, Georeference] = {}
        self.written = 0
        self.failures: list[str] = []

    def predict(self, sources: Sequence[Source], batch: int, advance: Callable[[float], None]) -> None:
        """Predict all sources; failures are collected and do not stop the rest.

        Args:
            sources: Input files, in the order of `done`.
            batch: Number of images that are passed to the model together.
            advance: Function called with 1 for every finished image, or with a fraction of one.

        Raises:
            OSError: The disk is full.
            StorageError: A remote storage does not answer.
        """
        with Downloads() as downloads:
            works = self._works(sources, downloads)
            if self.budget.max_memory is None:
                works = ahead(works, batch + 1)
            else:
                batch = 1
            while group := list(islice(works, batch)):
                self._finish(group, advance)
        self._note_unstored(self.out.finish())

    def _works(self, sources: Sequence[Source], downloads: Downloads) -> Iterator[Work | UserError]:
        def prepare(source: Source) -> Prepared | UserError:
            try:
                return self._prepare(source, downloads)
            except UserError as error:
                return error

        waits = self.out.is_remote or any(source.remote is not None for source in sources)
        for prepared in downloads.each(prepare, sources) if waits else map(prepare, sources):
            if isinstance(prepared, UserError):
                yield prepared
                continue
            source = prepared.source
            try:
                keys = set[Path]()
                for picture in self._pictures(source) if prepared.missing is None else [self._single(source)]:
                    keys.add(picture.key)
                    yield self._work(picture, prepared)
                self.out.remove_former(source, keys)
            except UserError as error:
                yield source.named(error)

    def _pictures(self, source: Source) -> Iterator[Picture]:
        by_bands = is_read_by_bands(source, self.bands)
        return iter([band_picture(source, self.bands)]) if by_bands else pictures(source)

    def _single(self, source: Source) -> Picture:
        return band_picture(source, self.bands) if is_read_by_bands(source, self.bands) else single(source)

    def _prepare(self, source: Source, downloads: Downloads) -> Prepared:
        """Look up what there is of a source, and download it if an output is made from it."""
        provenance = f"{file_version(source)}{further_versions(source, self.bands)} {self.provenance}"
        if source.is_video or source.is_tiff:
            missing = self._missing_of_page(source, provenance)
            if missing is None:
                self.out.prepare(source)
                source = downloads.fetch(source)
            return Prepared(source, provenance, missing)
        missing = self._missing(source, source.key, provenance)
        if self._reads(source, missing):
            source = downloads.fetch(source)
        return Prepared(source, provenance, missing)

    def _missing_of_page(self, source: Source, provenance: str) -> Mapping[str, Path] | None:
        """What is missing of a remote TIFF of one page that need not be downloaded: only that one has a label map."""
        if source.remote is None or source.is_video:
            return None
        try:
            missing = self._missing(source, source.key, provenance)
        except UserError:  # something else lies there, which does not matter if it has several pages
            return None
        return None if self._reads(source, missing) else missing

    def _reads(self, source: Source, missing: Mapping[str, Path]) -> bool:
        """Whether the file of an image is read: for outputs that are missing, or for its georeference."""
        if self.areas and may_lie_on_a_map(source):
            return True
        return any(kind in missing for kind in (*FROM_IMAGE, *self.placed))

    def _missing(self, source: Source, key: Path, provenance: str) -> Mapping[str, Path]:
        return self.out.missing(source, key, (LABELS, *self.writers, *self.placed), provenance)

    def _work(self, picture: Picture, prepared: Prepared) -> Work | UserError:
        try:
            missing = prepared.missing
            if missing is None:
                missing = self._missing(picture.source, picture.key, prepared.provenance)
            pixels = self._pixels(picture) if any(kind in missing for kind in FROM_IMAGE) else None
            whole = self.out.is_remote or not missing.keys() <= self.placed.keys()
            labels = self._stored(picture) if LABELS not in missing and missing and whole else None
            place = self._place(picture, missing)
        except UserError as error:
            return error
        if pixels is None or isinstance(pixels, np.ndarray):
            picture = picture.without_copy()
        return Work(picture, prepared.provenance, missing, pixels, labels, place)

    def _place(self, picture: Picture, missing: Mapping[str, Path]) -> Georeference | None:
        """Georeference of an image, if an output needs it."""
        kind = next((kind for kind in self.placed if kind in missing), None)
        place = place_of(picture, f"--save {kind}") if kind is not None else None
        if self.areas:
            known = place or place_for_areas(picture)
            if known is not None and known.is_given:
                self.places[picture.name] = known
        return place

    def _stored(self, picture: Picture) -> LabelMap:
        (labels,) = self.out.label_maps([output_path(self.out.folder, LABELS, picture.key)])
        if isinstance(labels, UserError):
            raise labels
        return labels.whole()

    def _pixels(self, picture: Picture) -> Pixels:
        try:
            if self.budget.max_memory is not None:
                self.budget.check("image", picture.decoded())
            return picture.read()
        except UserError as error:
            path = str(picture.source.path)
            told = error if path in str(error) else UserError(f"{path}: {error}")
            raise picture.source.named(told) from error

    def _finish(self, group: Sequence[Work | UserError], advance: Callable[[float], None]) -> None:
        wanted = [work for work in group if isinstance(work, Work) and LABELS in work.missing]
        whole = {work.picture.key: work.pixels for work in wanted if isinstance(work.pixels, np.ndarray)}
        label_maps = dict(zip(whole, self._predicted(list(whole.values())), strict=True))
        for work in group:
            try:
                if isinstance(work, UserError):
                    raise work
                if work.pixels is None or isinstance(work.pixels, np.ndarray) or LABELS not in work.missing:
                    advance(1)
                else:
                    self._write_rows(work, work.pixels, advance)
                self._write(work, label_maps.get(work.picture.key, work.labels))
            except UserError as error:
                self._note(error, None if isinstance(work, UserError) else work.picture)
            except OSError as error:
                if error.errno in DISK_ERRORS:
                    raise
                self._note(UserError(str(error)), None if isinstance(work, UserError) else work.picture)

    def _note(self, error: UserError, picture: Picture | None) -> None:
        message = self.out.shown(one_line(error if picture is None else picture.source.named(error)))
        path = "" if picture is None else picture.source.shown
        self.failures.append(message if path in message else f"{path}: {message}")

    def _note_unstored(self, failed: Sequence[tuple[Path, UserError]]) -> None:
        """Note outputs that could not be stored; an image without its label map is not done."""
        for _, error in failed:
            self._note(error, None)
        paths = {path for path, _ in failed}
        lost = sum(path in paths for _, path in self.done)
        self.done = [(name, path) for name, path in self.done if path not in paths]
        self.written -= lost

    def _predicted(self, images: Sequence[NDArray[Any]]) -> list[LabelMap | UserError]:
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
        path = output_path(self.out.folder, LABELS, work.picture.key)
        made: list[Path] = []
        if LABELS in work.missing:
            if labels is not None:
                self.budget.check(LABELS, labels.size)
                self.out.replace(work.picture)
                write_labels(path, labels, self.predictor.palette, work.provenance)
            self.written += 1
            made.append(path)
        self.done.append((work.picture.name, path))
        try:
            for kind, target in work.missing.items():
                if kind in self.placed:
                    made += self._made_placed(kind, target, work, labels)
                elif kind != LABELS:
                    labels = read_labels(path) if labels is None else labels
                    made += self._made(kind, target, work, labels)
        finally:
            if made:
                self.out.publish(work.picture, made)

    def _made(self, kind: str, target: Path, work: Work, labels: LabelMap) -> list[Path]:
        """Write an output beside a label map; returns its path, or none if it has failed."""
        try:
            self.budget.check(kind, labels.size)
            self.writers[kind](target, work.pixels, labels)
        except UserError as error:
            self._note(error, work.picture)
            return []
        return [target]

    def _made_placed(self, kind: str, target: Path, work: Work, labels: LabelMap | None) -> list[Path]:
        """Write an output that lies on a map; returns its path, or none if it has failed."""
        assert work.place is not None
        path = output_path(self.out.folder, LABELS, work.picture.key)
        try:
            rows = StoredLabels(path) if labels is None else LabelsInMemory(labels)
            self.placed[kind](target, rows, work.place)
        except UserError as error:
            self._note(error, work.picture)
            return []
        return [target]

    def _write_rows(self, work: Work, pixels: Windows, advance: Callable[[float], None]) -> None:
        path, height = output_path(self.out.folder, LABELS, work.picture.key), pixels.shape[0]
        self.out.replace(work.picture)
        rows = _reported(self.predictor.rows(pixels), height, advance)
        write_label_rows(path, (height, pixels.shape[1]), rows, self.predictor.palette, work.provenance)


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
