"""Operator sets of ONNX: a file has the one that was asked for, is valid by onnx's checker, and gives the labels."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.export import ExportedProgram

from seglight.commands.export.graph import Deployed, program_of
from seglight.commands.export.onnx import write_onnx
from seglight.commands.export.opset import ir_version, lower
from seglight.commands.export.options import OPSETS
from seglight.errors import UserError
from seglight.inference.exported.metadata import Metadata
from seglight.models.layers import GridMeans, LayerNorm2d
from tests.support.checkpoint_files import card
from tests.support.export_parity import expected

METADATA = Metadata(card(["a", "b", "c"]), "float32", None)


class Varied(nn.Module):
    """Operators that opset 17 or 18 changed: LayerNormalization, Pad, Resize, ReduceMean, Split; and GridSample."""

    def __init__(self) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d((1, 0, 1, 0))
        self.body = nn.Conv2d(3, 6, 4, stride=4)
        self.norm = LayerNorm2d(6)
        self.means = GridMeans(2)
        self.head = nn.Conv2d(6, 3, 1, bias=False)
        nn.init.normal_(self.head.weight, std=2)  # so that every class wins somewhere

    def forward(self, image: Tensor) -> Tensor:
        x = self.norm(self.body(self.pad(image / 255)[:, :, 1:, 1:]))
        first, second = x.split([2, 4], 1)
        x = torch.cat([first * second.mean((2, 3), keepdim=True)[:, :2], F.gelu(second)], 1)
        wide = F.interpolate(self.means(x), x.shape[-2:], mode="bilinear", align_corners=False)
        corners = torch.tensor([[[[-0.5, 0.25], [0.5, -0.75]]]]).expand(len(x), 1, 2, 2)
        sampled = F.grid_sample(x, corners, padding_mode="border", align_corners=False).mean((2, 3), keepdim=True)
        logits: Tensor = self.head(x + wide + sampled)
        return logits


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return Varied().eval()


@pytest.fixture(scope="module")
def program(net: nn.Module) -> ExportedProgram:
    return program_of(Deployed(net, probabilities=True), None)


@pytest.mark.slow
@pytest.mark.parametrize("opset", OPSETS)
def test_files_of_every_opset(opset: int, net: nn.Module, program: ExportedProgram, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write_onnx(program, METADATA, path, opset)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(given.domain, given.version) for given in model.opset_import] == [("", opset)]
    assert model.ir_version == {16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11}[opset]
    session = onnxruntime.InferenceSession(path)
    for size in ((64, 96), (45, 70)):
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        labels, probabilities = session.run(None, {"image": image.transpose(2, 0, 1)[None]})
        right, shares = expected(net, image)
        assert np.unique(right).size == 3
        assert np.mean(labels[0] == right) >= 0.999
        np.testing.assert_allclose(probabilities[0], shares, atol=1e-4)


Constants = dict[str, NDArray[np.generic]]


def model_of(nodes: list[onnx.NodeProto], constants: Constants, output: list[int]) -> onnx.ModelProto:
    """From x (2, 3, 4) to y."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(model: onnx.ModelProto) -> NDArray[np.float32]:
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    found: NDArray[np.float32] = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    return found


AXES = np.array([1])
PARTS = ["y", "rest"]


@pytest.mark.parametrize(
    ("node", "constants", "output"),
    [
        (helper.make_node("ReduceMax", ["x", "axes"], ["y"], keepdims=0), {"axes": AXES}, [2, 4]),
        (helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0), {}, []),
        (helper.make_node("Split", ["x"], PARTS, axis=2, num_outputs=2), {}, [2, 3, 2]),
        (helper.make_node("Split", ["x", "sizes"], PARTS, axis=2), {"sizes": np.array([1, 3])}, [2, 3, 1]),
        (helper.make_node("Pad", ["x", "by"], ["y"]), {"by": np.array([0, 1, 0, 0, 0, 2])}, [2, 4, 6]),
        (
            helper.make_node("Resize", ["x", "", "", "to"], ["y"], antialias=0, mode="linear"),
            {"to": np.array([2, 6, 8])},
            [2, 6, 8],
        ),
        (
            helper.make_node("LayerNormalization", ["x", "scale", "bias"], ["y"], axis=-2, epsilon=0.1),
            {"scale": np.full((3, 4), 2, np.float32), "bias": np.ones((3, 4), np.float32)},
            [2, 3, 4],
        ),
        (
            helper.make_node("LayerNormalization", ["x", "scale"], ["y"]),
            {"scale": np.arange(4, dtype=np.float32)},
            [2, 3, 4],
        ),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)
@pytest.mark.parametrize("opset", [16, 17])
def test_one_operator(opset: int, node: onnx.NodeProto, constants: Constants, output: list[int]) -> None:
    """ONNX Runtime computes the same before and after."""
    model = model_of([node], constants, output)
    before = run(model)
    lower(model, opset)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == opset
    np.testing.assert_allclose(run(model), before, atol=1e-6)


@pytest.mark.parametrize(
    ("node", "constants", "needs"),
    [
        (helper.make_node("Mish", ["x"], ["y"]), {}, "Mish"),
        (
            helper.make_node("Pad", ["x", "by", "", "axes"], ["y"]),
            {"by": np.array([0, 1]), "axes": AXES},
            "Pad of some axes",
        ),
        (
            helper.make_node("Resize", ["x", "", "", "to"], ["y"], antialias=1, mode="linear"),
            {"to": np.array([2, 6, 8])},
            "Resize with anti-aliasing",
        ),
        (
            helper.make_node("ReduceMax", ["x", "axes"], ["y"], noop_with_empty_axes=1),
            {"axes": np.array([], np.int64)},
            "ReduceMax that does nothing without axes",
        ),
        (helper.make_node("ReduceMax", ["x", "elsewhere"], ["y"]), {}, "ReduceMax over axes that are computed"),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)
def test_what_the_earlier_opset_does_not_have(node: onnx.NodeProto, constants: Constants, needs: str) -> None:
    with pytest.raises(UserError, match=rf"^--opset 17: the net needs {needs}.*: give --opset 18$"):
        lower(model_of([node], constants, [2, 3, 4]), 17)


def test_the_file_format_is_that_of_the_opset() -> None:
    assert [ir_version(opset) for opset in OPSETS] == [8, 8, 8, 9, 9, 10, 10, 11]  # onnx, docs/Versioning.md
