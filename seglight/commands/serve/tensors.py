"""Tensors of the Open Inference Protocol: read from the body of a request, and written as the body of an answer.

Sources: kserve/open-inference-protocol, specification/protocol/inference_rest.md, and Triton's extension for binary
tensors, triton-inference-server/server, docs/protocol/extension_binary_data.md. Imports nothing of the web process:
`tensors` runs in a model process.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.commands.serve.prediction import Prediction
from seglight.commands.serve.refusals import Refused
from seglight.images.bands import RGB, Bands

INPUT = "image"
"""Name of the only input, as in exported files: (B, bands, H, W), uint8 in RGB by default."""

DATATYPES = {"uint8": "UINT8", "uint16": "UINT16", "int16": "INT16", "float32": "FP32"}
"""The protocol's names of the types of pixels."""

LABELS = "labels"
PROBABILITIES = "probabilities"

HEADER_LENGTH = "Inference-Header-Content-Length"
"""Header that tells the length of the JSON in a body that continues with bytes."""

JSON_BYTES = 1 << 24
"""Longest JSON of a request: while it is read, no other request is."""

JSON_VALUES = 1 << 22
"""Largest number of values that an answer holds as JSON."""

LENGTH = struct.Struct("<Q")
"""Length of an output, before its values, in what `tensors` returns."""


class Wanted(NamedTuple):
    """An output that a request asks for.

    Args:
        name: Its name.
        binary: Whether its values follow the JSON as bytes.
    """

    name: str
    binary: bool


class Inference(NamedTuple):
    """A request.

    Args:
        pixels: (B, bands, H, W), in the type that the model reads.
        outputs: Outputs, in the order of the answer.
        id: Name that the client gave to the request; None: none.
    """

    pixels: NDArray[Any]
    outputs: tuple[Wanted, ...]
    id: str | None


def read_inference(body: bytes, header_length: str | None, outputs: Sequence[str], bands: Bands = RGB) -> Inference:
    """Read the body of a request.

    Args:
        body: JSON, which may be followed by the bytes of the input.
        header_length: Value of the header `HEADER_LENGTH`; None: the whole body is JSON.
        outputs: Names of the outputs that the model has; all of them are wanted if the request names none.
        bands: What the model reads.

    Raises:
        Refused: The body is not a request of the protocol, or not one for this server.
    """
    text, rest = _parts(body, header_length)
    if len(text) > JSON_BYTES:
        raise Refused(
            413, f"{len(text)} bytes of JSON, and {JSON_BYTES} are read: send the tensor as bytes (binary_data_size)"
        )
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(
            400, f"the body is not JSON: if bytes follow the JSON, the header {HEADER_LENGTH} has its length"
        ) from error
    if not isinstance(content, dict):
        raise Refused(400, "the body is not a JSON object with `inputs`")
    name = content.get("id")
    if name is not None and not isinstance(name, str):
        raise Refused(400, "`id` is not a string")
    return Inference(_pixels(content, rest, bands), _outputs(content, outputs), name)


def _parts(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    """The JSON of a body, and the bytes behind it."""
    if header_length is None:
        return body, memoryview(b"")
    digits = header_length.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16 and int(digits) <= len(body)):
        raise Refused(400, f"{HEADER_LENGTH} is not a number of bytes within the body, which has {len(body)}")
    return body[: int(digits)], memoryview(body)[int(digits) :]


def _pixels(content: Mapping[str, Any], rest: memoryview, bands: Bands) -> NDArray[Any]:
    inputs = content.get("inputs")
    tensor = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else None
    if not isinstance(tensor, dict) or tensor.get("name") != INPUT:
        raise Refused(400, f"`inputs` is a list of one tensor, which has the name `{INPUT}`")
    if tensor.get("datatype") != DATATYPES[bands.type]:
        raise Refused(400, f"the datatype of `{INPUT}` is not {DATATYPES[bands.type]}{_reads(bands)}")
    shape: Any = tensor.get("shape")
    if not _is_shape(shape, len(bands.names)):
        wanted = f"[batch, {len(bands.names)}, height, width], four integers above 0{_reads(bands)}"
        raise Refused(400, f"the shape of `{INPUT}` is not {wanted}")
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        if len(rest):
            raise Refused(400, f"{len(rest)} bytes follow the JSON: `{INPUT}` has no parameter binary_data_size")
        return _from_json(tensor.get("data"), shape, bands.dtype)
    if "data" in tensor:
        raise Refused(400, f"`{INPUT}` has both `data` and the parameter binary_data_size: give one of them")
    if type(size) is not int or size != len(rest) or size != math.prod(shape) * bands.dtype.itemsize:
        raise Refused(
            400, f"the shape of `{INPUT}`, its binary_data_size and the {len(rest)} bytes after the JSON do not agree"
        )
    return np.frombuffer(rest, bands.dtype.newbyteorder("<")).reshape(shape).astype(bands.dtype, copy=False)


def _reads(bands: Bands) -> str:
    """What a model reads, where it is not 8-bit RGB."""
    return "" if bands.is_rgb8 else f": the model reads {bands.line()}"


