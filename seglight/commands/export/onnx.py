"""ONNX files, written by torch's dynamo exporter."""

from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from seglight.checkpoints.model_card import KEY
from seglight.commands.export.options import OPSET
from seglight.errors import UserError
from seglight.inference.exported import seal
from seglight.inference.exported.metadata import Metadata


def write_onnx(program: ExportedProgram, metadata: Metadata, path: Path, opset: int = OPSET) -> None:
    """Write a traced graph: input `image`, outputs `labels` and, if the graph returns them, `probabilities`.

    Args:
        program: The graph.
        metadata: What the file holds about itself.
        path: Path of the file.
        opset: Operator set, one of `OPSETS`.

    Raises:
        UserError: A package is missing, or the net has an operator that ONNX does not have, or not in this opset.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
        from onnx_ir.traversal import RecursiveGraphIterator  # onnxscript's own representation
    except ImportError as error:
        raise UserError('--format onnx needs onnx and onnxscript: pip install "seglight[onnx]"') from error
    from seglight.commands.export.opset import EXPORTED, ir_version, lower  # it imports onnx

    names = ["labels", "probabilities"][: len(program.graph_signature.user_outputs)]
    try:
        converted: Any = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=max(opset, EXPORTED),
            input_names=["image"],
            output_names=names,
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        raise UserError(
            "--format onnx: the net has an operator that ONNX does not have: see --debug for its name"
        ) from error
    for node in RecursiveGraphIterator(converted.model.graph):
        node.metadata_props.clear()  # stack traces, with the paths of this machine
    converted.model.metadata_props[KEY] = metadata.to_json()
    converted.model.metadata_props[seal.KEY] = seal.EMPTY
    converted.model.ir_version = ir_version(opset)
    if opset < EXPORTED:
        model = converted.model_proto
        lower(model, opset)
        onnx.save(model, path)
    else:
        converted.save(path, external_data=False)
    seal.seal(path)
