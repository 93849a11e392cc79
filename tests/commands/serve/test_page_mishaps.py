"""The page in Chromium: broken and huge images, a server that is lost, hostile names, and an audit of accessibility."""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.browser import CHROMIUM, WHY_SKIPPED, Browser, browser
from tests.support.exported import red
from tests.support.running_server import Server, running
from tests.support.served_page import (
    CAMERA,
    choose_option,
    compare_with,
    downloaded,
    drawn,
    hover,
    labelled,
    place,
    show,
    text_of,
    write_image,
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=WHY_SKIPPED)]

HOSTILE = ("<img src=x onerror='window.hacked=1'>", "</table><script>window.hacked=1</script>")
OVERFLOW = """
[...document.querySelectorAll('body *')].filter(node =>
  !node.closest('ul, .unseen') && node.getBoundingClientRect().right > innerWidth + 0.5
).map(node => node.tagName + '.' + node.className)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    red(folder / "red.onnx", probabilities=True)
    red(folder / "blue.onnx", channel=2, names=("dark", "blue"))
    red(folder / "odd.onnx", names=HOSTILE)
    red(folder / "fixed.onnx", size=(64, 96))
    return [str(folder / f"{name}.onnx") for name in ("red", "blue", "odd", "fixed")]


@pytest.fixture(scope="module")
def server(models: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("log") / "server.txt", *models, "--workers", "1") as started:
        yield started


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile"), *CAMERA) as started:
        yield started


@pytest.fixture
def page(chromium: Browser, server: Server) -> Browser:
    chromium.open(server.address, 1300)
    chromium.wait("document.getElementById('first').options.length == 4")
    return chromium


def test_a_broken_image_is_one_line_and_the_next_is_shown(page: Browser, tmp_path: Path) -> None:
    write_image(tmp_path / "good.png")
    data = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "letter.png").write_text("Dear reader, this is no image.")
    for name in ("cut.png", "letter.png"):
        page.choose("#files", tmp_path / name)
        line = page.wait("!document.getElementById('mistake').hidden && document.getElementById('mistake').innerText")
        assert line.startswith(f"{name}: ")
        assert "\n" not in line
        assert str(tmp_path) not in line
        assert page.value("document.querySelector('[aria-current]').classList.contains('failed')")
        assert page.value("document.getElementById('work').hidden")
        assert page.value("document.getElementById('tables').childElementCount") == 0, "no shares of the image before"
        show(page, tmp_path / "good.png")
        assert text_of(page, "mistake") == ""


def test_one_of_two_models_refuses_an_image(page: Browser, tmp_path: Path) -> None:
    write_image(tmp_path / "small.png", 40, 40)
    choose_option(page, "second", "fixed")
    assert show(page, tmp_path / "small.png") == "small.png is labelled. red: dark 50.0 %, red 50.0 %."
    notes = page.value("[...document.querySelectorAll('.note')].map(note => note.innerText)")
    assert "takes images of 64x96 only (height x width), not of 40x40" in notes[1]
    assert page.value("[...document.querySelectorAll('button.png')].map(button => button.disabled)") == [False, True]
    assert text_of(page, "mistake") == ""
    choose_option(page, "second", "")
    choose_option(page, "first", "fixed")
    line = page.wait("!document.getElementById('mistake').hidden && document.getElementById('mistake').innerText")
    assert line.startswith("small.png: ")
    assert text_of(page, "about").endswith(", images of 96 x 64 pixels only")
    page.click("#examples li:first-child button")
    labelled(page, "example-1.png")
    assert text_of(page, "caption") == "example-1.png, 96 x 64 pixels"


def test_a_server_that_is_lost_and_comes_back(chromium: Browser, models: list[str], tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png")
    with running(tmp_path / "server.txt", models[0], "--workers", "1") as server:
        chromium.open(server.address, 1300)
        chromium.wait("document.getElementById('first').options.length")
        show(chromium, tmp_path / "a.png")
        server.stop()
        chromium.choose("#files", tmp_path / "b.png")
        line = chromium.wait("!document.getElementById('lost').hidden && document.getElementById('lost').innerText")
        assert line == "The server does not answer. This page tries again every few seconds."
        server.start()
        labelled(chromium, "b.png")
        assert text_of(chromium, "lost") == ""


def test_a_server_with_a_token(chromium: Browser, models: list[str], tmp_path: Path) -> None:
    """The browser has asked for the token, which it sends with each request of the page."""
    write_image(tmp_path / "a.png")
    (tmp_path / "token.txt").write_text("let-me-in-1234567890")
    arguments = (*models[:2], "--workers", "1", "--token", str(tmp_path / "token.txt"))
    with running(tmp_path / "server.txt", *arguments, token="let-me-in-1234567890") as server:
        chromium.open(server.address.replace("//", "//:let-me-in-1234567890@"), 1300)
        chromium.wait("document.getElementById('first').options.length == 2")
        show(chromium, tmp_path / "a.png")
        chromium.wait("[...document.images].every(image => image.naturalWidth)")


WATCH = """
window.seen = [];
const bar = document.getElementById('progress');
new MutationObserver(() => bar.hasAttribute('value') && seen.push(bar.value)).observe(bar, { attributes: true });
"""


def test_an_image_of_60_megapixels(page: Browser, tmp_path: Path) -> None:
    side = 7746
    image = write_image(tmp_path / "huge.png", side, side)
    page.save_downloads(tmp_path / "saved")
    page.value(WATCH)
    show(page, tmp_path / "huge.png")
    seen = page.value("seen")
    assert len(set(seen)) >= 3, "it is predicted by windows"
    assert seen == sorted(seen)
    assert page.value("document.querySelector('.note').innerText") == "No probabilities: more than 8 megapixels."
    where = place(page, 7000, 500, image.shape)
    for _ in range(10):
        page.mouse("mouseWheel", *where, deltaX=0, deltaY=-400)
    reading = hover(page, *where)[0]
    assert reading.startswith("red (x ")
    assert drawn(page, "labels", where) == [255, 0, 0, 255]
    page.click(".downloads .png")
    saved = Image.open(downloaded(tmp_path / "saved", "huge_red.png"))
    assert (np.asarray(saved) == (image[..., 0] > 127)).all()


def test_a_prediction_is_cancelled(page: Browser, tmp_path: Path) -> None:
    write_image(tmp_path / "large.png", 6000, 6000)
    write_image(tmp_path / "small.png")
    page.choose("#files", tmp_path / "large.png")
    page.wait("!document.getElementById('work').hidden")
    page.click("#cancel")
    page.wait("document.getElementById('work').hidden")
    assert text_of(page, "mistake") == ""
    show(page, tmp_path / "small.png")


def test_hostile_names_do_nothing(page: Browser, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror='window.hacked=1'>.png"
    write_image(path)
    choose_option(page, "first", "odd")
    show(page, path)
    names = page.value("[...document.querySelectorAll('#tables tbody th')].map(cell => cell.innerText.trim())")
    assert sorted(names) == sorted(HOSTILE)
    hover(page, *place(page, 80, 10, (64, 96)))
    page.value("document.querySelectorAll('input[type=checkbox]').forEach(node => node.click())")
    assert page.value("window.hacked") is None
    assert page.value("document.scripts.length") == 1
    assert page.complaints() == []
    assert all(address.startswith((server.address, "blob:")) for address in page.requests())


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, which npm downloads."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm: apt-get install npm")
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "pack", "--silent", "axe-core@4"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if ran.returncode:
        pytest.skip(f"npm does not get axe-core: {ran.stderr.strip().splitlines()[-1:]}")
    with tarfile.open(folder / ran.stdout.strip().splitlines()[-1]) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


RULES = """
axe.run(document, { resultTypes: ['violations'] }).then(found => found.violations.map(one =>
  one.id + ': ' + one.nodes.map(node => node.target.join(' ') + ' ' + node.failureSummary).join('; ')))
