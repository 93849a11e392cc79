"""Values and colours in masks, which are read once."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.data.labels import read_index
from seglight.errors import UserError
from seglight.images.decode import opened, read_grey
from seglight.images.types import Color
from seglight.ops.label_types import MOST_CLASSES
from seglight.system.cores import usable_cores

FIRST = 64
"""Number of masks that are read before all others: photographs among them are noticed in a moment."""

MOST_OF_BYTES = 255
"""Largest number of values in 8-bit files, and of others that may be photographs."""

LEAST_RUN = 4
"""Mean number of equal pixels in a row from which more values may be classes: in photographs it is about 1."""


@dataclass
class Values:
    """What is in masks.

    Args:
        colored: Whether they are in colour: a value is the number red << 16 | green << 8 | blue.
        counts: Pixels of each value.
        files: First file with each value.
        palette: Colour of values in files with a palette.
        two_colors: Whether a value has different colours in different palettes.
        by_color: Pixels of each colour of the palettes.
        clash: First file whose palette differs from that of an earlier one in a value or colour, and what differs.
        plain: First file of one channel without a palette.
        repeated: First file with two values of one colour.
        moved: Whether a colour has different values in files with different palettes.
        index_of: First value of each colour.
        whole: The longest palette so far.
        runs: Number of runs of equal pixels in colours and in values of 16 bits.
    """

    colored: bool
    counts: Counter[int] = field(default_factory=Counter)
    files: dict[int, Path] = field(default_factory=dict)
    palette: dict[int, Color] = field(default_factory=dict)
    two_colors: bool = False
    by_color: Counter[Color] = field(default_factory=Counter)
    clash: tuple[Path, str] | None = None
    plain: Path | None = None
    repeated: Path | None = None
    moved: bool = False
    index_of: dict[Color, int] = field(default_factory=dict)
    whole: tuple[Color, ...] = ()
    runs: int = 0

    @property
    def values(self) -> list[int]:
        """The values, ascending."""
        return sorted(self.counts)

    def add(self, path: Path, mask: "MaskValues") -> None:
        """Add a mask.

        Raises:
            UserError: There are too many values.
        """
        self.counts.update(mask.counts)
        for value in mask.counts:
            self.files.setdefault(value, path)
        self._add_palette(path, mask)
        self.runs += mask.runs
        smooth = self.counts.total() > LEAST_RUN * self.runs > 0
        if len(self.counts) > (MOST_CLASSES + 1 if smooth else MOST_OF_BYTES):
            what = "colours" if self.colored else "values"
            raise UserError(
                f"{path}: {len(self.counts)} {what} in the masks so far, where each stands for a class: masks saved as "
                "JPEG, resized with interpolation, or photographs: export the masks again as PNG"
            )

    def _add_palette(self, path: Path, mask: "MaskValues") -> None:
        if not mask.palette:
            self.plain = self.plain or path
            return
        if len({*mask.palette.values()}) < len(mask.palette):
            self.repeated = self.repeated or path
        shared = min(len(self.whole), len(mask.whole))
        differs = self.whole[:shared] != mask.whole[:shared]
        self.whole = max(self.whole, mask.whole, key=len)
        for value, color in mask.palette.items():
            self.by_color[color] += mask.counts[value]
            known = self.palette.setdefault(value, color)
            if known != color:
                self.two_colors = True
                self.clash = self.clash or (path, f"the value {value} is {list(color)}, and {list(known)} in another")
            index = self.index_of.setdefault(color, value)
            if index != value and differs:
                self.moved = True
                self.clash = self.clash or (path, f"{list(color)} has the value {value}, and {index} in another")


@dataclass(frozen=True)
class MaskValues:
    """Values of one mask, their pixels, their colours and all of its palette, and the runs of equal pixels."""

    colored: bool
    counts: Mapping[int, int]
    palette: Mapping[int, Color] = field(default_factory=dict)
    whole: tuple[Color, ...] = ()
    runs: int = 0


def scanned(masks: Sequence[Path]) -> Values:
    """Read all masks once, a sample of them first.

    Raises:
        UserError: A mask can't be read, there are too many values, or some masks are in colour and others are not.
    """
    step = max(1, len(masks) // FIRST)
    sample = masks[::step][:FIRST]
    known = set(sample)
    order = [*sample, *(path for path in masks if path not in known)]
    values: Values | None = None
    for path, mask in zip(order, _read(order), strict=True):
        values = values or Values(mask.colored)
        if values.colored != mask.colored:
            kinds = ("in colour", "of one channel")
            raise UserError(
                f"{path}: this mask is {kinds[values.colored]}, {order[0]} is {kinds[mask.colored]}: export all masks "
                "in one form"
            )
        values.add(path, mask)
    if values is None:
        raise UserError("there is no mask to read")
    return values


def _read(masks: Sequence[Path]) -> Iterator[MaskValues]:
    """Masks in order, read by threads, some at a time: an error is known before all are read."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(masks), FIRST):
            yield from pool.map(mask_values, masks[start : start + FIRST])


def mask_values(path: Path) -> MaskValues:
    """Read the values of one mask.

    Raises:
        UserError: It is damaged, or of a kind that is not read.
    """
    if path.suffix.lower() == ".npy":
        return counted_values(False, read_index(path))
    grey = read_grey(path)
    if grey is not None:
        return counted_values(False, grey)
    with opened(path) as image:
        if image.mode in ("RGB", "RGBA"):
            channels = np.asarray(image.convert("RGB")).astype(np.int32)
            return counted_values(True, channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2])
        if image.mode == "P":
            counts = counted_values(False, np.asarray(image)).counts
            stored = image.getpalette("RGB") or []
            flat = [*stored, *[0] * 768]
            colors = [(flat[3 * v], flat[3 * v + 1], flat[3 * v + 2]) for v in range(256)]
            return MaskValues(False, counts, {v: colors[v] for v in counts}, tuple(colors[: len(stored) // 3]))
    return counted_values(False, read_index(path))


def counted_values(colored: bool, raw: NDArray[Any]) -> MaskValues:
    """Pixels of each value: runs of equal pixels are counted first, which are few in a mask."""
    if raw.dtype == np.uint8:
        counts = np.bincount(raw.ravel(), minlength=256)
        return MaskValues(colored, {value: int(counts[value]) for value in np.flatnonzero(counts).tolist()})
    flat = raw.ravel()
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    lengths = np.diff(np.append(starts, flat.size))
    values, inverse = np.unique(flat[starts], return_inverse=True)
    sums = np.bincount(inverse, weights=lengths)
    of_value = {int(value): int(number) for value, number in zip(values, sums, strict=True)}
    return MaskValues(colored, of_value, runs=len(starts))


def rgb(code: int) -> Color:
    """A colour from one number."""
    return (code >> 16 & 255, code >> 8 & 255, code & 255)
