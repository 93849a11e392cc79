"""What every answer has, and the description of the interface, whose examples run.

Covers: commands.serve.guard.
"""

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from seglight.commands.serve.app import create_app
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


def test_the_client_of_the_manual(running: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = next(block.text for block in blocks(ROOT / "docs/tasks/serve.md") if block.language == "python")
    client: dict[str, Any] = {"__name__": "client"}
    exec(code.replace("http://127.0.0.1:8000", running.url), client)
    image = picture(4, 6)
    (tmp_path / "street.png").write_bytes(png(image))
    assert (client["predict"](str(tmp_path / "street.png")) == image[..., 0] // 64).all()
    (tmp_path / "damaged.png").write_bytes(png(image)[:50])
    with pytest.raises(ValueError, match=r"damaged\.png: image: "):
        client["predict"](str(tmp_path / "damaged.png"))
    assert len(code.splitlines()) <= 33
