"""int8 by onnxruntime's tool, on graphs that are put together by hand."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from seglight.commands.export.quantize import quantize_onnx
from seglight.errors import UserError
from seglight.inference.exported import seal
from tests.support.exported import red


def clipped(path: Path) -> Path:
    """Pixels to two channels by a convolution, -64 to 64, of which ReLU6 leaves a twentieth; then to their sum."""
    weights = {
        "wide": np.array([[128, 0, 0], [0, -128, 0]], np.float32)[..., None, None] / 255,
        "shift": np.array([-64, 64], np.float32),
        "sum": np.ones((1, 2, 1, 1), np.float32),
        "low": np.float32(0),
        "high": np.float32(6),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Conv", ["pixels", "wide", "shift"], ["before"], "first"),
        helper.make_node("Clip", ["before", "low", "high"], ["after"], "relu6"),
        helper.make_node("Conv", ["after", "sum"], ["labels"], "last"),
    ]
    graph = helper.make_graph(
        nodes,
        "clipped",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["b", 3, "h", "w"])],
        [helper.make_tensor_value_info("labels", TensorProto.FLOAT, ["b", 1, "h", "w"])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {seal.KEY: seal.EMPTY})
    onnx.save(model, path)
    return path


def test_ranges_are_those_after_the_activation(tmp_path: Path) -> None:
    """All 8 bits are spent on what ReLU6 leaves, not on what it cuts off."""
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    quantize_onnx(clipped(tmp_path / "float.onnx"), [image], tmp_path / "int8.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx")
    (found,) = session.run(None, {"image": image.transpose(2, 0, 1)[None]})
    first, second = image[..., 0] / 255 * 128 - 64, 64 - image[..., 1] / 255 * 128
    expected = np.clip(first, 0, 6) + np.clip(second, 0, 6)
    assert np.abs(found[0, 0] - expected).max() < 4 * 6 / 255


def test_without_a_convolution(tmp_path: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(UserError, match=r"^--quantize int8: the net has no convolution"):
        quantize_onnx(red(tmp_path / "red.onnx"), [image], tmp_path / "int8.onnx")
    assert not (tmp_path / "int8.onnx").exists()
