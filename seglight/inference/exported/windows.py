"""Exported nets within a memory limit: images that do not fit are predicted by windows. Imports no torch."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.band_windows import reading_bytes
from seglight.images.pixels import pixels_of
from seglight.images.types import Image, LabelMap, Windows
from seglight.inference.exported.predictor import ExportedPredictor
from seglight.inference.no_data import mark_bytes
from seglight.inference.predictor import CheckedWindows, checked_batch
from seglight.ops.sizes import DIVISOR, round_up
from seglight.system.memory import MARGIN, WINDOWS, bytes_of, peak_of, probed, resident_bytes, too_little

OVERLAP = 4
"""The next window begins after all but one of so many parts of a window."""

Read = Callable[[slice, slice], NDArray[Any]]
"""Pixels (h, w, bands) of some rows and columns of an image."""


class WindowedPredictor:
    """An exported net that predicts large images by windows.

    Labels can't be blended as logits can: each of two overlapping windows gives the labels up to the middle of the
    overlap.

    Args:
        predictor: Predictor of the exported file.
        max_memory: Bytes that this process may hold; None: images in memory are predicted in one pass.

    Attributes:
        card: Model card of the net.
        class_names: Names of the classes, by class index.
        palette: RGB colours of the classes, by class index.
        size: The only size (H, W) of images that the file takes; None: any size.
        takes_batches: As of the predictor.
        count: Number of bands of an image.
        dtype: Type of its pixels.

    Raises:
        UserError: Not even the smallest window fits, or the file takes images of one size only.
    """

    def __init__(self, predictor: ExportedPredictor, max_memory: int | None = None) -> None:
        self.predictor = predictor
        self.max_memory = max_memory
        self.card = predictor.card
        self.device = predictor.device
        self.class_names = predictor.class_names
        self.palette = predictor.palette
        self.size = predictor.size
        self.takes_batches = predictor.takes_batches
        self.count = len(predictor.card.pixels.names)
        self.dtype = predictor.card.pixels.dtype
        self.window = WINDOWS[0]
        self.room = 0
        self.peaks: list[tuple[int, int]] = []
        if max_memory is not None:
            self._plan(max_memory)

    @property
    def has_probabilities(self) -> bool:
        """Whether the file has probabilities beside labels."""
        return self.predictor.has_probabilities

    def predict(self, image: Image) -> LabelMap:
        """As `ExportedPredictor.predict`, within the memory."""
        return self._labels(pixels_of(image, self.card.pixels))

    def predict_batch(self, images: Sequence[NDArray[Any]]) -> list[LabelMap]:
        """As `ExportedPredictor.predict_batch`, within the memory: one by one if all of them do not fit at once."""
        checked_batch(images, self.count, self.dtype)
        if self._fits(sum(image.size // self.count for image in images)):
            return self.predictor.predict_batch(images)
        return [self._labels(image) for image in images]

    def probabilities(self, image: Image) -> NDArray[np.float32]:
        """As `ExportedPredictor.probabilities`.

        Raises:
            UserError: They do not fit: they are of whole images.
        """
        pixels = pixels_of(image, self.card.pixels)
        # in float32, and in half of it as they are written
        if not self._fits(pixels.size // self.count, 6 * len(self.class_names)):
            raise UserError("--save probabilities: an exported file has them for whole images only: give more memory")
        return self.predictor.probabilities(pixels)

    def label_bands(self, image: NDArray[Any]) -> Iterator[LabelMap]:
        """Label rows (h, W) of `predict`, from the top, as they are finished.

        Raises:
            UserError: As `predict`.
        """
        image = pixels_of(image, self.card.pixels)
        if self._fits(image.size // self.count):
            yield self.predictor.predict(image)
        else:
            yield from self._rows(lambda rows, columns: image[rows, columns], image.shape[:2])

    def rows(self, image: Windows) -> Iterator[LabelMap]:
        """Label rows (h, W), from the top.

        Raises:
            UserError: As `predict`.
        """
        self._check_size()
        windows = CheckedWindows(image, self.count, self.dtype)
        height, width = windows.shape
        bands = self.card.pixels
        beside = mark_bytes(bands) + reading_bytes(bands) / (height * width)
        if self.max_memory is not None and self._fits(height * width, beside):
            return iter([self.predictor.predict(windows.read(slice(0, height), slice(0, width)))])
        return self._rows(windows.read, (height, width))

    def _check_size(self) -> None:
        size = self.predictor.metadata.size
        if size is not None:
            raise UserError(
                f"{self.predictor.path}: takes images of {size[0]}x{size[1]} only (height x width), not the windows "
                "that --max_memory and large TIFFs need: export it with --size dynamic"
            )

    def _plan(self, max_memory: int) -> None:
        self._check_size()
        before = resident_bytes()
        # compared with the memory before all of them: a runtime keeps what it once allocated
        self._pass(64)
        self.peaks = [*probed(lambda side: peak_of(lambda: self._pass(side)) - before, max_memory - before)]
        self.room = max_memory - before
        fitting = [window for window in WINDOWS if MARGIN * bytes_of(self.peaks, window**2) <= self.room]
        if not fitting:
            raise too_little(max_memory, before)
        self.window = fitting[0]

    def _pass(self, side: int) -> None:
        self.predictor.predict(np.zeros((side, side, self.count), self.dtype))

    def _fits(self, pixels: int, beside: float = 0) -> bool:
        """Whether a pass of so many pixels fits, with further bytes for each of them."""
        if self.max_memory is None:
            return True
        # beside the pass: the image, as it is and as the graph takes it, and labels
        held = 2 * self.count * self.dtype.itemsize + 1
        return MARGIN * bytes_of(self.peaks, pixels) + (held + beside) * pixels <= self.room

    def _labels(self, image: NDArray[Any]) -> LabelMap:
        bands = [*self.label_bands(image)]
        if len(bands) == 1:
            return bands[0]
        labels: NDArray[Any] = np.concatenate(bands)
        return labels

    def _window_beside(self, width: int) -> int:
        """Largest window that fits, beside rows of an image of a width.

        Rows of 8-bit RGB are within the margin.

        Raises:
            UserError: None fits.
        """
        bands = self.card.pixels
        if self.max_memory is None or bands.is_rgb8:
            return self.window
        room = self.room - reading_bytes(bands)
        # the rows as they are read, and as stored while they are decoded; labels, and marks of no data
        row = (2 * self.count * self.dtype.itemsize + 2 + mark_bytes(bands)) * width
        for window in (window for window in WINDOWS if window <= self.window):
            if MARGIN * bytes_of(self.peaks, window**2) + row * window <= room:
                return window
        raise too_little(self.max_memory, self.max_memory - room)

    def _rows(self, read: Read, size: tuple[int, int]) -> Iterator[LabelMap]:
        height, width = size
        window = self._window_beside(width)
        for down in spans(height, window):
            strip = read(down.seen, slice(0, width))
            parts = [
                self.predictor.predict(strip[:, across.seen])[down.kept, across.kept] for across in spans(width, window)
            ]
            labels: NDArray[Any] = np.concatenate(parts, axis=1)
            yield labels


class Span(NamedTuple):
    """A window along one side: the pixels that the net sees, and those of them whose labels are kept."""

    seen: slice
    kept: slice


def spans(length: int, window: int) -> list[Span]:
    """Windows that overlap by at least a quarter; the last one ends with the side, padded to a multiple of 32."""
    last = max(0, round_up(length, DIVISOR) - window)
    # at multiples of the coarsest stride windows see what the whole image does
    step = window * (OVERLAP - 1) // OVERLAP // DIVISOR * DIVISOR
    starts = [*range(0, last, step), last]
    ends = [min(start + window, length) for start in starts]
    cuts = [0, *((start + end) // 2 for start, end in zip(starts[1:], ends, strict=False)), length]
    return [
        Span(slice(start, end), slice(first - start, stop - start))
        for start, end, first, stop in zip(starts, ends, cuts, cuts[1:], strict=False)
    ]
