"""Images of several bands, and descriptions that fit them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.images.bands import TYPES, Bands
from seglight.images.holding import Holding


def described(count: int, kind: str, **more: Any) -> Bands:
    """Description of so many bands, named band1, band2, ..., with the statistics 0 and 1."""
    names = tuple(f"band{index + 1}" for index in range(count))
    return Bands(names, kind, (0.0,) * count, (1.0,) * count, **more)


def fitting(held: Holding) -> Bands:
    """Description that fits what a file holds, as far as there is one."""
    kind = held.type if held.type in TYPES else "float32"
    return described(held.bands * held.pages, kind, pages=held.pages > 1)


def noise(count: int, kind: str, size: tuple[int, int] = (37, 53), seed: int = 0) -> NDArray[Any]:
    """Random values (H, W, bands) over the whole range of a type."""
    generator = np.random.default_rng(seed)
    if kind.startswith("float"):
        return generator.normal(300, 20, (*size, count)).astype(kind)
    info = np.iinfo(kind)
    return generator.integers(info.min, info.max, (*size, count), dtype=kind, endpoint=True)
