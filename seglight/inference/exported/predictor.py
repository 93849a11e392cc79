"""Base class of the predictors of exported files. Imports no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError, one_line
from seglight.images.pixels import pixels_of
from seglight.images.types import Image, LabelMap
from seglight.inference.exported.metadata import Metadata
from seglight.inference.no_data import without_classes, without_probabilities
from seglight.inference.predictor import checked_batch
from seglight.ops.label_types import label_type

Output = Literal["labels", "probabilities"]

REMEDY = "export another checkpoint, and without int8 if it was quantised"


class ExportedPredictor:
    """Base class of the predictors of exported files; a subclass runs the graph.

    Attributes:
        path: Path of the file.
        metadata: Content of the file beside its graph.
        card: Model card of the net.
        class_names: Names of the classes, by class index.
        palette: RGB colours of the classes, by class index.
        size: The only size (H, W) of images that the graph takes; None: any size.
        takes_batches: Whether images of one size are one batch of the graph; otherwise it is run for one at a time.
    """

    def __init__(self, path: Path, metadata: Metadata) -> None:
        self.path = path
        self.metadata = metadata
        self.card = metadata.card
        self.device = "cpu"
        self.class_names = metadata.card.class_names
        self.palette = metadata.card.palette
        self.size = metadata.size
        self.takes_batches = metadata.batch

    @property
    def has_probabilities(self) -> bool:
        """Whether the graph has probabilities beside labels."""
        return "probabilities" in self._outputs()

    def predict(self, image: Image) -> LabelMap:
        """Label map (H, W) at the image's size.

        Raises:
            UserError: The image is damaged, has another type, or not the only size that the file takes; or the net's
                logits are not finite.
        """
        pixels = pixels_of(image, self.card.pixels)
        return without_classes(self._output("labels", [pixels])[0], pixels, self.card)

    def predict_batch(self, images: Sequence[NDArray[Any]]) -> list[LabelMap]:
        """Label maps of images (H, W, bands) of any sizes, in the bands and type of the card.

        Those of one size are one batch, if the graph takes batches.

        Raises:
            UserError: As `predict`.
        """
        checked_batch(images, len(self.card.pixels.names), self.card.pixels.dtype)
        if not self.takes_batches:
            return [self.predict(image) for image in images]
        labels: dict[int, LabelMap] = {}
        for size in {image.shape for image in images}:
            places = [place for place, image in enumerate(images) if image.shape == size]
            labels.update(zip(places, self._output("labels", [images[place] for place in places]), strict=True))
        return [without_classes(labels[place], image, self.card) for place, image in enumerate(images)]

    def probabilities(self, image: Image) -> NDArray[np.float32]:
        """Probabilities (C, H, W) of the classes at the image's size.

        Raises:
            UserError: As `predict`, or the file was exported without them.
        """
        pixels = pixels_of(image, self.card.pixels)
        return without_probabilities(self._output("probabilities", [pixels])[0], pixels, self.card.pixels)

    def _output(self, name: Output, images: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """An output (B, ...) of images (H, W, bands) of one size."""
        height, width = images[0].shape[:2]
        if self.metadata.size not in (None, (height, width)):
            fixed = "{}x{}".format(*self.metadata.size or ())
            raise UserError(
                f"{self.path}: takes images of {fixed} only (height x width), not of {height}x{width}: "
                "export it with --size dynamic"
            )
        if name not in self._outputs():
            raise UserError(f"{self.path}: it has labels only: export it with --probabilities")
        pixels = np.empty((len(images), images[0].shape[2], height, width), images[0].dtype)
        for place, image in enumerate(images):
            pixels[place] = image.transpose(2, 0, 1)
        try:
            found = np.asarray(self._run(name, pixels))
        except Exception as error:  # onnxruntime's have no common class
            raise UserError(f"{self.path}: fails on an image of {height}x{width}: {first_line(error)}") from error
        self._check_finite(name, found, images)
        if name == "labels":
            found = found.astype(label_type(len(self.class_names)), copy=False)
        if found.ndim < 3 or (len(found), *found.shape[-2:]) != (len(images), height, width):
            raise UserError(
                f"{self.path}: its {name} are {found.shape[1:]} for an image of {height}x{width}: export it again"
            )
        return found

    def _check_finite(self, name: Output, found: NDArray[Any], images: Sequence[NDArray[Any]]) -> None:
        """The graph marks labels of logits that are not finite; probabilities are not finite themselves.

        Pixels that have data in no band are marked too, and are no fault.
        """
        if name == "probabilities":
            broken = not np.isfinite(found.sum())
        else:
            broken = bool(found.size) and not 0 <= found.min() <= found.max() < len(self.class_names)
            if broken and self.card.pixels.has_nodata:
                data = ~np.stack([self.card.pixels.without_data(image) for image in images])
                broken = bool(((found < 0) | (found >= len(self.class_names)))[data].any())
        if broken:
            raise UserError(f"{self.path}: its logits are NaN or infinite, which gives no label map: {REMEDY}")

    def _outputs(self) -> Sequence[str]:
        raise NotImplementedError

    def _run(self, name: Output, image: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError


def existing(path: str | Path) -> Path:
    """Path of a file that exists.

    Raises:
        UserError: The file does not exist.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    return Path(path)


def missing(path: Path, package: str, extra: str) -> UserError:
    """Error for a runtime that is not installed."""
    return UserError(f'{path}: needs {package}: pip install "seglight[{extra}]"')


def unreadable(path: Path, error: Exception) -> UserError:
    """Error for a file that a runtime refuses."""
    return UserError(f"{path}: not readable, it is cut off, damaged or of another program ({first_line(error)})")


def first_line(error: BaseException) -> str:
    """First line of an error's message, or the name of its class."""
    return one_line(Exception((str(error).strip() or type(error).__name__).splitlines()[0]))
