"""Model repositories of NVIDIA's Triton Inference Server: an ONNX file, and the configuration that serves it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglight.system.atomic import atomic_write
from seglight.system.run_files import CHECKPOINTS

if TYPE_CHECKING:  # it imports numpy, and options are checked before
    from seglight.checkpoints.model_card import ModelCard

MODEL = Path("1", "model.onnx")
"""Where the folder of a model holds its first version; the names are Triton's."""

CONFIG = "config.pbtxt"

LARGEST_BATCH = 8
"""Largest number of images that Triton passes through the net together."""

TYPES = {1: "TYPE_FP32", 2: "TYPE_UINT8", 4: "TYPE_UINT16", 5: "TYPE_INT16", 6: "TYPE_INT32"}
"""Triton's names of element types, by their numbers in ONNX."""


def model_path(repository: Path, models: Sequence[str]) -> Path:
    """Path of a model's ONNX file in a repository.

    Args:
        repository: Folder of the repository.
        models: Checkpoint or released folder, or several of an ensemble. The model has the name of its run folder, of
            the released folder, or of the file without its suffix.
    """
    path = Path(models[0]).absolute()
    if len(models) > 1:
        name = "ensemble"
    elif path.is_dir():
        name = path.name
    else:
        name = path.parent.parent.name if path.parent.name == CHECKPOINTS else path.stem
    return repository / name / MODEL


def write_config(path: Path, card: "ModelCard") -> None:
    """Write the configuration of an ONNX file in a repository.

    Args:
        path: Path that `model_path` returned.
        card: Model card of the net. Clients can ask Triton for its classes and palette, as parameters of the model.
    """
    atomic_write(path.parents[1] / CONFIG, config(path, card))


def config(path: Path, card: "ModelCard") -> str:
    """Configuration of an ONNX file whose first axis is the batch, as the text form of the protobuf `ModelConfig`."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    parameters = {"class_names": list(card.class_names), "palette": [list(color) for color in card.palette]}
    parts = [
        'platform: "onnxruntime_onnx"',
        f"max_batch_size: {LARGEST_BATCH}",
        *(_tensor("input", tensor) for tensor in graph.input),
        *(_tensor("output", tensor) for tensor in graph.output),
        "dynamic_batching { }",
        *(_parameter(key, json.dumps(value)) for key, value in parameters.items()),
    ]
    return "\n".join(parts) + "\n"


def _tensor(kind: str, tensor: Any) -> str:
    """An input or output; its first axis, the batch, is implied by `max_batch_size`."""
    dims = [axis.dim_value if axis.HasField("dim_value") else -1 for axis in tensor.type.tensor_type.shape.dim[1:]]
    elements = TYPES[tensor.type.tensor_type.elem_type]
    return f'{kind} {{\n  name: "{tensor.name}"\n  data_type: {elements}\n  dims: {dims}\n}}'


def _parameter(key: str, text: str) -> str:
    """A parameter whose value is a text; the escapes of a JSON text are those of protobuf's text form."""
    return f'parameters {{\n  key: "{key}"\n  value {{ string_value: {json.dumps(text)} }}\n}}'
