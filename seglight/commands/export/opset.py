"""Operator sets of ONNX below that of torch's exporter, which is 18: its graphs are rewritten, node by node.

What changed in opset 17 and 18 for the operators of nets: where an operator takes its axes (an attribute became an
input), attributes that were added, and LayerNormalization, which is an operator since 17.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from seglight.errors import UserError

EXPORTED = 18
"""The lowest operator set that torch's exporter writes."""

Constants = dict[str, Any]
"""Arrays of the graph's constants, by name."""


class UnsupportedError(Exception):
    """Ends the rewriting: an operator has no equivalent in the earlier operator set."""


def lower(model: ModelProto, opset: int) -> None:
    """Rewrite a model of opset 18 in place as one of opset 16 or 17.

    Raises:
        UserError: An operator has no equivalent there.
    """
    graph = model.graph
    small = [tensor for tensor in graph.initializer if len(tensor.dims) < 2]
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in small}
    for node in graph.node:
        if node.op_type == "Constant":
            value = helper.get_attribute_value(node.attribute[0])
            array = numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)
            constants[node.output[0]] = array
    try:
        nodes = [new for node in graph.node for new in _rewritten(node, graph, constants, opset)]
    except UnsupportedError as error:
        raise UserError(
            f"--opset {opset}: the net needs {error}, which ONNX has since opset 17 or 18: give --opset {EXPORTED}"
        ) from error
    del graph.node[:]
    graph.node.extend(nodes)
    _remove_unused(graph)
    for domain in model.opset_import:
        if domain.domain == "":
            domain.version = opset


def ir_version(opset: int) -> int:
    """The lowest version of the file format that has an operator set: runtimes refuse one that is later than theirs."""
    lowest: int = helper.find_min_ir_version_for([helper.make_opsetid("", opset)])
    return lowest


def _rewritten(node: NodeProto, graph: GraphProto, constants: Constants, opset: int) -> Iterator[NodeProto]:
    """The nodes that take the place of one."""
    if any(attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for attribute in node.attribute):
        raise UnsupportedError(f"{node.op_type} with a graph of its own")
    before = _since(node.op_type, opset)
    if before is not None and before == _since(node.op_type, EXPORTED):
        yield node
    elif node.op_type == "LayerNormalization":
        yield from _layer_normalization(node, graph)
    elif node.op_type in _CHANGED:
        _CHANGED[node.op_type](node, constants)
        yield node
    else:
        raise UnsupportedError(node.op_type)


def _since(operator: str, opset: int) -> int | None:
    """The operator set in which an operator got the form that it has in `opset`; None: it is no operator there."""
    if not onnx.defs.has(operator, opset):
        return None
    since: int = onnx.defs.get_schema(operator, opset).since_version
    return since


def _reduction(node: NodeProto, constants: Constants) -> None:
    """Axes are an attribute."""
    if _attribute(node, "noop_with_empty_axes", 0):
        raise UnsupportedError(f"{node.op_type} that does nothing without axes")
    _remove(node, "noop_with_empty_axes")
    if len(node.input) > 1 and node.input[1]:
        if node.input[1] not in constants:
            raise UnsupportedError(f"{node.op_type} over axes that are computed")
        node.attribute.append(helper.make_attribute("axes", constants[node.input[1]].ravel().tolist()))
    del node.input[1:]


def _pad(node: NodeProto, constants: Constants) -> None:
    """All axes are padded."""
    if len(node.input) > 3 and node.input[3]:
        raise UnsupportedError("Pad of some axes")
    del node.input[3:]


def _resize(node: NodeProto, constants: Constants) -> None:
    """All axes are resized, and nothing is smoothed before."""
    if _attribute(node, "antialias", 0) or _attribute(node, "axes", None) is not None:
        raise UnsupportedError("Resize with anti-aliasing or of some axes")
    if _attribute(node, "keep_aspect_ratio_policy", b"stretch") != b"stretch":
        raise UnsupportedError("Resize that keeps the aspect ratio")
    _remove(node, "antialias")
    _remove(node, "keep_aspect_ratio_policy")


def _split(node: NodeProto, constants: Constants) -> None:
    """Parts without stated sizes are equal; a runtime refuses a length that their number does not divide."""
    _remove(node, "num_outputs")


def _scatter(node: NodeProto, constants: Constants) -> None:
    """Values replace others, or are added to or multiplied with them."""
    if _attribute(node, "reduction", b"none") in (b"max", b"min"):
        raise UnsupportedError(f"{node.op_type} of extreme values")


_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSumSquare",
)  # fmt: skip

_CHANGED: dict[str, Callable[[NodeProto, Constants], None]] = {
    **dict.fromkeys(_REDUCTIONS, _reduction),
    "Pad": _pad,
    "Resize": _resize,
    "Split": _split,
    "ScatterElements": _scatter,
    "ScatterND": _scatter,
}
"""Operators that opset 18 changed, and what makes the earlier form of a node, in place."""


def _layer_normalization(node: NodeProto, graph: GraphProto) -> Iterator[NodeProto]:
    """The steps of the operator: (x - mean) / sqrt(variance + epsilon) * scale + bias, over the last axes."""
    axis = _attribute(node, "axis", -1)
    if axis >= 0 or any(node.output[1:]):
        raise UnsupportedError("LayerNormalization by a first axis, or with its mean")
    name = node.output[0]
    axes = list(range(axis, 0))
    epsilon = numpy_helper.from_array(np.array(_attribute(node, "epsilon", 1e-5), np.float32), f"{name}_epsilon")
    graph.initializer.append(epsilon)
    x, scale, *bias = (entry for entry in node.input if entry)
    scaled = f"{name}_scaled" if bias else name
    yield helper.make_node("ReduceMean", [x], [f"{name}_mean"], axes=axes)
    yield helper.make_node("Sub", [x, f"{name}_mean"], [f"{name}_centred"])
    yield helper.make_node("Mul", [f"{name}_centred", f"{name}_centred"], [f"{name}_square"])
    yield helper.make_node("ReduceMean", [f"{name}_square"], [f"{name}_variance"], axes=axes)
    yield helper.make_node("Add", [f"{name}_variance", epsilon.name], [f"{name}_positive"])
    yield helper.make_node("Sqrt", [f"{name}_positive"], [f"{name}_deviation"])
    yield helper.make_node("Div", [f"{name}_centred", f"{name}_deviation"], [f"{name}_normal"])
    yield helper.make_node("Mul", [f"{name}_normal", scale], [scaled])
    if bias:
        yield helper.make_node("Add", [scaled, bias[0]], [name])


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name), default)


def _remove(node: NodeProto, name: str) -> None:
    kept = [entry for entry in node.attribute if entry.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def _remove_unused(graph: GraphProto) -> None:
    """Remove the constants that no node reads any more."""
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    nodes = [node for node in graph.node if node.op_type != "Constant" or node.output[0] in used]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    del graph.node[:]
    graph.node.extend(nodes)
