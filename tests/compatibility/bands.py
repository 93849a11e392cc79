"""Images of four bands, drawn by the same code in each version."""

from typing import Any

import numpy as np

from seglight.data import ShapesDataModule


class WithFourth:
    """A split whose images have their mean as a fourth band."""

    def __init__(self, split: Any) -> None:
        self._split = split
        self.fingerprint, self.sources = split.fingerprint, split.sources

    def __len__(self) -> int:
        return len(self._split)

    def read(self, index: int) -> tuple[Any, Any, str]:
        image, mask, name = self._split.read(index)
        return with_fourth(image), mask, name


def with_fourth(image: Any) -> Any:
    return np.dstack([image, image.mean(2).astype(np.uint8)])


class FourBands(ShapesDataModule):
    """Drawn scenes with a fourth band."""

    def split(self, name: str) -> Any:
        return WithFourth(super().split(name))