def _is_shape(shape: Any, bands: int) -> bool:
    if not isinstance(shape, list) or len(shape) != 4:
        return False
    return all(type(length) is int and length > 0 for length in shape) and shape[1] == bands


def _from_json(data: Any, shape: Sequence[int], dtype: "np.dtype[Any]") -> NDArray[Any]:
    """Pixels from a list of their values, or lists of lists as their shape."""
    wrong = Refused(400, f"`data` of `{INPUT}` is not a list of as many {_values(dtype)} as its shape has")
    is_nested = isinstance(data, list) and bool(data) and isinstance(data[0], list)
    # no array of what a client sends: one of texts is as wide as the longest, at each of them
    values: list[Any] = [data]
    for length in shape if is_nested else [math.prod(shape)]:
        if not all(isinstance(value, list) and len(value) == length for value in values):
            raise wrong
        values = list(chain.from_iterable(values))
    if not {*map(type, values)} <= ({int} if dtype.kind in "iu" else {int, float}):
        raise wrong
    try:
        if dtype == np.uint8:  # faster than an array, whose elements are converted one by one
            found: NDArray[Any] = np.frombuffer(bytes(values), np.uint8)
        else:
            with np.errstate(over="ignore"):  # infinite values are refused below
                found = np.array(values, dtype)
    except (ValueError, OverflowError) as error:  # beyond the type
        raise wrong from error
    if dtype.kind == "f" and not np.isfinite(found).all():
        raise Refused(400, f"`data` of `{INPUT}` is NaN or infinite, which JSON has not: send bytes (binary_data_size)")
    return found.reshape(shape)


def _values(dtype: "np.dtype[Any]") -> str:
    if dtype.kind == "f":
        return "numbers"
    limits = np.iinfo(dtype)
    return f"integers, {limits.min} to {limits.max},"


def _outputs(content: Mapping[str, Any], available: Sequence[str]) -> tuple[Wanted, ...]:
    binary = _parameters(content).get("binary_data_output", False) is True
    outputs = content.get("outputs")
    if outputs is None or outputs == []:
        return tuple(Wanted(name, binary) for name in available)
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise Refused(400, "`outputs` is not a list of objects with a `name`")
    wanted = []
    for output in outputs:
        if output.get("name") not in available:
            raise Refused(400, f"an output is not one of the model's: {', '.join(available)}")
        parameters = _parameters(output)
        if "classification" in parameters:
            raise Refused(400, "the parameter classification is not supported: labels are the classes of pixels")
        wanted.append(Wanted(output["name"], parameters.get("binary_data", binary) is True))
    if len({output.name for output in wanted}) < len(wanted):
        raise Refused(400, "an output is named twice")
    return tuple(wanted)


def _parameters(content: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = content.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise Refused(400, "`parameters` is not an object")
    if "shared_memory_region" in parameters:
        raise Refused(400, "shared memory is not supported: send the tensor with the request")
    return parameters


def tensors(prediction: Prediction, outputs: Sequence[Wanted]) -> bytes:
    """The values of outputs of one image, each after their length: as bytes, or as numbers with commas between."""
    parts = []
    for output in outputs:
        values: NDArray[Any]
        if output.name == LABELS:
            values = prediction.labels
            values = values if values.dtype == np.uint8 else values.astype("<i4")  # as exported files have them
        else:
            values = prediction.probabilities().astype("<f4", copy=False)
        content = values.tobytes() if output.binary else json.dumps(values.ravel().tolist())[1:-1].encode()
        parts += [LENGTH.pack(len(content)), content]
    return b"".join(parts)


def inference_body(
    head: Mapping[str, Any], descriptions: Sequence[Mapping[str, Any]], binary: Sequence[bool], answers: Sequence[bytes]
) -> tuple[bytes, int | None]:
    """The body of an answer.

    Args:
        head: Entries of the JSON beside `outputs`.
        descriptions: Name, type and shape of each output.
        binary: Whether the values of each output follow as bytes.
        answers: What `tensors` returned for each image.

    Returns:
        The body, and the length of its JSON if bytes follow it.
    """
    described = []
    tail: list[memoryview] = []
    columns = zip(*map(_split, answers), strict=True)
    for description, as_bytes, values in zip(descriptions, binary, columns, strict=True):
        if as_bytes:
            size = {"binary_data_size": sum(map(len, values))}
            described.append(json.dumps({**description, "parameters": size}).encode())
            tail += values
        else:
            described.append(json.dumps(description)[:-1].encode() + b', "data": [' + b", ".join(values) + b"]}")
    text = json.dumps(head)[:-1].encode() + b', "outputs": [' + b", ".join(described) + b"]}"
    return b"".join([text, *tail]), len(text) if any(binary) else None


def _split(answer: bytes) -> list[memoryview]:
    """The values of each output in what `tensors` returned."""
    found = []
    rest = memoryview(answer)
    while rest:
        (length,) = LENGTH.unpack_from(rest)
        found.append(rest[LENGTH.size : LENGTH.size + length])
        rest = rest[LENGTH.size + length :]
    return found
