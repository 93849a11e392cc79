"""An exported net that is put together by hand, for tests that need no torch."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from seglight.inference.exported import seal


def red(path: Path) -> Path:
    """An ONNX file of two classes: 1 where red is above 127."""
    constants = {"first": np.array([0]), "last": np.array([1]), "axis": np.array([1]), "half": np.uint8(127)}
    nodes = [
        helper.make_node("Slice", ["image", "first", "last", "axis"], ["slice"]),
        helper.make_node("Squeeze", ["slice", "axis"], ["red"]),
        helper.make_node("Greater", ["red", "half"], ["above"]),
        helper.make_node("Cast", ["above"], ["labels"], to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["b", 3, "h", "w"])],
        [helper.make_tensor_value_info("labels", TensorProto.UINT8, ["b", "h", "w"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    about = {
        "class_names": ["dark", "red"],
        "palette": [[0, 0, 0], [255, 0, 0]],
        "ignore_index": 255,
        "version": "0.0.0",
        "checksum": "",
        "precision": "float32",
        "size": None,
    }
    helper.set_model_props(model, {"seglight": json.dumps(about), seal.KEY: seal.EMPTY})
    onnx.save(model, path)
    seal.seal(path)
    return path
