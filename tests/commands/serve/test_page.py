"""The page's files and pictures, as the server answers them.

Covers: commands.serve.pictures.
"""

import re
import subprocess
import sys
import tomllib
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from seglight.commands.serve.app import create_app
from seglight.commands.serve.page import read_assets
from seglight.commands.serve.pictures import EXAMPLES, FIRST_SEED, example_png, picture_jpeg
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.settings import Settings
from seglight.data.datasets.shapes_scenes import draw_scene
from seglight.errors import UserError
from tests.support.stand_in import Reds

PROJECT = Path(__file__).parents[3]
STATIC = PROJECT / "seglight" / "commands" / "serve" / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))


class Models:
    """A service with two models that gives back what the answer makes of an image in one colour."""

    def __init__(self) -> None:
        self.models: dict[str, Any] = {
            "any": SimpleNamespace(name="any", size=None, card=Reds.card),
            "fixed": SimpleNamespace(name="fixed", size=(48, 100), card=Reds.card),
        }

    async def predict(self, image: bytes, answer: Any, model: str | None = None) -> bytes:
        if not image.startswith(b"\x89PNG"):
            raise Refused(415, "the format of the image is not read")
        pixels = np.asarray(Image.open(BytesIO(image)).convert("RGB"))
        return bytes(answer(SimpleNamespace(picture=pixels)))


@pytest.fixture
def client() -> TestClient:
    return TestClient(create_app(Models(), Settings()), base_url="http://127.0.0.1")  # type: ignore[arg-type]


def test_the_page_names_only_files_that_are_served(client: TestClient) -> None:
    page = client.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    types = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
    named = re.findall(r'(?:href|src)="([^"]*)"', page.text)
    assert {name.rpartition(".")[2] for name in named} == set(types)
    seen = set[str]()
    while named:
        path = urljoin("/", named.pop())
        if path in seen:
            continue
        seen.add(path)
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, types[path.rpartition(".")[2]]), path
        named += [urljoin(path, name) for name in re.findall(r'^import .* from "([^"]*)";$', answer.text, re.MULTILINE)]
    assert {path.removeprefix("/page/") for path in seen} == {path.name for path in STATIC.iterdir()} - {"index.html"}


def test_nothing_comes_from_elsewhere_and_nothing_is_inline(client: TestClient) -> None:
    for path in STATIC.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[\w-]+\.\w", text), path.name
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text), path.name
    page = client.get("/").text
    assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:", page)
    assert re.findall(r"<script[^>]*>[^<]*</script>", page) == ['<script type="module" src="page/app.js"></script>']


def test_scripts_name_only_elements_that_the_page_has() -> None:
    page = (STATIC / "index.html").read_text("utf-8")
    ids = re.findall(r'\bid="([\w-]+)"', page)
    assert len(ids) == len(set(ids))
    used = set[str]()
    for script in SCRIPTS:
        used |= set(re.findall(r"""(?:getElementById|\$|onZoom)\("([\w-]+)\"""", script.read_text("utf-8")))
    assert used <= set(ids)
    labelled = re.findall(r'(?:for|aria-describedby)="([\w-]+)"', page)
    assert set(labelled) <= set(ids)


def test_the_files_belong_to_the_package() -> None:
    data = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    assert "commands/serve/static/*" in data["seglight"]
    assert set(read_assets()) == {path.name for path in STATIC.iterdir()}


@pytest.mark.parametrize(
    "name", ["page.py", "../page.py", "..%2fpage.py", "%2e%2e/page.py", "app.js%00", "%2fetc%2fpasswd", "", "APP.JS"]
)
def test_other_names_are_not_there(client: TestClient, name: str) -> None:
    answer = client.get(f"/page/{name}")
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]


def test_a_browser_loads_a_file_again_only_if_it_has_changed(client: TestClient) -> None:
    first = client.get("/page/app.js")
    again = client.get("/page/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/page/app.js", headers={"If-None-Match": '"other"'})
    assert other.content == first.content == (STATIC / "app.js").read_bytes()
    assert first.headers["cache-control"] == "no-cache"


def test_examples_are_scenes_of_the_size_that_a_model_takes(client: TestClient) -> None:
    for number in range(1, EXAMPLES + 1):
        answer = client.get(f"/page/examples/{number}.png", params={"model": "any"})
        assert answer.headers["content-type"] == "image/png"
        found = np.asarray(Image.open(BytesIO(answer.content)))
        assert (found == draw_scene(FIRST_SEED + number, 160)[0]).all()
    assert client.get("/page/examples/1.png").content == example_png(1, None), "of the default model"
    fixed = np.asarray(Image.open(BytesIO(client.get("/page/examples/2.png?model=fixed").content)))
    assert (fixed == draw_scene(FIRST_SEED + 2, 100)[0][:48]).all()
    assert f"const EXAMPLES = {EXAMPLES};" in (STATIC / "strip.js").read_text("utf-8")


@pytest.mark.parametrize("path", ["0.png", f"{EXAMPLES + 1}.png", "x.png", "1.jpg", "1.png?model=other"])
def test_other_examples_are_not_there(client: TestClient, path: str) -> None:
    answer = client.get(f"/page/examples/{path}")
    assert (answer.status_code, list(answer.json())) == (404, ["error"])


def test_while_models_are_loading_the_page_is_there_and_examples_are_not() -> None:
    service = Models()
    service.models = {}
    client = TestClient(create_app(service, Settings()), base_url="http://127.0.0.1")  # type: ignore[arg-type]
    assert client.get("/").status_code == client.get("/page/app.js").status_code == 200
    answer = client.get("/page/examples/1.png")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_picture_for_browsers_that_do_not_read_the_format(client: TestClient) -> None:
    image = np.full((40, 60, 3), (200, 30, 90), np.uint8)
    body = BytesIO()
    Image.fromarray(image).save(body, "PNG")
    answer = client.post("/page/picture", content=body.getvalue())
    assert answer.headers["content-type"] == "image/jpeg"
    found = np.asarray(Image.open(BytesIO(answer.content)), np.int16)
    assert found.shape == image.shape
    assert np.abs(found - image).max() <= 3
    assert client.post("/page/picture", content=b"no image").status_code == 415
    assert client.post("/page/picture", content=b"").status_code == 400


def test_a_picture_that_is_too_long_for_a_jpeg_is_refused() -> None:
    long: Any = SimpleNamespace(picture=np.zeros((1, 65_501, 3), np.uint8))
    with pytest.raises(UserError, match=r"^an image of 1 x 65501 pixels \(height x width\) is too long for a JPEG"):
        picture_jpeg(long)


def test_the_page_imports_no_torch() -> None:
    code = "import sys, seglight.commands.serve.page; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
