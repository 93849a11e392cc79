"""A net with its weights, run by torch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seglight.checkpoints.checkpoint import card_of, load_net
from seglight.checkpoints.model_card import ModelCard
from seglight.checkpoints.temperature import say_dropped
from seglight.errors import UserError, one_line
from seglight.images.bands import RGB
from seglight.images.pixels import pixels_of
from seglight.images.types import Image, LabelMap, Windows
from seglight.inference.no_data import NoDataRows, without_classes, without_probabilities
from seglight.inference.predictor import ArrayWindows, CheckedWindows, checked_batch
from seglight.inference.sliding import SlidingWindow
from seglight.inference.whole import WholeImage
from seglight.interfaces import Inferer
from seglight.models.ensemble import Ensemble
from seglight.models.memory_format import FORMATS
from seglight.models.misfit import encoder_channels
from seglight.ops.label_tensors import as_array

WHOLE = WholeImage()


class TorchPredictor:
    """A net that is ready to predict.

    Args:
        net: Net that takes images (B, bands, H, W) of the card's type.
        card: Model card of the net.
        source: Name of the model, for error messages.
        device: "cpu", "cuda", "cuda:1", ..., or "auto": a GPU if there is one.
        inferer: How the net is applied to an image.

    Attributes:
        class_names: Names of the classes, by class index.
        palette: RGB colours of the classes, by class index.
        size: None: it takes images of any size.
        takes_batches: Whether images of one size are passed through the net together.
        has_probabilities: True.

    Raises:
        UserError: The device does not exist.
    """

    has_probabilities = True

    def __init__(
        self, net: nn.Module, card: ModelCard, source: str, device: str = "auto", inferer: Inferer = WHOLE
    ) -> None:
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        try:
            self.net = net.to(self.device).eval().requires_grad_(False)
        except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
            raise UserError(f"--device {device}: not available here: {str(error).splitlines()[0]}") from error
        self.class_names = card.class_names
        self.palette = card.palette
        self.memory_format = FORMATS[card.channels_last]
        self.card = card
        self.source = source
        self.inferer = inferer
        self.size: tuple[int, int] | None = None
        self.takes_batches = inferer.takes_batches

    def predict(self, image: Image) -> LabelMap:
        """Label map (H, W) at the image's size.

        Raises:
            UserError: The image is damaged or of another type, or too large for the memory or the net.
        """
        return self._labels([pixels_of(image, self.card.pixels)])[0]

    def predict_batch(self, images: Sequence[NDArray[Any]]) -> list[LabelMap]:
        """Label maps of images (H, W, bands) of any sizes; images of one size are one batch of the net.

        Raises:
            UserError: As `predict`.
        """
        return self._labels(checked_batch(images, self._count, self.card.pixels.dtype))

    def _labels(self, images: Sequence[NDArray[Any]]) -> list[LabelMap]:
        labels: dict[int, LabelMap] = {}
        for size in sorted({image.shape for image in images}):
            places = [place for place, image in enumerate(images) if image.shape == size]
            found = self._run(self.inferer.labels, [images[place] for place in places])
            labels.update(zip(places, found, strict=True))
        return [without_classes(labels[place], image, self.card) for place, image in enumerate(images)]

    def probabilities(self, image: Image) -> NDArray[np.float32]:
        """Probabilities (C, H, W) of the classes at the image's size, at the temperature of the model card.

        Raises:
            UserError: As `predict`.
        """
        temperature = self.card.temperature
        infer: Callable[[nn.Module, Tensor], Tensor] = self.inferer.probabilities
        if temperature is not None:
            infer = partial(self.inferer.tempered_probabilities, temperature=temperature)
        pixels = pixels_of(image, self.card.pixels)
        return without_probabilities(self._run(infer, [pixels])[0], pixels, self.card.pixels)

    def label_bands(self, image: NDArray[Any]) -> Iterator[LabelMap]:
        """Label rows (h, W) of `predict`, from the top, as they are finished.

        Raises:
            UserError: As `predict`.
        """
        pixels = pixels_of(image, self.card.pixels)
        with self._blamed(*pixels.shape[:2]):
            yield from NoDataRows(ArrayWindows(pixels), self.card).marked(self._bands(pixels))

    @torch.no_grad()
    def _bands(self, image: NDArray[Any]) -> Iterator[LabelMap]:
        for band in self.inferer.label_bands(self.net, self._batch([image])):
            yield as_array(band.cpu())

    def rows(self, image: Windows) -> Iterator[LabelMap]:
        """Label rows (h, W), from the top, of an image that is read by windows.

        An inferer that takes images in memory only is replaced by a `SlidingWindow`.

        Raises:
            UserError: As `predict`.
        """
        checked = CheckedWindows(image, self._count, self.card.pixels.dtype)
        windows = NoDataRows(checked, self.card)
        with self._blamed(*checked.shape):
            rows = self.inferer.rows(self.net, windows)
            if rows is None:
                rows = SlidingWindow().rows(self.net, windows)
            yield from windows.marked(as_array(labels.cpu()) for _, labels in rows)

    def _run(self, infer: Callable[[nn.Module, Tensor], Tensor], images: Sequence[NDArray[Any]]) -> NDArray[Any]:
        with self._blamed(*images[0].shape[:2]), torch.inference_mode():
            return as_array(infer(self.net, self._batch(images)).cpu())

    def _batch(self, images: Sequence[NDArray[Any]]) -> Tensor:
        """Images of one size as (B, bands, H, W) on the device, in the net's memory format."""
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(self.device)
        return batch.contiguous(memory_format=self.memory_format)

    @property
    def _count(self) -> int | None:
        """Number of bands of an image; None: not known."""
        return encoder_channels(self.net) if self.card.image is None else len(self.card.image.names)

    @contextmanager
    def _blamed(self, height: int, width: int) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # the net takes no such image, or there is too little memory
            reason = one_line(error) or type(error).__name__
            raise UserError(f"{self.source}: the net fails on an image of {height}x{width}: {reason}") from error


def load_torch(
    paths: Sequence[str | Path], device: str = "auto", inferer: Inferer | None = None, trust: Sequence[str] = ()
) -> TorchPredictor:
    """Predictor of a checkpoint or a released net, or of the mean of the probabilities of several.

    Args:
        paths: Checkpoints and released folders, all with the same classes.
        device: Device as in `TorchPredictor`.
        inferer: How the net is applied to an image; None: the whole image in one pass.
        trust: Further packages whose classes they may name.

    Raises:
        UserError: A model can't be loaded, see `load_net`, or their classes differ.
    """
    loaded = [load_net(path, trust) for path in paths]
    net, card = loaded[0]
    for path, (_, other) in zip(paths, loaded, strict=True):
        difference = card.classes.difference(other.classes)
        if difference:
            raise UserError(f"{path}: {difference}: all members must be of the first one's class table")
        difference = card.pixels.difference(other.pixels)  # each member has a mean and std of its own
        if difference:
            raise UserError(f"{path}: the first one and it have {difference}: all members must read the same images")
    if len(loaded) > 1:
        for path, (_, own) in zip(paths, loaded, strict=True):
            say_dropped(path, own, "as the mean of several nets is calibrated by one of its own")
        members = iter(loaded)
        net = Ensemble(card.num_classes, [lambda _: next(members)[0]] * len(loaded))
        config = {"class_path": "seglight.models.Ensemble", "init_args": {"members": [own.net for _, own in loaded]}}
        card = card_of(net, config, card.classes, card.ignore_index, card.channels_last, image=card.image or RGB)
    return TorchPredictor(net, card, " + ".join(map(str, paths)), device, inferer or WHOLE)
