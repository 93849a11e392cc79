"""Requests as a hostile client sends them, each made of a seed and its number alone."""

import http.client
import io
import json
import select
import socket
from contextlib import suppress
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from tests.fuzz import mutations, originals, protocol_requests
from tests.fuzz.protocol_requests import Form

NAMES = (
    "",
    "red",
    "../red",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "a" * 5000,
    "red\u00e9",
    "{red}",
    "null",
    "-1",
    "red?x=1",
)
"""Names of models, formats and parameters."""

PATHS = (
    "/predict", "/predict?model={}", "/predict?format={}", "/predict?format=coco&model={}", "/models", "/models/{}",
    "/{}", "/health/ready", "/metrics", "/openapi.json", "/page/{}", "/page/examples/{}.png", "/v2/models/{}",
    "/v2/models/{}/infer", "/v2/models/red/infer", "/label-studio/predict", "/label-studio/{}/predict",
    "/api/functions", "/api/function_invocations",
)  # fmt: skip
"""Paths, of which some are those of protocols that the server may have."""

METHODS = ("POST",) * 8 + ("GET", "PUT", "HEAD", "OPTIONS", "BREW", "get", "CONNECT", "P\u00d6ST")
TYPES = (
    "image/png", "application/octet-stream", "multipart/form-data; boundary=x", "multipart/form-data",
    "application/json", "multipart/form-data; boundary=" + "b" * 300, "text/html", "", "\u00e9", "a" * 3000,
)  # fmt: skip
ACCEPTS = ("*/*", "image/png", "application/x-ndjson", "application/json;q=nan", "a/b", ",,;q=", "*/*;q=-1", "\u00e9")


class Reply(NamedTuple):
    """What came back: a status and a body, or that the connection was closed without an answer."""

    status: int | None
    body: bytes
    kind: str


def request(seed: int, number: int) -> bytes:
    """The bytes of a request; of some the end is missing."""
    rng = np.random.default_rng([seed, number])
    form = protocol_requests.form(rng, _image(rng)) if rng.random() < 0.4 else _of_rest(rng)
    body = form.body
    head = _head(rng, form)
    match int(rng.integers(20)):
        case 0:
            return mutations.damaged(head, rng) + body
        case 1:
            return rng.bytes(int(rng.integers(1, 3000)))
        case 2:
            return head.replace(b"\r\n", (b"\n", b"\r", b"\r\r\n")[int(rng.integers(3))]) + body
        case 3:
            return head + body[: len(body) // 2]
        case _:
            return head + body


@cache
def _images() -> list[bytes]:
    return [*originals.images().values(), *mutations.hostile_images().values(), *mutations.hostile_tiffs().values()]


def _choice(rng: Generator, values: tuple[str, ...]) -> str:
    return values[int(rng.integers(len(values)))]


def _image(rng: Generator) -> bytes:
    """An image, sound, damaged or hostile."""
    image = _images()[int(rng.integers(len(_images())))]
    return mutations.damaged(image, rng) if image and rng.random() < 0.6 else image


def _of_rest(rng: Generator) -> Form:
    body = _body(rng)
    path = _rarely(rng, "/predict", PATHS).replace("{}", _choice(rng, NAMES))
    return Form(path, TYPES[2 * body.startswith(b"--")], body)


def _body(rng: Generator) -> bytes:
    """An image, alone, in a form, or in JSON."""
    image = _image(rng)
    match int(rng.integers(5)):
        case 0:
            name = _choice(rng, ("image", "image", "picture", "", 'a"; x="'))
            disposition = _choice(rng, ("form-data", "attachment", ""))
            file = _choice(rng, ('; filename="../../a.png"', "; filename=", ""))
            part = f'--x\r\nContent-Disposition: {disposition}; name="{name}"{file}\r\n\r\n'.encode()
            form = part * int(rng.integers(1, 30)) + image + b"\r\n--x--\r\n"
            return form if rng.random() < 0.5 else mutations.damaged(form, rng)
        case 1 if rng.random() < 0.5:
            content = {"image": image[:2000].hex(), "inputs": [], "tasks": [{"data": {"image": "file:///etc/passwd"}}]}
            text = json.dumps(content if rng.random() < 0.5 else [content] * 3).encode()
            return text if rng.random() < 0.5 else mutations.damaged(text, rng)
        case 2 if rng.random() < 0.1:
            return b"[" * int(rng.integers(1, 100_000))
        case _:
            return image


def _rarely(rng: Generator, usual: str, odd: tuple[str, ...]) -> str:
    """Mostly what is usual: a request with a mistake in every line would not get far."""
    return _choice(rng, odd) if rng.random() < 0.12 else usual


def _head(rng: Generator, form: Form) -> bytes:
    body = form.body
    lines = [
        f"{_rarely(rng, 'POST', METHODS)} {form.path} HTTP/{_rarely(rng, '1.1', ('1.0', '2.0', '9', ''))}",
        f"Host: {_rarely(rng, '127.0.0.1', ('evil.example', '', '[', 'a b'))}",
        f"Content-Type: {_rarely(rng, form.kind, TYPES)}",
        f"Accept: {_rarely(rng, '*/*', ACCEPTS)}",
        *form.lines,
    ]
    lengths = [
        f"Content-Length: {text}" for text in ("-1", "1e3", "9" * 30, "+5", "0x10", "5, 6", "", str(len(body) + 9))
    ]
    codings = [f"Transfer-Encoding: {text}" for text in ("chunked", "gzip, chunked", "identity", "chunked, x")]
    lines.append(_rarely(rng, f"Content-Length: {len(body)}", (*lengths, *codings)))
    extra = ("Expect: 100-continue", "Connection: close", "Upgrade: websocket", "Authorization: Basic !", "X" * 20_000)
    extra += (
        "Origin: https://evil.example",
        "Cookie: \u00e9",
        ": empty",
        "Range: bytes=9-",
        f"Content-Length: {len(body)}",
    )
    line = _rarely(rng, "", extra)
    return "\r\n".join([*lines, *([line] if line else []), "", ""]).encode("latin-1")


def reply(port: int, data: bytes, timeout: float = 60, patience_s: float | None = None) -> Reply:
    """Send the bytes of a request, and read what comes back as the standard library does.

    Args:
        port: Port of the server on 127.0.0.1.
        data: The bytes.
        timeout: Seconds without a byte after which it raises TimeoutError.
        patience_s: Seconds after which it states that nothing more is sent; None: never.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        with suppress(OSError):  # it answers before it has read all of it
            client.sendall(data)
        if patience_s is not None and not select.select([client], [], [], patience_s)[0]:
            client.shutdown(socket.SHUT_WR)
        try:
            answer = http.client.HTTPResponse(client, method=data.partition(b" ")[0].decode("latin-1"))
            answer.begin()
            body = answer.read()
        except (http.client.HTTPException, ConnectionError):
            return Reply(None, b"", "")
        return Reply(answer.status, body, answer.headers.get("Content-Type", ""))


def is_one_line(found: Reply) -> bool:
    """Whether an answer with an error is one line without a traceback, in JSON or as plain text."""
    if found.body and found.kind.startswith("application/json"):  # answers to HEAD have no body
        content = json.load(io.BytesIO(found.body))
        line = content["error"] if isinstance(content, dict) else ""
        return isinstance(line, str) and bool(line) and "\n" not in line and "Traceback" not in line
    return b"\n" not in found.body.strip() and b"Traceback" not in found.body
