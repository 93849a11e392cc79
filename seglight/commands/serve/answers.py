"""Answers that several protocols give: functions of a prediction that return the bytes of a file.

They run in the processes that predict, to which they are sent by name: each is a function of a module, or a partial of
one.
"""

from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image

from seglight.commands.serve.prediction import Prediction
from seglight.images.coco import CocoObjects
from seglight.images.draw import overlay, palette_image

BAND = 1 << 18
"""Number of pixels that are overlaid at a time."""


def index_png(prediction: Prediction) -> bytes:
    """The label map as an index PNG, grey with 16 bits for more than 255 classes, as `seglight predict` writes it."""
    return _png(palette_image(prediction.labels, prediction.predictor.palette))


def grey_png(prediction: Prediction) -> bytes:
    """The label map as a grey PNG whose values are the class indices: of 16 bits for more than 255 classes."""
    return _png(Image.fromarray(prediction.labels))


def overlay_png(prediction: Prediction) -> bytes:
    """The image overlaid with its label map, as a PNG."""
    labels, image = prediction.labels, prediction.picture
    picture = np.empty((*labels.shape, 3), np.uint8)
    step = max(1, BAND // labels.shape[1])
    for rows in (slice(top, top + step) for top in range(0, len(labels), step)):
        picture[rows] = overlay(image[rows], labels[rows], prediction.predictor.palette)
    return _png(Image.fromarray(picture))


def coco_json(prediction: Prediction, form: Literal["runs", "polygons"] = "runs") -> bytes:
    """The connected components of the label map as objects in COCO's JSON.

    Args:
        prediction: Prediction of an image, whose name in the JSON is "image".
        form: Form of the outlines, see `CocoObjects`.
    """
    objects = CocoObjects(prediction.predictor.class_names, form)
    objects.add("image", prediction.labels)
    return "".join(objects.text()).encode()


def probabilities_npz(prediction: Prediction) -> bytes:
    """The probabilities, float16 (C, H, W), as the array `probabilities` of an .npz file.

    Raises:
        UserError: The model gives labels only.
    """
    file = BytesIO()
    np.savez_compressed(file, probabilities=prediction.probabilities().astype(np.float16))
    return file.getvalue()


def confidence_png(prediction: Prediction) -> bytes:
    """The highest probability of each pixel as an 8-bit grey PNG: 255 is a probability of 1.

    Raises:
        UserError: The model gives labels only.
    """
    highest = prediction.probabilities().max(axis=0)
    return _png(Image.fromarray((highest * 255).round().clip(0, 255).astype(np.uint8)))


def raw_labels(prediction: Prediction) -> bytes:
    """The class indices row by row: a byte a pixel, or two, the lower one first, for more than 255 classes."""
    labels = prediction.labels
    return labels.astype(labels.dtype.newbyteorder("<"), copy=False).tobytes()


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
