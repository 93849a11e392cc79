"""Connections that send no header, send it slowly, do not read, or are too many."""

import socket
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from seglight.commands.serve import connection
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
            assert b"HTTP/1.1 408 Request Timeout\r\n" in rest_of(client)
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
        assert rest_of(client).startswith(b"HTTP/1.1 400 ")


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
    image = png(np.zeros((2500, 2500, 3), np.uint8))  # 6 MB of labels: more than the system buffers
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", running.port))
        head = f"POST /predict?format=labels HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(image)}\r\n\r\n"
        client.sendall(head.encode() + image)
        until(lambda: running.server.server_state.total_requests == 1)
        until(lambda: not running.server.server_state.connections)


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
        assert rest_of(one_more).startswith(b"HTTP/1.1 503 ")
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
