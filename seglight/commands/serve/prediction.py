"""What an answer is made from, within a model process. Imports no torch, which exported nets do not need."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seglight.images.types import LabelMap
from seglight.inference.predictor import Predictor


class Prediction(Protocol):
    """One image and what its net says about it; an answer computes only what it asks for.

    Attributes:
        predictor: The net, with its model card.
        image: Pixels (H, W, bands) in the bands and type that the net reads: uint8 in RGB by default.
    """

    predictor: Predictor
    image: NDArray[Any]

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The image as it is shown, uint8 (H, W, 3): itself in 8-bit RGB, else three of its bands, stretched."""

    @property
    def labels(self) -> LabelMap:
        """Label map (H, W), computed when it is first asked for.

        Raises:
            UserError: The net fails on the image.
        """

    def probabilities(self) -> NDArray[np.float32]:
        """Probabilities (C, H, W) of the classes.

        Raises:
            UserError: The net fails on the image, the file was exported without them, or they are too large.
        """


Answer: TypeAlias = Callable[[Prediction], bytes]
"""Makes an answer. It is pickled by its name and runs in a model process: a function at the top of a module, or a
`functools.partial` of one. The module must not import what only the web process needs."""
