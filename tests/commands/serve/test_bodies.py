"""Bodies that are too large, too slow or too many, and clients that leave: over real connections."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from seglight.commands.serve.app import create_app
from seglight.commands.serve.bodies import PART, BoundedBodies
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.settings import Settings
from tests.support.served import Running, StandIn, metric, picture, png, serving, until

MOST = 50_000
HEAD = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module")
def service() -> StandIn:
    return StandIn()


@pytest.fixture(scope="module")
def running(service: StandIn) -> Iterator[Running]:
    with serving(create_app(service, Settings(max_bytes=MOST, body_timeout_s=0.3)), service) as found:
        yield found


@pytest.fixture(autouse=True)
def _unused(service: StandIn) -> None:
    service.held = False
    service.asked.clear()


def answer(client: socket.socket) -> tuple[int, dict[str, str]]:
    """Status and JSON of the next answer on a connection."""
    data = b""
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < length(data):
        part = client.recv(65536)
        assert part, "closed without an answer"
        data += part
    return int(data.split()[1]), json.loads(data.partition(b"\r\n\r\n")[2])


def length(data: bytes) -> int:
    """Length of the body that a header states."""
    lines = data.partition(b"\r\n\r\n")[0].decode().lower().split("\r\n")
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))


@pytest.mark.parametrize("stated", [MOST + 1, 10**12, 10**19])
def test_too_large_by_the_header(running: Running, service: StandIn, stated: int) -> None:
    """It is refused before anything of it has arrived."""
    with running.connect() as client:
        client.sendall(f"{HEAD}Content-Length: {stated}\r\n\r\n".encode())
        status, content = answer(client)
    assert status == 413
    assert f"more than {MOST} bytes" in content["error"]
    assert service.asked == []


def test_a_client_that_asks_first_sends_nothing(running: Running) -> None:
    with running.connect() as client:
        client.sendall(f"{HEAD}Content-Length: {MOST + 1}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert answer(client)[0] == 413


def test_too_large_while_it_arrives(running: Running) -> None:
    """A body in chunks states no length."""
    with running.connect() as client:
        client.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(3):
            client.sendall(b"5000\r\n" + bytes(0x5000) + b"\r\n")
        status, content = answer(client)
    assert status == 413
    assert f"more than {MOST} bytes" in content["error"]


def test_the_largest_body(running: Running) -> None:
    image = png(picture())
    found = httpx.post(f"{running.url}/predict", content=image + bytes(MOST - len(image)))
    assert found.status_code == 200  # bytes behind a PNG are not read


def test_a_slow_body(running: Running) -> None:
    with running.connect() as client:
        client.sendall(f"{HEAD}Content-Length: 1000\r\n\r\n".encode() + bytes(7))
        status, content = answer(client)
    assert status == 408
    assert "7 bytes of the body have arrived so far" in content["error"]


def test_a_body_that_drips(running: Running) -> None:
    """Each part in time is not enough."""
    start = time.monotonic()
    with running.connect() as client:
        client.sendall(f"{HEAD}Content-Length: 1000\r\n\r\n".encode())
        client.settimeout(0.05)
        while time.monotonic() < start + 5:
            client.sendall(b"x")
            try:
                data = client.recv(1000)
                break
            except TimeoutError:
                continue
    assert data.startswith(b"HTTP/1.1 408 ")


def test_too_many_uploads_at_once() -> None:
    """Three bodies of the largest size, of which two may be held at a time."""

    async def uploads() -> None:
        read, go = asyncio.Semaphore(0), asyncio.Event()

        async def handler(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            read.release()
            await go.wait()

        async def receive() -> Message:
            return {"type": "http.request", "body": bytes(MOST), "more_body": True}

        async def send(message: Message) -> None:
            raise AssertionError(message)

        bounded = BoundedBodies(handler, Settings(max_bytes=MOST))
        scope = {"type": "http", "headers": []}
        first = [asyncio.create_task(bounded(scope, receive, send)) for _ in range(2)]
        await read.acquire()
        await read.acquire()
        with pytest.raises(Refused, match="too many images and answers are being sent at once") as refused:
            await bounded(scope, receive, send)
        assert (refused.value.status, refused.value.retry_after) == (503, 2)
        go.set()
        await asyncio.gather(*first)
        await bounded(scope, receive, send)  # what was answered is not counted any more

    asyncio.run(uploads())


def test_answers_that_are_not_read_count_as_well() -> None:
    """They are sent in parts, each when the former one has been read."""
    parts: list[int] = []

    async def answers() -> None:
        reading = asyncio.Event()

        async def handler(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": bytes(MOST * 20)})

        async def receive() -> Message:
            await asyncio.sleep(0)  # else the watch on the client would never let others run
            return {"type": "http.request", "body": b"x", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                parts.append(len(message["body"]))
                assert message["more_body"] == (sum(parts) % (MOST * 20) > 0)
                await reading.wait()

        bounded = BoundedBodies(handler, Settings(max_bytes=MOST))
        scope = {"type": "http", "headers": []}
        first = asyncio.create_task(bounded(scope, receive, send))
        while not parts:
            await asyncio.sleep(0)
        with pytest.raises(Refused, match="too many images and answers are being sent at once"):
            await bounded(scope, receive, send)
        assert len(parts) == 1
        reading.set()
        await first
        assert sum(parts) == MOST * 20
        assert max(parts) == PART
        await bounded(scope, receive, send)  # what was read is not counted any more

    asyncio.run(answers())


def left(running: Running) -> float:
    """Number of requests whose clients left."""
    return metric(httpx.get(f"{running.url}/metrics").text, "seglight_requests_total", status="499")


def test_the_work_for_a_client_that_has_left_is_cancelled(running: Running, service: StandIn) -> None:
    before = left(running)
    service.held = True
    image = png(picture())
    for headers in ("", "Accept: application/x-ndjson\r\n"):
        with running.connect() as client:
            client.sendall(f"{HEAD}{headers}Content-Length: {len(image)}\r\n\r\n".encode() + image)
            until(lambda: service.waiting == 1)
        until(lambda: service.waiting == 0)
    assert service.cancelled == 2
    until(lambda: left(running) == before + 2)


def test_a_client_that_leaves_during_its_upload(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    before = left(running)
    with running.connect() as client:
        client.sendall(f"{HEAD}Content-Length: 1000\r\n\r\n".encode() + bytes(7))
    until(lambda: left(running) == before + 1)
    assert httpx.get(f"{running.url}/health/live").status_code == 200
    assert caplog.text == "", "which is no error of the server"