"""


def audit(page: Browser, axe: str) -> list[Any]:
    """Violations of all rules of axe-core, and what is wider than the page."""
    page.value(f"{axe}; 0")
    found = page.value(RULES)
    assert page.value("document.documentElement.scrollWidth <= innerWidth")
    return [*found, *page.value(OVERFLOW)]


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1300, False), (1300, True)])
def test_everybody_can_use_it(
    chromium: Browser, server: Server, axe: str, tmp_path: Path, width: int, dark: bool
) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "broken.png").write_text("no image")
    chromium.open(server.address, width, dark=dark)
    chromium.wait("document.getElementById('first').options.length == 4")
    assert audit(chromium, axe) == []
    show(chromium, tmp_path / "a.png")
    chromium.wait("document.querySelector('.note').hidden")
    chromium.value("document.querySelector('details').open = true")
    assert audit(chromium, axe) == []
    compare_with(chromium, "blue", "a.png")
    assert audit(chromium, axe) == []
    chromium.choose("#files", tmp_path / "broken.png")
    chromium.wait("!document.getElementById('mistake').hidden")
    assert audit(chromium, axe) == []
    chromium.click("#camera")
    chromium.wait("document.getElementById('viewfinder').open")
    assert audit(chromium, axe) == []


FOCUSED = """
(node => [node.id || node.className || node.title || node.tagName, getComputedStyle(node).outlineStyle])
(document.activeElement)
"""


def test_every_control_is_reached_by_the_tab_key_and_is_seen_to_be(page: Browser, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    show(page, tmp_path / "a.png")
    reached = []
    for _ in range(40):
        page.press("Tab")
        reached.append(page.value(FOCUSED))
        if reached[-1][0] == "BODY":
            break
    names = [name for name, _ in reached]
    order = ["first", "second", "choose", "camera", "a.png", "frame", "png", "overlay", "coco", "closer"]
    order += ["opacity", "all"]
    assert [name for name in names if name in order] == order
    assert all(style != "none" for name, style in reached if name != "BODY")
