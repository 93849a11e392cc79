"""ONNX files, written by torch's dynamo exporter."""

from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from seglight.checkpoints.model_card import KEY
from seglight.errors import UserError
from seglight.inference.exported import seal
from seglight.inference.exported.metadata import Metadata

OPSET = 20
"""The first opset whose GridSample, which PointRend needs, equals that of torch; ONNX Runtime reads it since 1.17."""


def write_onnx(program: ExportedProgram, metadata: Metadata, path: Path) -> None:
    """Write a traced graph: input `image`, outputs `labels` and, if the graph returns them, `probabilities`.

    Raises:
        UserError: A package is missing, or the net has an operator that ONNX does not have.
    """
    try:
        import onnxscript  # noqa: F401
        from onnx_ir.traversal import RecursiveGraphIterator  # onnxscript's own representation
    except ImportError as error:
        raise UserError('--format onnx needs onnx and onnxscript: pip install "seglight[onnx]"') from error
    names = ["labels", "probabilities"][: len(program.graph_signature.user_outputs)]
    try:
        converted: Any = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, input_names=["image"], output_names=names, verbose=False
        )
    except torch.onnx.errors.OnnxExporterError as error:
        raise UserError(
            "--format onnx: the net has an operator that ONNX does not have: see --debug for its name"
        ) from error
    for node in RecursiveGraphIterator(converted.model.graph):
        node.metadata_props.clear()  # stack traces, with the paths of this machine
    converted.model.metadata_props[KEY] = metadata.to_json()
    converted.model.metadata_props[seal.KEY] = seal.EMPTY
    converted.save(path, external_data=False)
    seal.seal(path)
