"""Quantization to int8 after training: the runtime's own tool finds the ranges of activations on real images."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.inference.exported.seal import seal
from seglight.system.environment import environment_default

QUANTIZED = (
    "Conv", "Relu", "Clip", "MatMul", "Gemm", "Add", "Mul", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool",
)  # fmt: skip
"""Operators of ONNX that become int8; normalisation, interpolation and argmax at both ends of the graph do not.

Without ReLU and Clip among them, 8 bits would span a convolution's range before they clip it.
"""

Pixels = NDArray[Any]


def quantize_onnx(source: Path, images: Sequence[Pixels], path: Path) -> None:
    """Write an ONNX file as int8, by onnxruntime.quantization.

    Args:
        source: Path of the float file.
        images: Images (H, W, bands) for calibration, of the type of the net.
        path: Path of the int8 file.

    Raises:
        UserError: onnxruntime is missing, or the net has no convolution.
    """
    try:
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise UserError('--quantize int8 needs onnxruntime: pip install "seglight[onnx]"') from error
    prepared = source.with_name("prepared.onnx")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared,
        path,
        _reader(images),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=list(QUANTIZED),
        nodes_to_exclude=_ends(prepared),
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
        extra_options={"CalibMovingAverage": True},  # ranges: the mean over images, not the one of an outlier
        activation_type=quantization.QuantType.QUInt8,
    )
    seal(path)


def quantize_openvino(model: Any, images: Sequence[Pixels]) -> Any:
    """Quantize an OpenVINO model to int8 by NNCF.

    Args:
        model: Float model.
        images: Images (H, W, bands) for calibration, of the type of the net.

    Raises:
        UserError: nncf is missing.
    """
    try:
        with environment_default("NNCF_CI", "1"):  # its one switch for telemetry, read at import
            import nncf
    except ImportError as error:
        raise UserError('--quantize int8 needs nncf: pip install "seglight[openvino]"') from error
    return nncf.quantize(model, nncf.Dataset(list(_inputs(images))), subset_size=len(images))


def _inputs(images: Sequence[Pixels]) -> Iterator[dict[str, Pixels]]:
    for image in images:
        yield {"image": np.ascontiguousarray(image.transpose(2, 0, 1))[None]}


def _reader(images: Sequence[Pixels]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
        """Returns the images one by one."""

        def __init__(self) -> None:
            self.rest = _inputs(images)

        def get_next(self) -> dict[str, Pixels] | None:
            return next(self.rest, None)

    return Reader()


def _ends(path: Path) -> list[str]:
    """Names of the nodes before the first convolution, and of the last one, whose scores decide between classes."""
    import onnx

    nodes = onnx.load(path).graph.node
    convolutions = [index for index, node in enumerate(nodes) if node.op_type == "Conv"]
    if not convolutions:
        raise UserError("--quantize int8: the net has no convolution to quantize: export it without --quantize")
    before = [node.name for node in nodes[: convolutions[0]]]
    return [*before, nodes[convolutions[-1]].name]
