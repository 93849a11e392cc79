import asyncio
import socket
import tracemalloc

import pytest

from seglight.commands.serve.label_studio.exchange import Reply, exchange
from seglight.commands.serve.label_studio.origins import split_address
from seglight.commands.serve.refusals import Refused
from tests.support.raw_http import raw_server, reply


def asked(answer: bytes, limit: int = 100, body: bytes = b"") -> tuple[Reply, str, bytes]:
    """What a server's bytes are read as, and what it was sent."""

    async def ask() -> tuple[Reply, str, bytes]:
        async with raw_server(lambda _: answer) as server:
            origin, target = split_address(f"{server.url}/a?b=c")
            method = "POST" if body else "GET"
            read = await exchange(origin, method, target, {"Authorization": "Token k"}, limit, body)
            return read, server.heads[0], server.bodies[0]

    return asyncio.run(ask())


def test_a_request_and_its_answer() -> None:
    read, head, _ = asked(reply(b"pixels", Content_Type="image/png"))
    assert (read.status, read.body) == (200, b"pixels")
    assert read.headers["content-type"] == "image/png"
    lines = head.split("\r\n")
    assert lines[0] == "GET /a?b=c HTTP/1.1"
    assert "Authorization: Token k" in lines
    assert "Connection: close" in lines
    assert any(line.startswith("Host: 127.0.0.1:") for line in lines)


def test_a_body_is_sent() -> None:
    read, head, body = asked(reply(b"{}"), body=b'{"refresh": "k"}')
    assert head.startswith("POST /a?b=c ")
    assert body == b'{"refresh": "k"}'
    assert read.body == b"{}"


def test_answers_in_chunks_and_without_a_length() -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert asked(chunks)[0].body == b"abcde"
    assert asked(b"HTTP/1.0 200 OK\r\n\r\nabc")[0].body == b"abc"
    assert asked(b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply(b"abc"))[0].body == b"abc"


def test_an_image_is_held_once() -> None:
    """At its end, too: `--max_memory` counts each image that is fetched once."""
    size = 4_000_000
    taken: list[int] = []

    async def ask() -> None:
        answer = reply(bytes(size))
        async with raw_server(lambda _: answer) as server:
            origin, target = split_address(f"{server.url}/")
            tracemalloc.start()
            assert len((await exchange(origin, "GET", target, {}, size)).body) == size
            taken.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    asyncio.run(ask())
    assert taken[0] < 1.8 * size


def test_the_body_of_an_error_is_not_read() -> None:
    assert asked(b"HTTP/1.1 404 Not Found\r\nContent-Length: 99999999\r\n\r\n")[0] == Reply(
        404, {"content-length": "99999999"}, b""
    )


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"x" * 101),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n" + b"x" * 128 + b"\r\n0\r\n\r\n",
    ],
)
def test_an_answer_that_is_too_large(answer: bytes) -> None:
    with pytest.raises(Refused, match="its answer has more than 100 bytes") as refused:
        asked(answer)
    assert refused.value.status == 413
    assert asked(reply(b"x" * 100))[0].body == b"x" * 100


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        bytes(range(256)),
    ],
)
def test_an_answer_that_is_not_http(answer: bytes) -> None:
    with pytest.raises(Refused, match="its answer is cut off") as refused:
        asked(answer)
    assert refused.value.status == 502


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        origin, target = split_address(f"http://127.0.0.1:{free.getsockname()[1]}/")
        with pytest.raises(Refused, match=f"{origin}: no connection to it") as refused:
            asyncio.run(exchange(origin, "GET", target, {}, 10))
    assert refused.value.status == 502
