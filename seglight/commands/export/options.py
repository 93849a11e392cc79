"""Options of `export`: which go together, and which file they name. Imports nothing that is slow to import."""

from collections.abc import Sequence
from pathlib import Path

from seglight.commands.export.triton import model_path
from seglight.errors import UserError

FORMATS = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
"""Suffix of the files of each format."""

OPSET = 20
"""The first opset whose GridSample, which PointRend needs, equals that of torch; ONNX Runtime reads it since 1.17."""

OPSETS = range(16, 24)
"""Opsets of choice: GridSample is an operator since 16, and torch's exporter writes up to 23."""


def target(out: Path | None, triton: Path | None, models: Sequence[str]) -> Path:
    """The file to write.

    Raises:
        UserError: Not one of the two options is given.
    """
    if out is not None and triton is not None:
        raise UserError("--out and --triton: give one of them: --triton DIR writes DIR/NAME/1/model.onnx")
    if triton is not None:
        return model_path(triton, models)
    if out is None:
        raise UserError("give --out FILE, or --triton DIR for Triton Inference Server")
    return out


def format_of(out: Path) -> str:
    """The format that the suffix of a file tells.

    Raises:
        UserError: It tells none.
    """
    found = next((form for form, suffix in FORMATS.items() if suffix == out.suffix), None)
    if found is None:
        raise UserError(f"--out {out}: give a file that ends in {', '.join(FORMATS.values())}")
    return found


def check_options(
    form: str, out: Path, quantize: str | None, calibrate: Path | None, aot: bool, opset: int | None = None
) -> None:
    """Check that the options fit together, before anything takes time.

    Raises:
        UserError: They do not.
    """
    if form not in FORMATS:
        raise UserError(f"--format {form}: give one of {', '.join(FORMATS)}")
    if out.suffix != FORMATS[form]:
        raise UserError(f"--out {out}: a file of --format {form} ends in {FORMATS[form]}")
    if quantize not in (None, "int8"):
        raise UserError(f"--quantize {quantize}: only int8 is supported")
    if (quantize is None) != (calibrate is None):
        raise UserError(
            "--quantize int8 and --calibrate FOLDER are given together: int8 needs images to find its ranges"
        )
    if quantize and form == "torch":
        raise UserError("--quantize int8 needs --format onnx or openvino")
    if aot and form != "torch":
        raise UserError("--aot needs --format torch")
    if opset is not None and form != "onnx":
        raise UserError("--opset needs --format onnx")
    if opset not in (None, *OPSETS):
        raise UserError(f"--opset {opset}: give one of {OPSETS[0]} to {OPSETS[-1]}")
