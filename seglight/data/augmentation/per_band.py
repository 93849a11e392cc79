"""Random changes of each band by itself: gain, offset, gamma, noise and dropout, for images of any bands and type."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.data.augmentation.missing import avoid_nodata, filled, limits
from seglight.errors import UserError
from seglight.images.bands import Bands

ROUGH_STD = 64.0
"""Standard deviation of bands of 8-bit RGB without statistics: a quarter of the range."""

BLOCK = 1 << 20
"""Number of values that are changed at once: they stay in the cache of a processor."""


@dataclass(frozen=True)
class PerBand:
    """Random changes of each band by itself, drawn anew for each crop and band.

    They are made after `clip` and `log` of the bands, where their mean and standard deviation are known. Values that
    are no data stay so, and the others stay within the limits of the type and of `valid`.

    Args:
        gain: Largest relative change of the distance of values from the band's mean.
        offset: Largest shift, in standard deviations of the band.
        gamma: Largest relative change of the exponent, which is drawn between 1 / (1 + gamma) and 1 + gamma; it bends
            the values between the ends of `clip`, of `valid`, or else three standard deviations around the mean.
        noise: Largest standard deviation of added Gaussian noise, in standard deviations of the band.
        dropout: Probability that a band is set to its mean; one band is always left.

    Raises:
        UserError: A number is not valid.
    """

    gain: float = 0.0
    offset: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("gain", "dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"augmentation.per_band: {name} {getattr(self, name)} must lie in [0, 1]")
        for name in ("offset", "gamma", "noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"augmentation.per_band: {name} {getattr(self, name)} must be at least 0, and finite")

    def __call__(self, rng: np.random.Generator, image: NDArray[Any], bands: Bands) -> NDArray[Any]:
        """Change an image.

        Args:
            rng: Generator that the changes are drawn from.
            image: Image (H, W, bands) of the type of the bands.
            bands: Description of the bands.

        Returns:
            Image (H, W, bands) of the same type.

        Raises:
            UserError: The image has other bands than are described.
        """
        if (image.shape[2], image.dtype) != (len(bands.names), bands.dtype):
            raise UserError(
                f"augmentation.per_band needs the statistics of the bands, which are those of {bands.line()}, and the "
                f"image has {image.shape[2]} of {image.dtype}: describe them in data.bands"
            )
        change, scale = self._draw(rng, bands), _Scale.of(bands)
        rows = max(1, BLOCK // (image.shape[1] * image.shape[2]))
        changed = np.empty_like(image, order="C")
        for top in range(0, len(image), rows):
            changed[top : top + rows] = change.applied(rng, image[top : top + rows], scale)
        return changed

    def _draw(self, rng: np.random.Generator, bands: Bands) -> "_Change":
        count = len(bands.names)
        factor = rng.uniform(1 - self.gain, 1 + self.gain, count)
        shift = rng.uniform(-self.offset, self.offset, count)
        exponent = np.exp(rng.uniform(-1, 1, count) * math.log1p(self.gamma))
        level = rng.uniform(0, self.noise, count)
        dropped = rng.random(count) < self.dropout
        left = rng.integers(count)
        if dropped.all():
            dropped[left] = False
        return _Change(
            bands,
            np.where(dropped, 0, factor),
            np.where(dropped, 0, shift),
            exponent if self.gamma else None,
            np.where(dropped, 0, level) if self.noise else None,
        )


@dataclass(frozen=True)
class _Scale:
    """Where the values of each band lie after the logarithm: arrays (bands,) of float32.

    Attributes:
        mean: Mean.
        std: Standard deviation.
        low: Lower end of the range that gamma bends.
        span: Length of that range.
        log: Whether the band is a logarithm.
        least: Value whose logarithm is 0; 0 for other bands.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    low: NDArray[np.float32]
    span: NDArray[np.float32]
    log: NDArray[np.bool_]
    least: NDArray[np.float32]

    @classmethod
    def of(cls, bands: Bands) -> "_Scale":
        """The scale of bands."""
        count = len(bands.names)
        mean: NDArray[Any] = np.asarray(bands.mean[:count] or bands.fill)
        std: NDArray[Any] = np.asarray(bands.std[:count] or (ROUGH_STD,) * count)
        log = np.array([name in bands.log for name in bands.names])
        least: NDArray[Any] = np.zeros(count)
        low, high = mean - 3 * std, mean + 3 * std
        for index, name in enumerate(bands.names):
            ends = bands.clip.get(name, bands.valid)
            least[index] = bands.clip.get(name, (0.0, 0.0))[0] if log[index] else 0.0
            if ends is not None:
                low[index], high[index] = (
                    math.log1p(max(end - least[index], 0)) if log[index] else end for end in ends
                )
        span = np.maximum(high - low, np.finfo(np.float32).tiny)
        mean, std, low, span, least = (array.astype(np.float32) for array in (mean, std, low, span, least))
        return cls(mean, std, low, span, log, least)


@dataclass(frozen=True)
class _Change:
    """A drawn change: of each band the factor, the shift in standard deviations, the exponent, the level of the noise.

    Arrays are (bands,); those of exponents and noise are None where there is none.
    """

    bands: Bands
    factor: NDArray[np.float64]
    shift: NDArray[np.float64]
    exponent: NDArray[np.float64] | None
    level: NDArray[np.float64] | None

    def applied(self, rng: np.random.Generator, image: NDArray[Any], scale: _Scale) -> NDArray[Any]:
        """The change of some rows (h, W, bands) of an image."""
        invalid = self.bands.invalid(image)
        some = bool(invalid.any())
        source = filled(image, invalid, self.bands) if some else image
        # rows of all bands: arithmetic over a last axis of few bands would be slow
        values = source.astype(np.float32).reshape(len(image), -1)
        self._change(rng, values, scale)
        stored = self._stored(values.reshape(image.shape), image.dtype)
        if some:
            np.copyto(stored, image, where=invalid)
        return stored

    def _change(self, rng: np.random.Generator, values: NDArray[np.float32], scale: _Scale) -> None:
        """Change values (h, W * bands) in place."""

        def along(of_bands: NDArray[Any]) -> NDArray[Any]:
            repeated = np.tile(of_bands, values.shape[1] // len(of_bands))
            return repeated if repeated.dtype == np.bool_ else repeated.astype(np.float32, copy=False)

        log, least = along(scale.log), along(scale.least)
        logarithms = bool(scale.log.any())
        if logarithms:
            values -= least
            np.maximum(values, 0, out=values, where=log)
            np.log1p(values, out=values, where=log)
        if self.exponent is not None:
            low, span = along(scale.low), along(scale.span)
            part = ((values - low) / span).clip(0, 1)
            values += (part ** along(self.exponent) - part) * span
        values *= along(self.factor)
        values += along(scale.mean * (1 - self.factor) + scale.std * self.shift)
        if self.level is not None:
            noise = rng.standard_normal(values.shape, np.float32)
            noise *= along(scale.std * self.level)
            values += noise
        if logarithms:
            with np.errstate(over="ignore"):  # the limit of the type follows
                np.expm1(values, out=values, where=log)
            values += least

    def _stored(self, values: NDArray[np.float32], kind: np.dtype[Any]) -> NDArray[Any]:
        """Values (h, W, bands) in the type of the image, within its limits."""
        if kind.kind != "f":
            np.rint(values, out=values)
        stored: NDArray[Any] = values.clip(*limits(self.bands)).astype(kind)
        avoid_nodata(stored, self.bands)
        return stored
