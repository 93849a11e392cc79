"""The page in Chromium while files of models are replaced: what it shows and saves is of one version, or it says so."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.support.browser import CHROMIUM, TIMEOUT, WHY_SKIPPED, Browser, browser
from tests.support.exported import red
from tests.support.running_server import Server, running
from tests.support.served_page import choose_option, labelled, shares, show, text_of, write_image

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=WHY_SKIPPED)]

LINE = "the model has been replaced meanwhile: choose the image again"

MISTAKE = "!document.getElementById('mistake').hidden && document.getElementById('mistake').innerText"

LIST_OF_BEFORE = """
const before = %s, ask = window.fetch;
window.asAlways = () => { window.fetch = ask; };
window.fetch = (address, ...more) => new URL(address).pathname === '/models'
  ? Promise.resolve(new Response(JSON.stringify(before))) : ask(address, ...more);
0
"""
"""The list of models comes just before one of them is replaced, and what is predicted just after."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("models")
    red(found / "red.onnx", probabilities=True)
    red(found / "fixed.onnx", size=(64, 96))
    return found


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("log") / "server.txt"
    with running(log, str(folder / "red.onnx"), str(folder / "fixed.onnx"), "--workers", "1") as started:
        yield started


@pytest.fixture(scope="module")
def page(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        started.open(server.address, 1300)
        started.wait("document.getElementById('first').options.length == 2")
        yield started


def listed(server: Server) -> Any:
    """The answer to GET /models."""
    with urlopen(f"{server.address}models", timeout=TIMEOUT) as answer:
        return json.load(answer)


def versions(server: Server) -> list[str]:
    return [model["version"] for model in listed(server)["models"]]


def replace(server: Server, path: Path, **options: Any) -> None:
    """Replace the file of a model by that of another net, and wait until it is served."""
    before = versions(server)
    red(path.with_suffix(".new"), **options).replace(path)
    deadline = time.monotonic() + TIMEOUT
    while versions(server) == before:
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.1)


def test_classes_in_another_order(page: Browser, server: Server, folder: Path, tmp_path: Path) -> None:
    """The old model calls its second class red, and the new one dark."""
    image = write_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png")
    show(page, tmp_path / "a.png")
    page.wait("document.querySelector('.note').hidden")
    before = listed(server)
    replace(server, folder / "red.onnx", above=200, names=("red", "dark"), probabilities=True)

    page.save_downloads(tmp_path / "saved")
    page.click(".downloads .coco")
    assert page.wait(MISTAKE) == LINE, "not the new model's objects beside the old one's label map"
    assert not list(tmp_path.glob("saved/*"))

    page.value(LIST_OF_BEFORE % json.dumps(before))
    page.choose("#files", tmp_path / "b.png")
    assert page.wait(f"({MISTAKE} || '').startsWith('b.png') && {MISTAKE}") == f"b.png: {LINE}"
    assert page.value("document.getElementById('tables').childElementCount") == 0
    page.value("asAlways(); document.querySelector('#items li:nth-child(2) button').click()")
    labelled(page, "b.png")
    fraction = 100 * (image[..., 0] > 200).mean()
    assert shares(page) == {
        "dark": [pytest.approx(fraction, abs=0.06)],
        "red": [pytest.approx(100 - fraction, abs=0.06)],
    }


def test_examples_have_the_size_of_the_new_model(page: Browser, server: Server, folder: Path) -> None:
    choose_option(page, "first", "fixed")
    page.click("#examples li:first-child button")
    labelled(page, "example-1.png")
    assert text_of(page, "caption") == "example-1.png, 96 x 64 pixels"
    replace(server, folder / "fixed.onnx", size=(48, 80))
    page.click("#examples li:first-child button")
    caption = "document.getElementById('caption').textContent"
    page.wait(f"{caption} == 'example-1.png, 80 x 48 pixels' || {MISTAKE}")
    assert text_of(page, "caption") == "example-1.png, 80 x 48 pixels"
    assert text_of(page, "mistake") == ""
    seen = "[...document.querySelectorAll('#examples img')].map(image => [image.naturalWidth, image.naturalHeight])"
    page.wait(f"{seen}.every(([width, height]) => width == 80 && height == 48)")
