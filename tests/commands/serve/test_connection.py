"""Connections that send no header, send it slowly, do not read, or are too many."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import numpy as np
import pytest

from seglight.commands.serve import bodies, connection
from seglight.commands.serve.app import create_app
from seglight.commands.serve.settings import Settings
from tests.support.served import Running, StandIn, png, serving, until

REQUEST = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(connection, "HEADER_S", 0.3)
    monkeypatch.setattr(connection, "REST_S", 0.3)
    monkeypatch.setattr(connection, "READING_S", 0.3)
    monkeypatch.setattr(connection, "MOST", 4)
    service = StandIn()
    with serving(create_app(service, Settings()), service) as found:
        yield found


def error_of(answer: bytes) -> str:
    """The line that an answer states as its error."""
    header, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in header
    found: dict[str, str] = json.loads(body)
    return found["error"]


def labels_of(client: socket.socket, running: Running, side: int) -> None:
    """Ask for as many bytes of labels as a black square has pixels, and read none of them."""
    image = png(np.zeros((side, side, 3), np.uint8))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(("127.0.0.1", running.port))
    head = f"POST /predict?format=labels HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(image)}\r\n\r\n"
    client.sendall(head.encode() + image)
    until(lambda: any(unread(one) for one in [*running.server.server_state.connections]))


def unread(one: Any) -> int:
    """Bytes that the server has still to send on a connection."""
    found: int = one.transport.get_write_buffer_size()
    return found


def rest_of(client: socket.socket) -> bytes:
    """What arrives until the server closes the connection."""
    data = b""
    try:
        while part := client.recv(65536):
            data += part
    except ConnectionResetError:
        pass
    return data


def test_headers_that_never_end(running: Running) -> None:
    with running.connect() as silent, running.connect() as slow, running.connect() as second:
        start = time.monotonic()
        slow.sendall(REQUEST[:20])
        second.sendall(REQUEST)
        assert second.recv(1000).startswith(b"HTTP/1.1 200 ")
        second.sendall(REQUEST[:20])  # of the next request on the same connection
        for client in (silent, slow, second):
            answer = rest_of(client)
            assert b"HTTP/1.1 408 Request Timeout\r\n" in answer
            assert error_of(answer).startswith("the header of the request did not arrive within ")
        assert 0.2 < time.monotonic() - start < 5


def test_a_connection_is_used_again(running: Running) -> None:
    with httpx.Client(base_url=running.url) as client:
        for _ in range(3):
            assert client.get("/health/live").status_code == 200
        assert len(running.server.server_state.connections) == 1
        assert client.post("/nothing", content=bytes(1000)).status_code == 404
        assert client.get("/health/live").status_code == 200
        assert len(running.server.server_state.connections) == 1, "the body that nobody read was dropped"


def test_a_header_that_is_too_long(running: Running) -> None:
    with running.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 20_000)
        answer = rest_of(client)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert error_of(answer) == "the request is not HTTP"


def test_the_rest_of_a_body_that_was_refused(running: Running) -> None:
    """It is read for a while, so that the answer arrives; then the connection is closed."""
    with running.connect() as client:
        client.sendall(b"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000000\r\n\r\n" + bytes(1000))
        assert client.recv(1000).startswith(b"HTTP/1.1 404 ")
        start = time.monotonic()
        try:
            while time.monotonic() < start + 5:
                client.sendall(bytes(1000))
                time.sleep(0.02)
        except OSError:
            pass
        assert time.monotonic() - start < 4


def test_a_client_that_does_not_read(running: Running) -> None:
    running.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with socket.socket() as client:
        labels_of(client, running, 700)  # several parts
        until(lambda: not running.server.server_state.connections)


def test_a_client_that_does_not_read_the_end(running: Running) -> None:
    """An answer of which uvicorn thinks that it is complete is waited for no longer than others."""
    running.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with socket.socket() as client:
        labels_of(client, running, 200)
        assert [one.is_idle for one in running.server.server_state.connections] == [True]
        until(lambda: not running.server.server_state.connections)


@pytest.mark.parametrize("side", [200, 700])
def test_an_answer_that_is_being_read_makes_no_room(
    running: Running, monkeypatch: pytest.MonkeyPatch, side: int
) -> None:
    monkeypatch.setattr(connection, "READING_S", 20.0)
    running.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with socket.socket() as client, ExitStack() as others:
        labels_of(client, running, side)
        buffered = sum(unread(one) for one in [*running.server.server_state.connections])
        assert buffered <= bodies.PART + 1000
        for _ in range(5):
            one = others.enter_context(running.connect())
            one.sendall(REQUEST)
            assert one.recv(1000).startswith(b"HTTP/1.1 200 ")
        client.sendall(REQUEST.replace(b"1.1\r\n", b"1.1\r\nConnection: close\r\n"))
        answer = rest_of(client)
    assert len(answer.partition(b"\r\n\r\n")[2]) > side * side
    assert answer.endswith(b'{"status":"live"}')


def test_idle_connections_make_room(running: Running) -> None:
    idle = [running.connect() for _ in range(6)]
    try:
        assert httpx.get(f"{running.url}/health/live").status_code == 200
        assert len(running.server.server_state.connections) <= 5
    finally:
        for client in idle:
            client.close()


def test_too_many_requests_under_way(running: Running) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n"
    busy = [running.connect() for _ in range(4)]
    for client in busy:
        client.sendall(head + bytes(10))
    state = running.server.server_state
    until(lambda: len([one for one in [*state.connections] if not one.is_idle]) == 4)
    with running.connect() as one_more:
        answer = rest_of(one_more)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert error_of(answer) == "too many connections: repeat the request later"
    for client in busy:
        client.close()
    until(lambda: not state.connections)
    assert httpx.get(f"{running.url}/health/live").status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_garbage_behind_a_request(running: Running, caplog: pytest.LogCaptureFixture, method: str) -> None:
    """It is no error of the code, and the connection is closed."""
    with running.connect() as client:
        client.sendall(method.encode() + b" /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + bytes(100))
        assert b"HTTP/1.1 400 Bad Request" in rest_of(client)
    assert httpx.get(f"{running.url}/health/live").status_code == 200
    assert caplog.text == ""
