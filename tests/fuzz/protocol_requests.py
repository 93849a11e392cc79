"""Requests of the protocols beside REST that are nearly right: a value of their JSON is changed, or a length is."""

import base64
import json
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from tests.fuzz.mutations import WRONG, changed, damaged
from tests.fuzz.originals import SIZE

WRONGS = (*WRONG, "image", [1, 3, 2**31, 2**31], [[[]]], 256, 0, float("nan"), "\ud800", "a" * 10_000, "$image", 3)
"""What stands where something else should, in JSON."""

CONFIG = (
    '<View><Image name="picture" value="$image"/><BrushLabels name="tag" toName="picture">'
    '<Label value="dark"/><Label value="red"/></BrushLabels></View>'
)

CONFIGS = (
    CONFIG, CONFIG, CONFIG, CONFIG.replace("Brush", "Polygon"), CONFIG.replace("dark", "&#0;"), CONFIG[:-9],
    '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]><View>&c;</View>', "<a>" * 50_000, "",
    CONFIG.replace("$image", "$"), '<!DOCTYPE a SYSTEM "file:///etc/passwd"><View/>',
)  # fmt: skip

ADDRESSES = (
    "/data/upload/sound.png", "/data/upload/sound.png", "/data/upload/damaged.png", "/data/upload/away",
    "/data/upload/circle", "/data/upload/short", "/data/upload/packed", "/data/upload/none", "/data/upload/later",
    "upload/sound.png", "file:///etc/passwd", "http://169.254.169.254/latest/meta-data", "s3://bucket/a.png",
    "http://[::1", "//evil.example/a.png", "/a\r\nHost: b", "gopher://a", "data:image/png;base64,AAAA",
)  # fmt: skip
"""Addresses of images; the paths are on the host that the server may fetch images from (see `image_host`)."""


class Form(NamedTuple):
    """A request without the lines that all have.

    Args:
        path: Its path.
        kind: Type of the body.
        body: The body.
        lines: Further lines of the header.
    """

    path: str
    kind: str
    body: bytes
    lines: tuple[str, ...] = ()


def form(rng: Generator, image: bytes) -> Form:
    """A request of one of the protocols.

    Args:
        rng: What it is made of.
        image: An image file, sound or not.
    """
    made = (_tensor_as_json, _tensor_as_bytes, _tasks, _setup, _invocation)[int(rng.integers(5))](rng, image)
    if rng.random() < 0.1:
        return made._replace(body=damaged(made.body, rng))
    return made


def _choice(rng: Generator, values: tuple[Any, ...]) -> Any:
    return values[int(rng.integers(len(values)))]


def _text(content: Any, rng: Generator) -> bytes:
    """JSON of a value, in which mostly something is changed."""
    for _ in range(int(rng.integers(3))):
        content = changed(content, rng, WRONGS)
    return json.dumps(content).encode()


def _inference(rng: Generator) -> dict[str, Any]:
    outputs = [{"name": "labels", "parameters": {"binary_data": bool(rng.integers(2))}}, {"name": "probabilities"}]
    tensor = {"name": "image", "shape": [1, 3, *SIZE], "datatype": "UINT8", "parameters": {}}
    return {"id": "a", "inputs": [tensor], "outputs": outputs[: int(rng.integers(3))], "parameters": {}}


def _path(rng: Generator) -> str:
    return str(
        _choice(rng, ("/v2/models/red/infer",) * 6 + ("/v2/models/red/versions/1/infer", "/v2/models/%00/infer"))
    )


def _tensor_as_json(rng: Generator, image: bytes) -> Form:
    content = _inference(rng)
    values = rng.integers(0, 256, (1, 3, *SIZE))
    content["inputs"][0]["data"] = (values if rng.random() < 0.5 else values.ravel()).tolist()
    return Form(_path(rng), "application/json", _text(content, rng))


def _tensor_as_bytes(rng: Generator, image: bytes) -> Form:
    content = _inference(rng)
    size = 3 * SIZE[0] * SIZE[1] + _choice(rng, (0, 0, 0, 0, -1, 1, 2**40))
    content["inputs"][0]["parameters"] = {"binary_data_size": size}
    text = _text(content, rng)
    length = _choice(rng, (str(len(text)),) * 6 + (str(len(text) + 1), "-1", "9" * 15, "0", "1e2", ""))
    pixels = rng.bytes(max(0, min(size, 10_000)))
    return Form(_path(rng), "application/octet-stream", text + pixels, (f"Inference-Header-Content-Length: {length}",))


def _tasks(rng: Generator, image: bytes) -> Form:
    tasks = [{"id": number, "data": {"image": _choice(rng, ADDRESSES)}} for number in range(int(rng.integers(4)))]
    content = {"tasks": tasks, "label_config": _choice(rng, CONFIGS), "project": "1.2", "params": {}}
    path = _choice(rng, ("/label-studio/predict",) * 4 + ("/label-studio/red/predict", "/label-studio/../predict"))
    return Form(path, "application/json", _text(content, rng))


def _setup(rng: Generator, image: bytes) -> Form:
    if rng.random() < 0.5:
        content = {"action": _choice(rng, ("ANNOTATION_CREATED", "START_TRAINING", "", 3)), "project": {"id": 1}}
        return Form("/label-studio/webhook", "application/json", _text(content, rng))
    content = {"schema": _choice(rng, CONFIGS), "project": "1.2", "extra_params": {}}
    return Form("/label-studio/setup", "application/json", _text(content, rng))


def _invocation(rng: Generator, image: bytes) -> Form:
    text = base64.b64encode(image).decode()
    content = {"image": _choice(rng, (text, text, text, text[:-1], text + "=", "!", f"{text}\n")), "threshold": 0.5}
    names = _choice(rng, ((), ("x-nuclio-function-name: ../red",), *[("x-nuclio-function-name: red",)] * 6))
    return Form("/api/function_invocations", "application/json", _text(content, rng), names)


def sound_image(seed: int = 0, height: int = 40, width: int = 60) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pixels (H, W, 3) of an image that the net takes."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
