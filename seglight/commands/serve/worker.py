"""A model process: it decodes images, predicts them and makes answers, and knows nothing of HTTP.

Imports no torch, which exported nets do not need.
"""

import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.commands.serve.image_errors import status_of
from seglight.commands.serve.messages import (
    RGB_BYTES,
    Abandon,
    Batch,
    Begun,
    Described,
    Done,
    Failed,
    Item,
    Job,
    Loaded,
    NotLoaded,
    Progress,
)
from seglight.commands.serve.prediction import Answer
from seglight.commands.serve.refusals import Refused
from seglight.errors import UserError, one_line, traceback_of, user_error_behind
from seglight.images.bands import Bands
from seglight.images.opencv import single_threaded_opencv
from seglight.images.pixels import are_rgb, decode_pixels
from seglight.images.stretch import stretched
from seglight.images.tiff import LARGE
from seglight.images.types import LabelMap
from seglight.inference.load import load
from seglight.inference.predictor import ArrayWindows, Predictor

WARM_UP = (64, 64)
"""Size of the image that a model predicts before it counts as loaded: many runtimes complete their work only then."""

NPY = b"\x93NUMPY"
"""Beginning of an array in NumPy's format."""

THE_IMAGE = "the image"
"""What messages call an image that came without a name."""


def name_of(data: bytes) -> str:
    """What messages call an image; its suffix tells arrays of NumPy, which have no other sign for a reader."""
    return f"{THE_IMAGE}.npy" if data.startswith(NPY) else THE_IMAGE


class AbandonedError(Exception):
    """Nobody waits for the batch any more."""


class Model(NamedTuple):
    """A loaded model.

    Args:
        name: Name in requests.
        path: Path that it was loaded from.
        predictor: The net.
        limited: Whether it chooses windows by a memory limit.
    """

    name: str
    path: str
    predictor: Predictor
    limited: bool


