"""Predictors of exported files, each run by its own runtime. Imports no torch: ONNX and OpenVINO do not need it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from numpy.typing import NDArray

from seglight.checkpoints.model_card import KEY
from seglight.errors import UserError
from seglight.inference.exported.metadata import Metadata
from seglight.inference.exported.predictor import ExportedPredictor, Output, existing, missing, unreadable
from seglight.inference.exported.seal import check_seal
from seglight.system.environment import environment_default

SUFFIXES = (".onnx", ".xml", ".pt2")
"""Suffixes of the files that `load_exported` reads."""

PROGRAM = "torch.export"
"""Name to trust for a .pt2 file: torch unpickles parts of it and evaluates its formulas."""


class OnnxPredictor(ExportedPredictor):
    """An ONNX file, run by ONNX Runtime on the CPU.

    Args:
        path: A file of `seglight export --format onnx`.
        threads: Number of threads for one image; None: ONNX Runtime's choice.
        name: Path that error messages name, if the file is renamed afterwards.

    Raises:
        UserError: The file does not exist, is not readable or not of `seglight export`, or onnxruntime is missing.
    """

    def __init__(self, path: str | Path, threads: int | None = None, name: Path | None = None) -> None:
        path = existing(path)
        try:
            with environment_default("ORT_DISABLE_TELEMETRY", "1"):  # else it writes to the user's folders
                import onnxruntime
        except ImportError as error:
            raise missing(path, "onnxruntime", "onnx") from error
        check_seal(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # problems raise errors; no further lines
        options.intra_op_num_threads = threads or 0
        try:
            # without its fallback, which would print that it tries the same again
            self.session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            text = self.session.get_modelmeta().custom_metadata_map.get(KEY)
        except Exception as error:  # the exceptions of onnxruntime have no common class
            raise unreadable(path, error) from error
        super().__init__(name or path, Metadata.from_json(text, path))

    def _outputs(self) -> Sequence[str]:
        return [output.name for output in self.session.get_outputs()]

    def _run(self, name: Output, image: NDArray[Any]) -> NDArray[Any]:
        result: NDArray[Any] = self.session.run([name], {"image": image})[0]
        return result


class OpenVinoPredictor(ExportedPredictor):
    """An OpenVINO file (.xml, its .bin beside it), run on the CPU in float32, or int8 where it is quantised.

    Args:
        path: A file of `seglight export --format openvino`.
        threads: Number of threads for one image; None: OpenVINO's choice.
        name: Path that error messages name, if the file is renamed afterwards.

    Raises:
        UserError: The file does not exist, is not readable or not of `seglight export`, or openvino is missing.
    """

    def __init__(self, path: str | Path, threads: int | None = None, name: Path | None = None) -> None:
        path = existing(path)
        try:
            import openvino
        except ImportError as error:
            raise missing(path, "openvino", "openvino") from error
        check_seal(path)
        # on some processors OpenVINO would compute in bfloat16: labels have to be the same on all
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            model = openvino.Core().read_model(path)
            text = model.get_rt_info([KEY]).astype(str) if model.has_rt_info([KEY]) else None
            self.compiled = openvino.compile_model(model, "CPU", options)
        except Exception as error:  # openvino raises what its C++ does, RuntimeError mostly
            raise unreadable(path, error) from error
        super().__init__(name or path, Metadata.from_json(text, path))

    def _outputs(self) -> Sequence[str]:
        return [output.any_name for output in self.compiled.outputs]

    def _run(self, name: Output, image: NDArray[Any]) -> NDArray[Any]:
        result: NDArray[Any] = self.compiled(image)[name].copy()  # the next image overwrites it
        return result


class TorchProgramPredictor(ExportedPredictor):
    """A program of torch.export (.pt2), compiled by AOTInductor or not, run by torch on the CPU.

    Args:
        path: A file of `seglight export --format torch`.
        name: Path that error messages name, if the file is renamed afterwards.

    Raises:
        UserError: The file does not exist, is not readable, or is not of `seglight export`.
    """

    def __init__(self, path: str | Path, name: Path | None = None) -> None:
        from seglight.checkpoints.torch_file import is_whole  # it imports torch

        path = existing(path)
        if not is_whole(path):
            raise unreadable(path, ValueError("its entries do not fit their checksums"))
        try:
            with ZipFile(path) as archive:
                compiled = any("/aotinductor/" in name for name in archive.namelist())
            module, outputs, text = _compiled(path) if compiled else _traced(path)
        except Exception as error:  # what torch's zip, JSON and tensor readers raise has no common class
            raise unreadable(path, error) from error
        super().__init__(name or path, Metadata.from_json(text, path))
        self.module = module
        self.outputs = outputs

    def _outputs(self) -> Sequence[str]:
        return ("labels", "probabilities")[: self.outputs]

    def _run(self, name: Output, image: NDArray[Any]) -> NDArray[Any]:
        import torch

        with torch.no_grad():
            outputs = self.module(torch.from_numpy(image))
        chosen = outputs[self._outputs().index(name)] if self.outputs > 1 else outputs
        result: NDArray[Any] = chosen.numpy()
        return result


def _traced(path: Path) -> tuple[Callable[..., Any], int, str]:
    import torch

    extra = {KEY: ""}
    program = torch.export.load(path, extra_files=extra)
    return program.module(), len(program.graph_signature.output_specs), extra[KEY]


def _compiled(path: Path) -> tuple[Callable[..., Any], int, str]:
    from torch._inductor import aoti_load_package
    from torch.utils._pytree import treespec_loads

    program = aoti_load_package(path)
    outputs = treespec_loads(program.loader.get_call_spec()[1]).num_leaves
    return program, outputs, program.get_metadata()[KEY]


def load_exported(
    path: str | Path, threads: int | None = None, trust: Sequence[str] = (), name: Path | None = None
) -> ExportedPredictor:
    """Predictor of a file, by its ending: .onnx, .xml (OpenVINO), .pt2 (torch.export).

    Args:
        path: A file of `seglight export`.
        threads: Number of threads for one image; torch uses those of the process.
        trust: Names that include `PROGRAM` if a .pt2 may be read.
        name: Path that error messages name, if the file is renamed afterwards.

    Raises:
        UserError: The file does not exist, has another ending, is not trusted or not readable, or its runtime is
            missing.
    """
    suffix = Path(path).suffix
    if suffix == ".onnx":
        return OnnxPredictor(path, threads, name)
    if suffix == ".xml":
        return OpenVinoPredictor(path, threads, name)
    if suffix == ".pt2":
        if PROGRAM not in trust:
            raise UserError(
                f"{path}: refused, a program of torch.export can run anything when it is read: "
                f"if you trust this one, add --trust {PROGRAM}; .onnx and .xml need no trust"
            )
        return TorchProgramPredictor(path, name)
    raise UserError(f"{path}: an exported file ends in one of {', '.join(SUFFIXES)}")
