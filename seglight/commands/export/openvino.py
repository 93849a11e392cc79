"""OpenVINO files: a graph (.xml) with its weights beside it (.bin)."""

from pathlib import Path
from typing import Any

from torch.export import ExportedProgram

from seglight.checkpoints.model_card import KEY
from seglight.commands.export.onnx import write_onnx
from seglight.errors import UserError
from seglight.inference.exported import seal
from seglight.inference.exported.metadata import Metadata


def openvino_model(program: ExportedProgram, metadata: Metadata, scratch: Path) -> Any:
    """Convert a traced graph to OpenVINO's model by an ONNX file that is written to `scratch`.

    Raises:
        UserError: See `write_onnx`, or openvino is missing.
    """
    try:
        import openvino
    except ImportError as error:
        raise UserError('--format openvino needs openvino: pip install "seglight[openvino]"') from error
    write_onnx(program, metadata, scratch)
    return openvino.Core().read_model(scratch)


def write_openvino(model: Any, metadata: Metadata, path: Path) -> None:
    """Write a model to `path` (.xml) and beside it (.bin); weights that are not int8 stay float32."""
    import openvino

    model.set_rt_info(metadata.to_json(), [KEY])
    model.set_rt_info(seal.EMPTY, [seal.KEY])
    openvino.save_model(model, path, compress_to_fp16=False)
    seal.seal(path)
