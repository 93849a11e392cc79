import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from seglight.commands.serve.label_studio import task_images
from seglight.commands.serve.label_studio.task_images import TaskImages
from seglight.commands.serve.refusals import Refused
from seglight.errors import UserError
from tests.support.raw_http import RawServer, raw_server, reply

JWT = "eyJ.eyJ.c2ln"


def task(image: Any, number: Any = 7) -> dict[str, Any]:
    return {"id": number, "data": {"image": image}}


def fetched(
    value: Any,
    answer: Callable[[str], bytes | None] = lambda _: reply(b"pixels"),
    key: str | None = "k",
    hosts: Callable[[str], list[str]] = lambda url: [url],
    max_bytes: int = 100,
    number: Any = 7,
) -> tuple[bytes, RawServer]:
    """What is fetched for a task whose image is `value` with URL replaced, and what the server was asked."""

    async def fetch() -> tuple[bytes, RawServer]:
        async with raw_server(answer) as server:
            images = TaskImages(hosts(server.url), key, max_bytes)
            address = value.replace("URL", server.url) if isinstance(value, str) else value
            return await images.fetch(task(address, number), "image"), server

    return asyncio.run(fetch())


def refusal(value: Any, *args: Any, **options: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        fetched(value, *args, **options)
    assert "\n" not in refused.value.reason
    return refused.value.status, refused.value.reason


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("/data/upload/1/ab-c.png", "/data/upload/1/ab-c.png"),
        ("/data/local-files/?d=a/ü b.png", "/data/local-files/?d=a/%C3%BC%20b.png"),
        ("upload/1/c.png", "/data/upload/1/c.png"),
        ("URL/c.png?x=1", "/c.png?x=1"),
        (
            "s3://bucket/c.png",
            f"/tasks/7/presign/?fileuri={base64.urlsafe_b64encode(b's3://bucket/c.png').decode()}",
        ),
        ("//evil.org/c.png", "//evil.org/c.png"),  # a path of Label Studio: nobody else is asked
    ],
)
def test_where_an_image_is_fetched_from(value: str, target: str) -> None:
    content, server = fetched(value)
    assert content == b"pixels"
    (head,) = server.heads
    assert head.startswith(f"GET {target} HTTP/1.1\r\n")
    assert "Authorization: Token k\r\n" in head


def test_without_a_key_nothing_is_stated() -> None:
    assert "authorization" not in fetched("/c.png", key=None)[1].heads[0].lower()


@pytest.mark.parametrize(
    "value",
    [
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "ftp://127.0.0.1/x",
        "data:image/png;base64,AAAA",
        "c.png",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost:1/x",
        "http://127.0.0.1:1/x",
        "https://example.org/x",
        "http://user@example.org/x",
        "http://[::1/x",
        "",
        None,
        5,
        ["URL/c.png"],
    ],
)
def test_other_addresses_are_not_asked(value: Any) -> None:
    asked = []
    status, _ = refusal(value, lambda head: asked.append(head) or reply(b""))
    assert status == 422
    assert not asked


def test_a_host_that_is_not_allowed_is_named() -> None:
    _, line = refusal("https://images.example.org/a.png?signature=secret")
    assert line == ("https://images.example.org: images are fetched from the hosts of --allow_hosts only: add it there")


def test_without_any_host() -> None:
    status, line = refusal("URL/c.png", hosts=lambda _: [])
    assert status == 422
    assert "start the server with --allow_hosts" in line


def test_a_task_of_a_storage_without_a_number() -> None:
    assert refusal("s3://bucket/c.png", number="../..")[0] == 422


def moved(location: str) -> Callable[[str], bytes]:
    return lambda head: reply(status="302 Found", Location=location) if head.startswith("GET /c") else reply(b"pixels")


def test_redirects_are_followed_and_checked() -> None:
    content, server = fetched("/c.png", moved("/d.png"))
    assert content == b"pixels"
    assert [head.split()[1] for head in server.heads] == ["/c.png", "/d.png"]
    for location in ("http://169.254.169.254/", "http://127.0.0.1:1/", "file:///etc/passwd", "//example.org/x"):
        status, line = refusal("/c.png", moved(location))
        assert status == 422, line
    status, line = refusal("/c.png", moved("/c.png"))
    assert status == 502
    assert line.endswith("/c.png: more than 5 redirects")


def test_the_key_goes_to_label_studio_only() -> None:
    async def fetch() -> tuple[list[str], list[str]]:
        async with raw_server(lambda _: reply(b"pixels")) as other:
            elsewhere = reply(status="303 See Other", Location=f"{other.url}/signed.png")
            async with raw_server(lambda _: elsewhere) as studio:
                images = TaskImages([studio.url, other.url], "k", 100)
                assert await images.fetch(task("gs://bucket/c.png"), "image") == b"pixels"
                assert await images.fetch(task(f"{other.url}/c.png"), "image") == b"pixels"
                return studio.heads, other.heads

    studio, other = asyncio.run(fetch())
    assert all("Authorization: Token k" in head for head in studio)
    assert len(other) == 2
    assert not any("authorization" in head.lower() for head in other)


def test_a_personal_access_token_is_exchanged_for_one_of_some_minutes() -> None:
    valid = ["first"]

    def answer(head: str) -> bytes:
        if head.startswith("POST /api/token/refresh/ "):
            return reply(json.dumps({"access": valid[0]}).encode())
        return reply(b"pixels") if f"Bearer {valid[0]}\r\n" in head else reply(status="401 Unauthorized")

    async def fetch() -> RawServer:
        async with raw_server(answer) as server:
            images = TaskImages([server.url], JWT, 100)
            for _ in range(2):
                assert await images.fetch(task("/c.png"), "image") == b"pixels"
            valid[0] = "second"
            assert await images.fetch(task("/c.png"), "image") == b"pixels"
            return server

    server = asyncio.run(fetch())
    assert [head.split()[0] for head in server.heads] == ["POST", "GET", "GET", "GET", "POST", "GET"]
    assert json.loads(server.bodies[0]) == {"refresh": JWT}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"access": 5}', b'{"access": "a\\nb"}', b"[" * 60_000])
def test_a_personal_access_token_that_is_not_accepted(body: bytes) -> None:
    status, line = refusal("/c.png", lambda _: reply(body), key=JWT)
    assert status == 502
    assert "it does not accept the key in LABEL_STUDIO_API_KEY" in line
    assert JWT not in line


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (reply(status="404 Not Found"), 502, "c.png: it answers with status 404"),
        (reply(status="403 Forbidden"), 502, "status 403: check the environment variable LABEL_STUDIO_API_KEY"),
        (reply(b"x" * 101), 413, "more than 100 bytes"),
        (reply(b"x", Content_Encoding="gzip"), 502, "is encoded as gzip"),
        (reply(status="302 Found"), 502, "it answers with status 302"),
    ],
)
def test_answers_without_an_image(answer: bytes, status: int, message: str) -> None:
    found, line = refusal("/c.png?secret", lambda _: answer)
    assert found == status
    assert message in line
    assert "secret" not in line


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_images, "SECONDS", 0.05)
    status, line = refusal("/c.png", lambda _: None)
    assert status == 504
    assert line.endswith("/c.png: not fetched within 0.05 s")


@pytest.mark.parametrize("key", ["a b", "a\r\nX: y", "schlüssel"])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(UserError, match="LABEL_STUDIO_API_KEY"):
        TaskImages(["a.org"], key, 100)


def test_hosts_are_checked_at_the_start() -> None:
    with pytest.raises(UserError, match=r"--allow_hosts http://a\.org/x"):
        TaskImages(["http://a.org/x"], None, 100)
