"""An exported net that is put together by hand, for tests that need no torch."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from seglight.checkpoints.model_card import ModelCard
from seglight.inference.exported import seal
from seglight.inference.exported.metadata import Metadata
from seglight.inference.exported.predictor import ExportedPredictor


def red(
    path: Path,
    above: int = 127,
    channel: int = 0,
    names: tuple[str, str] = ("dark", "red"),
    probabilities: bool = False,
    size: tuple[int, int] | None = None,
) -> Path:
    """An ONNX file of two classes: 1 where red, or another channel, is above a value.

    Args:
        path: Path of the file.
        above: The value.
        channel: Number of the channel.
        names: Names of the classes.
        probabilities: Whether it has them beside the labels: that of class 1 is the value of the channel / 255.
        size: The only height and width that it takes; None: any.
    """
    constants = {
        "first": np.array([channel]),
        "last": np.array([channel + 1]),
        "axis": np.array([1]),
        "half": np.uint8(above),
    }
    nodes = [
        helper.make_node("Slice", ["image", "first", "last", "axis"], ["slice"]),
        helper.make_node("Squeeze", ["slice", "axis"], ["red"]),
        helper.make_node("Greater", ["red", "half"], ["above"]),
        helper.make_node("Cast", ["above"], ["labels"], to=TensorProto.UINT8),
    ]
    outputs = [helper.make_tensor_value_info("labels", TensorProto.UINT8, ["b", "h", "w"])]
    if probabilities:
        constants |= {"most": np.float32(255), "one": np.float32(1)}
        nodes += [
            helper.make_node("Cast", ["slice"], ["value"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["value", "most"], ["of_one"]),
            helper.make_node("Sub", ["one", "of_one"], ["of_zero"]),
            helper.make_node("Concat", ["of_zero", "of_one"], ["probabilities"], axis=1),
        ]
        outputs.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["b", 2, "h", "w"]))
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["b", 3, "h", "w"])],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    about = {
        "class_names": list(names),
        "palette": [[0, 0, 0], [255, 0, 0]],
        "ignore_index": 255,
        "version": "0.0.0",
        "checksum": "",
        "precision": "float32",
        "size": size and list(size),
    }
    helper.set_model_props(model, {"seglight": json.dumps(about), seal.KEY: seal.EMPTY})
    onnx.save(model, path)
    seal.seal(path)
    return path


COLORS = ((0, 0, 0), (255, 0, 0))
METADATA = Metadata(ModelCard({}, ("a", "b"), COLORS, 255), "float32", (64, 64))


class Blurred(ExportedPredictor):
    """Class 1 where red is above its mean over 31 x 31 pixels; it notes what it has seen, and can be made to hold."""

    def __init__(self, size: tuple[int, int] | None = None, each: int = 0) -> None:
        card = ModelCard({}, ("dark", "red"), COLORS, 255)
        super().__init__(Path("net.onnx"), Metadata(card, "float32", size))
        self.each, self.seen = each, list[tuple[int, int]]()

    def _outputs(self) -> tuple[str, ...]:
        return ("labels", "probabilities")

    def _run(self, name: Any, image: NDArray[np.uint8]) -> NDArray[Any]:
        self.seen.append(image.shape[2:])
        np.ones(image.shape[2] * image.shape[3] * self.each, np.uint8)
        red = np.ascontiguousarray(image[0, 0])
        labels = (red > cv2.blur(red, (31, 31))).astype(np.uint8)[None]
        return labels if name == "labels" else np.stack([1 - labels, labels], axis=1).astype(np.float32)
