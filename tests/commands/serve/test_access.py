"""Who is answered: the token, the name of the server in a request, and pages of other websites."""

import asyncio
from base64 import b64encode

import httpx
import pytest

from seglight.commands.serve.access import is_loopback
from seglight.commands.serve.app import create_app
from seglight.commands.serve.settings import Settings
from tests.support.served import StandIn, picture, png, serving

TOKEN = "0123456789abcdef-token"


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def test_the_token() -> None:
    service = StandIn()
    app = create_app(service, Settings(token=TOKEN.encode()))
    with serving(app, service) as running, httpx.Client(base_url=running.url) as client:
        assert client.get("/health/live").status_code == 200
        for path in ("/health/ready", "/models", "/metrics", "/openapi.json", "/nothing", "/"):
            found = client.get(path)
            assert found.status_code == 401, path
            assert "token is missing" in found.json()["error"]
            challenges = found.headers.get_list("www-authenticate")
            assert [challenge.split()[0] for challenge in challenges] == ["Basic", "Bearer"]
        for right in (f"Bearer {TOKEN}", f"bearer   {TOKEN}", basic("", TOKEN), basic("any user", TOKEN)):
            assert client.get("/models", headers={"Authorization": right}).status_code == 200, right
        wrong = (
            "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff", TOKEN, f"Digest {TOKEN}",
            "Basic !", basic(TOKEN, ""), "Basic " + b64encode(b"\xff").decode(), f"Basic {TOKEN}",
        )  # fmt: skip
        for header in wrong:
            found = client.get("/models", headers={"Authorization": header.encode("latin-1")})
            assert found.status_code == 401, header
        described = client.get("/openapi.json", auth=("", TOKEN)).json()
        assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


def test_a_body_without_the_token_is_not_read() -> None:
    service = StandIn()
    with serving(create_app(service, Settings(token=TOKEN.encode())), service) as running, running.connect() as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("[::1]:8000", 200),
        ("192.168.0.7", 200),
        ("evil.example", 403),
        ("evil.example:8000", 403),
        ("127.0.0.1.evil.example", 403),
        ("[::1", 403),
    ],
)
def test_the_name_that_a_server_of_this_machine_is_called_by(host: str, status: int) -> None:
    """A website whose name is pointed at 127.0.0.1 (DNS rebinding) is called by that name."""
    assert answered(Settings(), host=host) == status
    assert answered(Settings(token=TOKEN.encode()), host=host, authorization=f"Bearer {TOKEN}") == 200
    assert answered(Settings(host="0.0.0.0"), host=host) == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8000"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "https://proxy.example"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_pages_of_other_websites(headers: dict[str, str], status: int) -> None:
    assert answered(Settings(), method="POST", host="127.0.0.1:8000", **headers) == status
    assert answered(Settings(), method="GET", host="127.0.0.1:8000", **headers) == 200


def answered(settings: Settings, method: str = "GET", **headers: str) -> int:
    """Status of a request with some headers."""

    async def ask() -> int:
        transport = httpx.ASGITransport(create_app(StandIn(), settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            path, content = ("/models", None) if method == "GET" else ("/predict", png(picture()))
            return (await client.request(method, path, content=content, headers=headers)).status_code

    return asyncio.run(ask())


def test_addresses_of_this_machine() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "localhost", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.168.0.1", "::", "example.org", "")))
