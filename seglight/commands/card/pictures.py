"""Pictures of a card: an image, its labels, what a net predicts, and where that is wrong and what it is taken for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from seglight.images.bands import RGB, Bands
from seglight.images.draw import IGNORED
from seglight.images.legend import font, legend
from seglight.images.stretch import stretched, without_data
from seglight.images.types import Color
from seglight.system.escaping import tag

PARTS = ("image", "labels", "prediction", "errors by predicted class")
"""What the four parts show, row by row."""

LEAST, LONGEST = 240, 960
"""Pixels of the longer side of a part: smaller images are enlarged, larger ones are reduced."""

NARROWEST = 160, 40
"""Width and height that a part has at least; beside and above the image it is filled."""

GAP = 4
"""Pixels between the parts."""

ENTRIES = 8
"""Classes in the legend; the others are counted."""

LONGEST_NAME = 32
"""Characters of a class's name in the legend."""

OPACITY = 0.65
"""Opacity of labels over the image."""

INK: Color = (228, 232, 237)
PAPER: Color = (28, 32, 38)


def error_picture(
    image: NDArray[Any],
    mask: NDArray[np.integer],
    prediction: NDArray[np.integer],
    palette: Sequence[Color],
    class_names: Sequence[str],
    ignore_index: int,
    bands: Bands = RGB,
) -> NDArray[np.uint8]:
    """Draw the image, its labels, the prediction and the errors as a sheet of two by two, with a legend of the errors.

    Labels and prediction are laid over the image; pixels without a label show the image in grey. In the part of
    errors, a wrong pixel has the colour of the class that it is taken for, right ones show the image faintly, and
    pixels without a label are grey. Pixels without data are grey in all parts.

    Args:
        image: (H, W, bands).
        mask: True class index or `ignore_index`, integers (H, W).
        prediction: Predicted class index, integers (H, W).
        palette: RGB colours of the classes.
        class_names: Names of the classes.
        ignore_index: Mask value that is not scored.
        bands: What the image holds.

    Returns:
        Sheet, uint8 (H', W', 3). Large images are reduced, and small ones are enlarged, by an integer factor.
    """
    missing = without_data(image, bands)
    if missing is not None:
        mask, prediction = np.where(missing, ignore_index, mask), np.where(missing, 0, prediction)
    scored = mask != ignore_index
    wrong = scored & (prediction != mask)
    classes, pixels = np.unique(prediction[wrong], return_counts=True)
    most_first = classes[np.argsort(-pixels, kind="stable")]
    step = -(-max(mask.shape) // LONGEST)
    mask, prediction = mask[::step, ::step], prediction[::step, ::step]
    scored, wrong = scored[::step, ::step], wrong[::step, ::step]
    pixels_of = np.asarray(Image.fromarray(stretched(image, bands)).reduce(step))
    colors = np.asarray(palette, np.uint8)
    grey = pixels_of.mean(2, keepdims=True)
    errors = np.broadcast_to(grey * 0.35 + 150, pixels_of.shape).copy()
    errors[wrong] = colors[prediction[wrong]]
    errors[~scored] = IGNORED
    truth = np.where(scored[..., None], _overlaid(pixels_of, np.where(scored, mask, 0), colors), grey * 0.5)
    parts = [pixels_of, truth, _overlaid(pixels_of, prediction, colors), errors]
    if missing is not None:
        for part in parts[1:]:
            part[missing[::step, ::step]] = IGNORED
    return _sheet(
        [_enlarged(part.round().astype(np.uint8)) for part in parts], _entries(most_first, palette, class_names)
    )


def _entries(
    most_first: NDArray[np.integer], palette: Sequence[Color], class_names: Sequence[str]
) -> list[tuple[str, Color | None]]:
    """Names and colours of the classes that errors are taken for, most pixels first."""
    if not len(most_first):
        return [("No pixel is wrong.", None)]
    found: list[tuple[str, Color | None]] = [("taken for:", None)]
    found += [(_cut(class_names[k]), _color(palette[k])) for k in most_first[:ENTRIES]]
    left = len(most_first) - ENTRIES
    return [*found, (f"and {left} more", None)] if left > 0 else found


def _cut(name: str) -> str:
    text = tag(name)
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _color(color: Color) -> Color:
    red, green, blue = map(int, color)
    return red, green, blue


def _overlaid(image: NDArray[np.uint8], labels: NDArray[np.integer], colors: NDArray[np.uint8]) -> NDArray[np.float64]:
    mixed: NDArray[np.float64] = image * (1 - OPACITY) + colors[labels] * OPACITY
    return mixed


def _enlarged(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = max(1, round(LEAST / max(part.shape[:2])))
    return part.repeat(factor, 0).repeat(factor, 1)


def _sheet(parts: Sequence[NDArray[np.uint8]], entries: Sequence[tuple[str, Color | None]]) -> NDArray[np.uint8]:
    """The parts in two rows, each with its name in a corner, and the legend below them."""
    height, width = (max(side, least) for side, least in zip(parts[0].shape, reversed(NARROWEST), strict=False))
    letters = font(max(11, width // 26))
    margin = int(letters.size // 2)
    body = np.empty((2 * height + GAP, 2 * width + GAP, 3), np.uint8)
    body[:] = PAPER
    for k, part in enumerate(parts):
        top, left = (k // 2) * (height + GAP), (k % 2) * (width + GAP)
        body[top + height - part.shape[0] : top + height, left : left + part.shape[1]] = part
    picture = Image.fromarray(body)
    draw = ImageDraw.Draw(picture)
    for k, words in enumerate(PARTS):
        top, left = (k // 2) * (height + GAP), (k % 2) * (width + GAP)
        right = left + letters.getlength(words) + 2 * margin
        draw.rectangle((left, top, right, top + 1.7 * letters.size), PAPER)
        draw.text((left + margin, top + 0.85 * letters.size), words, INK, letters, "lm")
    foot = legend(entries, body.shape[1] - 2 * margin, letters, INK, PAPER)
    framed = np.pad(foot, ((margin, margin), (margin, margin), (0, 0)))
    framed[:margin] = framed[-margin:] = PAPER
    framed[:, :margin] = framed[:, -margin:] = PAPER
    return np.concatenate([np.asarray(picture), framed])
