"""An exported net for images of any bands, put together by hand: what its labels should be is seen in the image."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from seglight.checkpoints.model_card import ModelCard
from seglight.images.bands import Bands
from seglight.inference.exported import seal
from seglight.inference.exported.metadata import Metadata

AERIAL = Bands(("blue", "green", "red", "nir"), "uint16", (900.0,) * 4, (300.0,) * 4, nodata=0)
"""Images of four bands of 16 bits, 0 where there is no data."""

NAMES = ("bare", "plants")
PALETTE = ((120, 90, 40), (20, 160, 30))
IGNORED = 255

_TYPES = {
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
    "int16": TensorProto.INT16,
    "float32": TensorProto.FLOAT,
}


def above(path: Path, bands: Bands, name: str, threshold: float, size: tuple[int, int] | None = None) -> Path:
    """An ONNX file of two classes: 1 where a band is above a threshold, with a probability of 0.75 there, else of 0.25.

    Args:
        path: Path of the file.
        bands: What it reads.
        name: Name of the band.
        threshold: The threshold, in the units of the files.
        size: The only height and width that it takes; None: any.
    """
    index = bands.names.index(name)
    constants = {
        "first": np.array([index]),
        "last": np.array([index + 1]),
        "axis": np.array([1]),
        "threshold": np.float32(threshold),
        "quarter": np.float32(0.25),
        "half": np.float32(0.5),
        "one": np.float32(1),
    }
    nodes = [
        helper.make_node("Slice", ["image", "first", "last", "axis"], ["slice"]),
        helper.make_node("Cast", ["slice"], ["value"], to=TensorProto.FLOAT),
        helper.make_node("Greater", ["value", "threshold"], ["above"]),
        helper.make_node("Cast", ["above"], ["marks"], to=TensorProto.UINT8),
        helper.make_node("Squeeze", ["marks", "axis"], ["labels"]),
        helper.make_node("Cast", ["above"], ["high"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["high", "half"], ["more"]),
        helper.make_node("Add", ["more", "quarter"], ["of_one"]),
        helper.make_node("Sub", ["one", "of_one"], ["of_zero"]),
        helper.make_node("Concat", ["of_zero", "of_one"], ["probabilities"], axis=1),
    ]
    image = helper.make_tensor_value_info("image", _TYPES[bands.type], ["b", len(bands.names), "h", "w"])
    outputs = [
        helper.make_tensor_value_info("labels", TensorProto.UINT8, ["b", "h", "w"]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["b", 2, "h", "w"]),
    ]
    given = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, "above", [image], outputs, given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    card = ModelCard({}, NAMES, PALETTE, IGNORED, bands=len(bands.names), image=None if bands.is_rgb8 else bands)
    metadata = Metadata(card, "float32", size, batch=True)
    helper.set_model_props(model, {"seglight": metadata.to_json(), seal.KEY: seal.EMPTY})
    onnx.save(model, path)
    seal.seal(path)
    return path


def aerial(seed: int, size: tuple[int, int] = (40, 56)) -> NDArray[np.uint16]:
    """An image of `AERIAL`, whose upper left corner has no data, and one pixel without data in one band only."""
    image = np.random.default_rng(seed).integers(1, 4096, (*size, 4)).astype(np.uint16)
    image[:9, :13] = 0
    image[-1, -1, 3] = 0
    return image


def expected(image: NDArray[Any], band: int, threshold: float, empty: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The labels of `above`, by hand."""
    labels = (image[..., band].astype(np.float64) > threshold).astype(np.uint8)
    labels[empty] = IGNORED
    return labels
