"""What every answer has, and the description of the interface, whose examples run.

Covers: commands.serve.guard.
"""

import asyncio
import math
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from seglight.commands.serve import bodies, connection, options
from seglight.commands.serve.app import create_app
from seglight.commands.serve.guard import Guard
from seglight.commands.serve.settings import Settings
from tests.support.pages import ROOT, blocks
from tests.support.served import Running, StandIn, decoded, picture, png, serving

CURL = shutil.which("curl")


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    service = StandIn()
    with serving(create_app(service, Settings()), service) as found:
        yield found


def test_headers_of_every_answer(running: Running) -> None:
    for path in ("/health/live", "/models", "/nothing", "/openapi.json", "/metrics"):
        headers = httpx.get(running.url + path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert "unsafe" not in str(policy)
        assert "http" not in str(policy)
        assert "server" not in headers, "no version of a library for whoever looks for weaknesses"
        assert "access-control-allow-origin" not in headers


def test_the_log_of_an_error_does_not_act_on_the_terminal(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("\x1b[2J")

    async def answer() -> httpx.Response:
        guarded = httpx.ASGITransport(Guard(broken, StandIn()))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=guarded, base_url="http://127.0.0.1") as client:
            return await client.get("/%1b]0;owned%07")

    assert asyncio.run(answer()).status_code == 500
    assert r"GET /\x1b]0;owned\x07" in caplog.text
    assert r"ValueError: \x1b[2J" in caplog.text
    assert not {"\x1b", "\x07"} & set(caplog.text)


def test_no_page_loads_anything_from_elsewhere(running: Running) -> None:
    assert httpx.get(f"{running.url}/docs").status_code == 404
    assert httpx.get(f"{running.url}/redoc").status_code == 404


def test_health(running: Running) -> None:
    live = httpx.get(f"{running.url}/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    ready = httpx.get(f"{running.url}/health/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "models": {"reds": True}})


def test_while_models_are_loaded() -> None:
    service = StandIn()
    service.models = {}
    service.seen = type(service.seen)(ready=False)
    with serving(create_app(service, Settings()), service) as running:
        assert httpx.get(f"{running.url}/health/live").status_code == 200
        ready = httpx.get(f"{running.url}/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "not ready", "models": {}})
        for found in (httpx.get(f"{running.url}/models"), httpx.post(f"{running.url}/predict", content=b"x")):
            assert found.status_code == 503
            assert found.headers["retry-after"] == "1"
            assert found.json() == {"error": "the models are still being loaded: repeat the request later"}


def test_the_interface_is_described(running: Running) -> None:
    described = httpx.get(f"{running.url}/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert {"/predict", "/models", "/health/live", "/health/ready", "/metrics"} <= described["paths"].keys()
    predict = described["paths"]["/predict"]["post"]
    assert {"image/*", "application/octet-stream", "multipart/form-data"} == predict["requestBody"]["content"].keys()
    assert {"200", "400", "401", "404", "413", "415", "422", "429", "500", "503", "504"} <= predict["responses"].keys()
    forms = next(entry for entry in predict["parameters"] if entry["name"] == "format")["schema"]["anyOf"][0]["enum"]
    for form in forms:
        assert f"`{form}` (" in predict["description"]
        found = httpx.post(f"{running.url}/predict", params={"format": form}, content=png(picture()))
        assert found.status_code == 200
        assert found.headers["content-type"] in predict["responses"]["200"]["content"]
    for schema in ("HTTPValidationError", "ValidationError"):
        assert schema not in described.get("components", {}).get("schemas", {}), "errors have another form here"


@pytest.mark.skipif(CURL is None, reason="needs curl")
def test_its_examples_run(running: Running, tmp_path: Path) -> None:
    (tmp_path / "street.jpg").write_bytes(png(picture(4, 6)))
    described = httpx.get(f"{running.url}/openapi.json").json()
    samples = [
        sample["source"]
        for methods in described["paths"].values()
        for method in methods.values()
        for sample in method.get("x-codeSamples", ())
    ]
    assert len(samples) >= 4
    for line in samples:
        words = shlex.split(line.replace("http://127.0.0.1:8000", running.url))
        assert words[0] == "curl"
        subprocess.run([*words, "--fail", "--silent", "--show-error"], cwd=tmp_path, check=True, timeout=20)
        assert (tmp_path / words[words.index("-o") + 1]).stat().st_size > 0
    assert decoded((tmp_path / "labels.png").read_bytes()).shape == (4, 6)


def test_the_client_of_the_manual(
    running: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = next(block.text for block in blocks(ROOT / "docs/tasks/serve.md") if block.language == "python")
    client: dict[str, Any] = {"__name__": "client"}
    exec(code.replace("http://127.0.0.1:8000", running.url), client)
    image = picture(4, 6)
    (tmp_path / "street.png").write_bytes(png(image))
    assert (client["predict"](str(tmp_path / "street.png")) == image[..., 0] // 64).all()
    (tmp_path / "damaged.png").write_bytes(png(image)[:50])
    with pytest.raises(ValueError, match=r"damaged\.png: image: "):
        client["predict"](str(tmp_path / "damaged.png"))
    client["__name__"] = "__main__"
    monkeypatch.setattr("sys.argv", ["client.py", *(str(tmp_path / name) for name in ("damaged.png", "street.png"))])
    exec(code.replace("http://127.0.0.1:8000", running.url), client)
    told = capsys.readouterr()
    assert told.err.startswith(f"{tmp_path / 'damaged.png'}: image: ")
    assert told.out.startswith(f"{tmp_path / 'street.png'} {{")  # it goes on after an image that is refused
    assert len(code.splitlines()) <= 33


def test_the_statuses_of_the_manual(running: Running) -> None:
    described = httpx.get(f"{running.url}/openapi.json").json()
    told = section("Paths").partition("An error is a status")[2]
    stated = re.findall(r"[:,)] (\d{3}) ", told.replace("\n", " "))
    assert {"200", *stated} == described["paths"]["/predict"]["post"]["responses"].keys()
    assert sorted(stated) == stated


def test_the_limits_of_the_manual() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section("Limits"), re.MULTILINE)[2:]
    told = {what: [float(digits) for digits in re.findall(r"\d+", limit)] for what, limit in rows}
    settings = Settings()
    assert settings.upload_bytes == 2 * settings.max_bytes
    assert told == {
        "body of a request": [settings.max_bytes / 1e6, 1, options.UPLOADED],
        "all bodies and answers at a time": [503],
        "pixels of an image": [2, math.log2(settings.max_pixels)],
        "images that wait": [settings.queue, 429],
        "time for a header": [connection.HEADER_S],
        "time for a body": [settings.body_timeout_s, bodies.SLOWEST / 1024],
        "a client that reads its answer": [connection.SLOWEST / 1024],
        "connections": [connection.MOST],
    }


def section(heading: str) -> str:
    """Text of a section of the page on the server."""
    text = (ROOT / "docs/tasks/serve.md").read_text("utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
