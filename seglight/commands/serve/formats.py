"""Formats of the answers of `/predict`, and which of them a request asks for."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

from seglight.commands.serve.answers import (
    coco_json,
    confidence_png,
    grey_png,
    index_png,
    overlay_png,
    probabilities_npz,
    raw_labels,
)
from seglight.commands.serve.prediction import Answer
from seglight.commands.serve.refusals import Refused

Name: TypeAlias = Literal["png", "grey", "overlay", "coco", "polygons", "probabilities", "labels", "confidence"]
"""Name of a format in a request."""

LINES = "application/x-ndjson"
"""Media type of an answer in lines of JSON: the progress, and the answer at the end."""


class Format(NamedTuple):
    """A format of answers.

    Args:
        answer: Function that makes the answer.
        media_type: Its media type.
        about: What it contains.
    """

    answer: Answer
    media_type: str
    about: str


FORMATS: Mapping[Name, Format] = {
    "png": Format(
        index_png,
        "image/png",
        "8-bit PNG of class indices with the classes' palette, or 16-bit grey of more than 255, as `predict` writes",
    ),
    "grey": Format(grey_png, "image/png", "grey PNG whose values are the class indices, of 8 or 16 bits"),
    "overlay": Format(overlay_png, "image/png", "the image overlaid with its label map"),
    "coco": Format(coco_json, "application/json", "connected components as objects in COCO's JSON, with run lengths"),
    "polygons": Format(partial(coco_json, form="polygons"), "application/json", "the same with polygons"),
    "probabilities": Format(
        probabilities_npz,
        "application/x-npz",
        "array `probabilities`, float16 (classes, height, width), as .npz of numpy",
    ),
    "labels": Format(
        raw_labels,
        "application/octet-stream",
        "class indices row by row, one byte a pixel, or two of more than 255 classes, the lower one first; "
        "X-Seglight-Size is height x width",
    ),
    "confidence": Format(confidence_png, "image/png", "8-bit grey PNG of the highest probability of each pixel"),
}
"""Formats by name."""

BY_MEDIA_TYPE: Mapping[str, Name] = {
    "*/*": "png",
    "image/*": "png",
    "image/png": "png",
    "application/*": "coco",
    "application/json": "coco",
    "application/x-npz": "probabilities",
    "application/octet-stream": "labels",
    LINES: "png",
}
"""Format that a media type in the header Accept stands for."""


class RequestedFormat(NamedTuple):
    """What a request asks for.

    Args:
        format: Name of the format.
        in_lines: Whether it is sent as lines of JSON.
    """

    format: Name
    in_lines: bool


def requested_format(format_name: Name | None, accept: str) -> RequestedFormat:
    """What a request asks for.

    Args:
        format_name: Format by its name, which overrides the header, or None.
        accept: The header Accept.

    Raises:
        Refused: The header names types of which there is none.
    """
    types = [*_media_types(accept or "*/*")]
    in_lines = types[:1] == [LINES]
    if format_name is not None:
        return RequestedFormat(format_name, in_lines)
    for kind in types:
        if kind in BY_MEDIA_TYPE:
            return RequestedFormat(BY_MEDIA_TYPE[kind], in_lines)
    raise Refused(406, f"no answer is of the type {types[0] if types else accept}: name one by ?format=")


def _media_types(accept: str) -> Iterator[str]:
    """Media types of a header Accept, the most wanted first (RFC 9110, section 12.5.1)."""
    entries = [entry.split(";") for entry in accept.split(",")]
    weights = {kind.strip().lower(): _weight(parameters) for kind, *parameters in entries}
    yield from (kind for kind in sorted(weights, key=lambda kind: -weights[kind]) if weights[kind] > 0)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