def run(connection: Connection, job: Job) -> None:
    """Load the models, then predict batches until the other end is closed."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with an image is its answer
    with single_threaded_opencv(), suppress(EOFError, ConnectionError):  # the web process has ended
        models = {}
        for name, path in job.models.items():
            try:
                models[name] = _loaded(name, str(path), job)
            except Exception as error:
                connection.send(NotLoaded(name, _load_failure(error)))
                return
        connection.send(Loaded({name: _described(model.predictor) for name, model in models.items()}))
        while True:
            message = connection.recv()
            if isinstance(message, Batch):
                _work(connection, models[message.model], message)


def _loaded(name: str, path: str, job: Job) -> Model:
    predictor = load(path, device=job.device, max_memory=job.max_memory, trust=job.trust, threads=job.threads)
    card = predictor.card
    if card.image is None and card.bands not in (None, 3):
        raise UserError(f"{path}: takes images of {card.bands} bands, and requests have images in RGB")
    bands = card.pixels
    predictor.predict(np.zeros((*(predictor.size or WARM_UP), len(bands.names)), bands.dtype))
    return Model(name, path, predictor, job.max_memory is not None)


def _load_failure(error: Exception) -> str:
    mistake = user_error_behind(error)
    if mistake is None:
        sys.stderr.write(traceback_of(error))
    return one_line(mistake or error) or type(error).__name__


def _described(predictor: Predictor) -> Described:
    return Described(predictor.card, predictor.size, predictor.has_probabilities, predictor.takes_batches)


def _work(connection: Connection, model: Model, batch: Batch) -> None:
    """Answer all images of a batch."""
    payloads = [connection.recv_bytes() for _ in batch.items]
    connection.send(Begun(batch.number))

    def report(fraction: float) -> None:
        if fraction == 1.0 and not batch.reported:
            return
        connection.send(Progress(fraction))
        while connection.poll():
            if connection.recv() == Abandon(batch.number):
                raise AbandonedError

    images: dict[int, NDArray[Any]] = {}
    for place, (item, payload) in enumerate(zip(batch.items, payloads, strict=True)):
        with _failures(connection, model, place):
            images[place] = _pixels(item, payload, model.predictor.card.pixels)
    del payloads
    label_maps = LabelMaps(model, [*images.values()], report)
    for number, (place, image) in enumerate(images.items()):
        with _failures(connection, model, place):
            answer: Answer = pickle.loads(batch.items[place].answer)
            content = answer(ImagePrediction(model.predictor, image, label_maps, number))
            connection.send(Done(place))
            connection.send_bytes(content)


def _pixels(item: Item, payload: bytes, bands: Bands) -> NDArray[Any]:
    if not item.is_file:
        # copied: an answer may write to it
        return np.frombuffer(payload, item.type).reshape(*item.size, item.bands).copy()
    image = decode_pixels(payload, name_of(payload), bands)
    if image.shape[:2] != item.size:  # limits and batches rely on the header
        raise UserError(f"{THE_IMAGE}: its header and its content are of different sizes: the file is damaged")
    return image


@contextmanager
def _failures(connection: Connection, model: Model, place: int) -> Iterator[None]:
    """Send why there is no answer for an image, if the block raises."""
    failed = None
    try:
        yield
    except Refused as refused:
        failed = Failed(place, refused.status, refused.reason, refused.retry_after)
    except UserError as error:
        failed = Failed(place, status_of(error), one_line(error).replace(model.path, model.name), None)
    except MemoryError:
        failed = Failed(place, 413, "the image is too large for the memory of the server", None)
    except AbandonedError:
        failed = Failed(place, 503, "nobody waits for the answer", None)
    except ConnectionError:  # nobody is at the other end, which `run` notices
        raise
    except Exception as error:
        sys.stderr.write(traceback_of(error))
        failed = Failed(place, 500, "the answer can't be made, by an error of the server: its log has more", None)
    if failed is not None:
        connection.send(failed)


class LabelMaps:
    """Label maps of the images of a batch, computed together when the first one is asked for.

    Args:
        model: Model that predicts.
        images: Pixels (H, W, bands) of each image.
        report: Function that is called with the fraction of a single image whose labels are computed.
    """

    def __init__(self, model: Model, images: Sequence[NDArray[Any]], report: Callable[[float], None]) -> None:
        self.model = model
        self.images = images
        self.report = report
        self._found: Sequence[LabelMap | UserError] = ()

    def label_map(self, number: int) -> LabelMap:
        """Label map (H, W) of an image.

        Raises:
            UserError: The net fails on this image.
        """
        if not self._found:
            self._found = self._together()
        found = self._found[number]
        if isinstance(found, UserError):
            raise found
        return found

    def _together(self) -> Sequence[LabelMap | UserError]:
        if len(self.images) > 1:
            try:
                return self.model.predictor.predict_batch(self.images)
            except UserError:  # one of them fails, and the others do not
                pass
        return [self._alone(image) for image in self.images]

    def _alone(self, image: NDArray[Any]) -> LabelMap | UserError:
        try:
            bands = [*self._bands(image)]
        except UserError as error:
            return error
        if len(bands) == 1:
            return bands[0]
        labels: NDArray[Any] = np.concatenate(bands)
        return labels

    def _bands(self, image: NDArray[Any]) -> Iterator[LabelMap]:
        """Label rows from the top; as `predict`, it reads large images by windows unless a memory limit decides."""
        predictor = self.model.predictor
        by_windows = image.nbytes > RGB_BYTES * LARGE and not self.model.limited
        done = 0
        for band in predictor.rows(ArrayWindows(image)) if by_windows else predictor.label_bands(image):
            yield band
            done += len(band)
            self.report(done / len(image))


class ImagePrediction:
    """What an answer is made from: see `Prediction`.

    Args:
        predictor: The net.
        image: Pixels (H, W, bands).
        label_maps: Label maps of the batch.
        number: Number of the image among them.
    """

    def __init__(self, predictor: Predictor, image: NDArray[Any], label_maps: LabelMaps, number: int) -> None:
        self.predictor = predictor
        self.image = image
        self._label_maps = label_maps
        self._number = number

    @property
    def labels(self) -> LabelMap:
        """Label map (H, W)."""
        return self._label_maps.label_map(self._number)

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The image as it is shown, uint8 (H, W, 3)."""
        bands = self.predictor.card.pixels
        return self.image if are_rgb(bands) else stretched(self.image, bands)

    def probabilities(self) -> NDArray[np.float32]:
        """Probabilities (C, H, W) of the classes.

        Raises:
            UserError: The net fails on the image, its file has no probabilities, or they are too large.
        """
        height, width = self.image.shape[:2]
        classes = len(self.predictor.class_names)
        if height * width > LARGE:
            raise UserError(
                f"probabilities of {height} x {width} pixels x {classes} classes take "
                f"{4 * height * width * classes / 1e9:.1f} GB: cut the image into smaller ones"
            )
        return self.predictor.probabilities(self.image)
