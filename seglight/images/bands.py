"""What the images of a data set hold: the names, the type and the statistics of their bands. Imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.band_names import COLORS, plain_names
from seglight.images.band_values import READ, plain_value

TYPES = ("uint8", "uint16", "int16", "float32")
"""Types of pixels that nets read."""

MOST_BANDS = 200
"""Largest number of bands of an image."""

FLOAT32 = np.finfo(np.float32)
"""Limits of the numbers with which nets calculate."""

RATIO_STD = 0.5
"""Standard deviation that a ratio is divided by where none is given: ratios lie in -1 to 1."""


@dataclass(frozen=True)
class Bands:
    """Description of the images of a data set; all values are in the units of the files.

    Without arguments it describes 8-bit RGB, which encoders normalise by the statistics of their own weights.

    Args:
        names: Names of the bands, in the order of the files.
        type: Type of the pixels: "uint8", "uint16", "int16" or "float32".
        mean: Mean of each band, then of each ratio, after `clip` and `log`. Empty for 8-bit RGB; ratios may be left
            out, and have the mean 0 then.
        std: Standard deviation of each band, then of each ratio, as `mean`; that of a ratio is 0.5 by default.
        nodata: Value of pixels without data; NaN is allowed for float32. None: every value is data.
        valid: Smallest and largest value that is data. None: all are.
        clip: Smallest and largest value of bands, by name, that their values are limited to.
        log: Names of bands whose values are replaced by log(1 + value - least), where least is the lower limit of
            `clip` or 0; values below least count as it.
        ratios: Further inputs of the net by name, each the normalised difference (a - b) / (a + b) of two bands.
        rgb: Names of the three bands that are shown as red, green and blue, or of one that is shown as grey. Empty:
            bands with these names, otherwise the first.
        files: Pattern of the files of an image that has one file a band, with `{name}` and `{band}`, such as
            "{name}_{band}.tif". Empty: one file an image.
        pages: Whether the pages of a TIFF are bands.

    Raises:
        UserError: A value is not valid, with the key under `bands`.
    """

    names: tuple[str, ...] = ("red", "green", "blue")
    type: str = "uint8"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    nodata: float | None = None
    valid: tuple[float, float] | None = None
    clip: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    log: tuple[str, ...] = ()
    ratios: Mapping[str, tuple[str, str]] = field(default_factory=dict, hash=False)
    rgb: tuple[str, ...] = ()
    files: str = ""
    pages: bool = False

    def __post_init__(self) -> None:
        if self.nodata is not None and self.type == "float32":
            object.__setattr__(self, "nodata", _as_float32(self.nodata))
        _check_names(self)
        if self.type not in TYPES:
            raise UserError(f"bands.type {self.type}: images are of type {', '.join(TYPES)}")
        _check_statistics(self)
        _check_values(self)
        for key, used in (("clip", self.clip), ("log", self.log), ("rgb", self.rgb)):
            for name in used:
                _check_known(self, key, name)
        for ratio, pair in self.ratios.items():
            if len(pair) != 2 or pair[0] == pair[1]:
                raise UserError(
                    f"bands.ratios.{ratio} {list(pair)}: name two bands, (first - second) / (first + second)"
                )
            for name in pair:
                _check_known(self, f"ratios.{ratio}", name)
        if len(self.rgb) not in (0, 1, 3):
            raise UserError(f"bands.rgb {list(self.rgb)}: name three bands, or one to be shown as grey")
        if self.files and ("{name}" not in self.files or "{band}" not in self.files):
            raise UserError(
                f"bands.files {self.files}: the pattern needs {{name}} and {{band}}: '{{name}}_{{band}}.tif'"
            )

    @property
    def is_rgb8(self) -> bool:
        """Whether this is 8-bit RGB as it is without a description."""
        return self is RGB or self == RGB  # the comparison takes a microsecond

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the channels that the net reads: the bands, then the ratios."""
        return (*self.names, *self.ratios)

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of the pixels."""
        return np.dtype(self.type)

    @property
    def has_nodata(self) -> bool:
        """Whether some values are no data."""
        return self.nodata is not None or self.valid is not None or self.type == "float32"

    @property
    def shown(self) -> tuple[int, ...]:
        """Indices of the bands that are shown: three as red, green and blue, or one as grey."""
        if self.rgb:
            return tuple(self.names.index(name) for name in self.rgb)
        plain = plain_names(self.names)
        if all(color in plain for color in COLORS):
            return tuple(map(plain.index, COLORS))
        return (0, 1, 2) if len(self.names) >= 3 else (0,)

    @property
    def missing(self) -> float | None:
        """The value that marks what is no data; None: the type has no value that is none."""
        if self.nodata is not None:
            return self.nodata
        if self.type == "float32":
            return math.nan
        if self.valid is None:
            return None
        info = np.iinfo(self.type)
        beyond = (math.ceil(self.valid[0]) - 1, math.floor(self.valid[1]) + 1)
        return next((float(value) for value in beyond if info.min <= value <= info.max), None)

    @property
    def fill(self) -> tuple[float, ...]:
        """Mean of each band as it is stored: what stands for values without data where images are resized."""
        if not self.mean:
            return (128.0,) * len(self.names)
        values = []
        for name, mean in zip(self.names, self.mean, strict=False):
            value = math.expm1(mean) + self.clip.get(name, (0.0, 0.0))[0] if name in self.log else mean
            values.append(value if self.type == "float32" else float(round(value)))
        return tuple(values)

    @property
    def padding(self) -> tuple[float, ...]:
        """Value of each band where an image is padded: no data, or its mean where every value is data."""
        return self.fill if self.missing is None else (self.missing,) * len(self.names)

    def invalid(self, image: NDArray[Any]) -> NDArray[np.bool_]:
        """Values of an image (H, W, bands) that are no data: nodata, NaN, infinite, or beyond `valid`."""
        found = np.zeros(image.shape, np.bool_)
        if image.dtype.kind == "f":
            found |= ~np.isfinite(image)
        if self.nodata is not None and not math.isnan(self.nodata):
            found |= image == np.asarray(self.nodata, image.dtype)
        if self.valid is not None:
            found |= (image < self.valid[0]) | (image > self.valid[1])
        return found

    def without_data(self, image: NDArray[Any]) -> NDArray[np.bool_]:
        """Pixels (H, W) of an image (H, W, bands) without data in any band: ignored, and nodata in results."""
        return np.asarray(self.invalid(image).all(axis=2))

    def to_dict(self) -> dict[str, Any]:
        """The description as plain values without what is as by default, as `classes.yaml` has them."""
        plain: dict[str, Any] = {"names": list(self.names), "type": self.type}
        for entry in fields(self)[2:]:
            value = getattr(self, entry.name)
            if value is None or value is False or value in ((), "") or (isinstance(value, Mapping) and not value):
                continue
            plain[entry.name] = plain_value(value)
        if self.nodata is not None and self.type != "float32":
            plain["nodata"] = int(self.nodata)
        if self.names != RGB.names and not self.mean:
            plain["mean"] = []  # the net's own, which only a file written by hand may not leave open
        return plain

    @classmethod
    def from_dict(cls, content: Any) -> "Bands":
        """Read a description from the plain values of a YAML or JSON file.

        Raises:
            UserError: A key is not known, or a value is not valid.
        """
        if not isinstance(content, Mapping):
            raise UserError(
                "bands: it should be 'bands: {names: [red, green, blue, nir], type: uint16, mean: ..., ...}'"
            )
        known = [entry.name for entry in fields(cls)]
        unknown = [str(key) for key in content if key not in known]
        if unknown:
            raise UserError(f"`{unknown[0]}` in bands is not known: the keys are {', '.join(known)}")
        found = cls(**{key: _read(key, value) for key, value in content.items() if value is not None})
        if found.names != RGB.names and content.get("mean") is None:
            raise UserError("bands.mean is missing: `seglight doctor` measures it, and prints the lines to paste")
        return found

    def difference(self, other: "Bands") -> str | None:
        """What a net of these bands would read wrongly in images of others, for a message; None: nothing.

        The mean and the standard deviation are those of a net, and what is shown and how files are laid out are nothing
        to it.
        """
        names, others = plain_names(self.names), plain_names(other.names)
        if (names, self.type) != (others, other.type):
            renamed = self.type == other.type and len(names) == len(others) and set(names) != set(others)
            by_name = " (bands are matched by name: those that were only renamed need their former names)"
            return f"{self.line()} and {other.line()}{by_name if renamed else ''}"
        ours, theirs = _inputs_of(self), _inputs_of(other)
        keys = [key for key in ours if ours[key] != theirs[key]]
        return f"{self.line()} with other {', '.join(f'`{key}`' for key in keys)}" if keys else None

    def line(self) -> str:
        """The bands in words, for messages: "4 bands of uint16 (blue, green, red, nir)"."""
        count = len(self.names)
        shown = ", ".join(self.names[:8]) + (", ..." if count > 8 else "")
        return f"{count} band{'' if count == 1 else 's'} of {self.type} ({shown})"


def _read(key: str, value: Any) -> Any:
    try:
        return READ[key](value)
    except (TypeError, ValueError) as error:
        raise UserError(f"bands: {error}, in `{key}`: see the keys in the documentation of `classes.yaml`") from error


def _inputs_of(bands: Bands) -> dict[str, Any]:
    """What the inputs of a net depend on beside names and type, in a form that can be compared."""
    plain = dict(zip(bands.names, plain_names(bands.names), strict=True))
    return {
        "nodata": plain_value(bands.nodata),  # in which NaN equals NaN
        "valid": bands.valid,
        "clip": {plain[name]: limits for name, limits in bands.clip.items()},
        "log": {plain[name] for name in bands.log},
        "ratios": [
            (plain[first], plain[second]) for first, second in bands.ratios.values()
        ],  # the order is that of the inputs
    }


def _as_float32(value: float) -> float:
    """A value as pixels of float32 hold it; what is not finite is NaN, since none of it is data anyway."""
    with np.errstate(over="ignore"):
        held = float(np.float32(value))
    return held if math.isfinite(held) else math.nan  # this object equals itself, as an element of a tuple


def _check_names(bands: Bands) -> None:
    if not 1 <= len(bands.names) <= MOST_BANDS:
        raise UserError(f"bands.names: {len(bands.names)} bands, where there must be 1 to {MOST_BANDS}")
    every = bands.inputs
    twice = next((name for index, name in enumerate(every) if name in every[:index]), None)
    if twice is not None:
        raise UserError(f"bands.names: {twice} stands for two bands: each needs a name of its own")
    if not all(every):
        raise UserError("bands.names: a name is empty")


def _check_statistics(bands: Bands) -> None:
    counts = {len(bands.names), len(bands.inputs)}
    eight_bits = bands.type == "uint8" and not (bands.clip or bands.log or bands.ratios)
    for key, values in (("mean", bands.mean), ("std", bands.std)):
        if eight_bits and not bands.mean and not bands.std:
            return
        if len(values) not in counts:
            raise UserError(
                f"bands.{key}: {len(values)} values for {len(bands.names)} bands: `seglight doctor` measures them and "
                "prints the lines to paste"
            )
        if not all(map(math.isfinite, values)) or (key == "std" and min(values) <= 0):
            raise UserError(f"bands.{key} {list(values)}: give finite numbers{', above 0' if key == 'std' else ''}")
        if max(map(abs, values)) > float(FLOAT32.max) or (key == "std" and min(values) < float(FLOAT32.tiny)):
            raise UserError(f"bands.{key} {list(values)}: beyond the numbers of float32, with which nets calculate")


def _check_values(bands: Bands) -> None:
    info = np.iinfo(bands.type) if bands.type != "float32" else None
    if bands.nodata is not None and info:
        held = float(bands.nodata).is_integer() and info.min <= bands.nodata <= info.max
        if not held:
            raise UserError(f"bands.nodata {bands.nodata:g}: no value of type {bands.type}")
    if bands.valid is not None:
        low, high = bands.valid
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UserError(f"bands.valid {[low, high]}: give [least, greatest]")
        if info and not max(low, info.min) <= min(high, info.max):
            raise UserError(f"bands.valid {[low, high]}: no value of type {bands.type}, {info.min} to {info.max}")
    for name, (low, high) in bands.clip.items():
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UserError(f"bands.clip.{name} {[low, high]}: give [least, greatest]")


def _check_known(bands: Bands, key: str, name: str) -> None:
    if name not in bands.names:
        raise UserError(f"bands.{key}: there is no band {name}: the bands are {', '.join(bands.names[:12])}")


RGB = Bands()
"""8-bit RGB, the images of a data module that describes none."""


def unnamed(count: int) -> Bands:
    """8-bit bands of a net that was built for their number without a description: it normalises them by itself."""
    return RGB if count == len(RGB.names) else Bands(tuple(f"band {number + 1}" for number in range(count)))
