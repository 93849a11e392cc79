"""A model without a net: what a label should be is seen in the image."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seglight.checkpoints.model_card import ModelCard
from seglight.errors import UserError
from seglight.images.pixels import pixels_of
from seglight.images.types import Image, LabelMap, Windows

PALETTE = ((10, 20, 30), (200, 0, 0), (0, 200, 0), (0, 0, 200))


class Reds:
    """Class = red channel // 64; refuses images with a pixel of red 255."""

    class_names = ("sky", "road", "tree", "car")
    palette = PALETTE
    device = "cpu"
    card = ModelCard({}, class_names, PALETTE, 255)

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, image: Image) -> LabelMap:
        return self.predict_batch([pixels_of(image)])[0]

    def predict_batch(self, images: Sequence[NDArray[np.uint8]]) -> list[LabelMap]:
        self.batches.append(len(images))
        if any((image[..., 0] == 255).any() for image in images):
            raise UserError("too red")
        return [image[..., 0] // 64 for image in images]

    def probabilities(self, image: Image) -> NDArray[np.float32]:
        labels = self.predict(image)
        return np.moveaxis(np.eye(4, dtype=np.float32)[labels] * 0.7 + 0.075, -1, 0)

    def rows(self, image: Windows) -> Iterator[LabelMap]:
        height, width = image.shape[:2]
        for top in range(0, height, 7):
            yield image.read(slice(top, min(top + 7, height)), slice(0, width))[..., 0] // 64
