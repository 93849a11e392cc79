"""Regions in Label Studio's JSON, made from a label map in the process that predicts."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.commands.serve.label_studio.labelling import Plan, Target
from seglight.commands.serve.prediction import Prediction
from seglight.images.brush import encode_brush
from seglight.images.components import components
from seglight.images.outlines import outlines
from seglight.images.types import LabelMap


def regions_json(prediction: Prediction, plan: Plan) -> bytes:
    """The label map as a list of Label Studio's regions: a brush stroke for each label, a polygon for each object.

    Polygons follow the edges of pixels, with holes joined to the outer outline by a cut, and cover exactly the
    object's pixels. An object is a connected component; a pixel is connected to its eight neighbours.

    Args:
        prediction: Prediction of an image.
        plan: Labels that its classes are written as.
    """
    labels = prediction.labels
    brushes = [target for target in plan.targets if target.kind == "brushlabels"]
    others = [target for target in plan.targets if target.kind == "polygonlabels"]
    values: list[tuple[Target, dict[str, Any]]] = [
        *((target, {"format": "rle", "rle": list(encode_brush(mask))}) for target, mask in _masks(labels, brushes)),
        *((target, {"points": points, "closed": True}) for target, points in _polygons(labels, others)),
    ]
    return json.dumps(
        [_region(f"{target.kind}-{k}", target, labels, value) for k, (target, value) in enumerate(values)]
    ).encode()


def _region(name: str, target: Target, labels: LabelMap, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "type": target.kind,
        "from_name": target.control,
        "to_name": target.image,
        "original_width": labels.shape[1],
        "original_height": labels.shape[0],
        "image_rotation": 0,
        "value": {**value, target.kind: [target.label]},
    }


def _masks(labels: LabelMap, targets: Sequence[Target]) -> Iterator[tuple[Target, NDArray[np.bool_]]]:
    """The pixels (H, W) of each label that occurs."""
    for target in targets:
        mask = _table(labels, [target])[labels] > 0
        if mask.any():
            yield target, mask


def _polygons(labels: LabelMap, targets: Sequence[Target]) -> Iterator[tuple[Target, list[list[float]]]]:
    """The outline of each object, as points in per cent of the image's width and height."""
    if not targets:
        return
    objects, found = components(_table(labels, targets)[labels])
    with_label = np.array([False, *(number > 0 for number, _, _ in found)])
    numbers = np.cumsum(with_label, dtype=np.int32) * with_label
    height, width = labels.shape
    wanted = (targets[number - 1] for number, _, _ in found if number > 0)
    for target, polygon in zip(wanted, outlines(numbers[objects].astype(np.int32)), strict=True):
        points = np.reshape(polygon[:-2], (-1, 2))  # its last point is the first one
        yield target, (100 * points / (width, height)).tolist()


def _table(labels: LabelMap, targets: Sequence[Target]) -> NDArray[np.int16]:
    """From a class to the number of its label, from 1; 0: it has none."""
    table = np.zeros(np.iinfo(labels.dtype).max + 1, np.int16)
    for number, target in enumerate(targets, 1):
        table[list(target.classes)] = number
    return table
