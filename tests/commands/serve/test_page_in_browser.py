"""The page in Chromium: it shows and saves what `predict` writes, by mouse, touch and keyboard."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from seglight.images.label_png import read_labels
from tests.support.band_models import AERIAL, above, aerial
from tests.support.browser import CHROMIUM, WHY_SKIPPED, Browser, browser
from tests.support.command import Ran
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
    readings,
    shares,
    show,
    text_of,
    touch,
    write_image,
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=WHY_SKIPPED)]

CLI = Callable[..., Ran]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    red(folder / "red.onnx", probabilities=True)
    red(folder / "blue.onnx", channel=2, names=("dark", "blue"))
    return folder


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("log") / "server.txt"
    with running(log, str(models / "red.onnx"), str(models / "blue.onnx"), "--workers", "1") as started:
        yield started


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile"), *CAMERA) as started:
        yield started


@pytest.fixture
def page(chromium: Browser, server: Server) -> Browser:
    chromium.open(server.address, 1300)
    chromium.wait("document.getElementById('first').options.length == 2")
    return chromium


def test_it_shows_and_saves_what_predict_writes(
    page: Browser, server: Server, models: Path, seglight_cli: CLI, tmp_path: Path
) -> None:
    path = tmp_path / "street.png"
    image = write_image(path)
    spoken = show(page, path)
    page.save_downloads(tmp_path / "saved")
    ran = seglight_cli("predict", models / "red.onnx", path, "--out", tmp_path / "out", "--save", "coco")
    assert ran.rc == 0
    expected = read_labels(tmp_path / "out" / "street.png")

    assert text_of(page, "caption") == "street.png, 96 x 64 pixels"
    fraction = 100 * (image[..., 0] > 127).mean()
    assert shares(page) == {"red": [fraction], "dark": [100 - fraction]}
    assert spoken == "street.png is labelled. red: dark 50.0 %, red 50.0 %."

    page.click(".downloads .png")
    saved = Image.open(downloaded(tmp_path / "saved", "street_red.png"))
    assert saved.mode == "P"
    assert (np.asarray(saved) == expected).all()
    assert saved.getpalette()[:6] == [0, 0, 0, 255, 0, 0]  # type: ignore[index]

    page.click(".downloads .coco")
    objects = json.loads(downloaded(tmp_path / "saved", "street_red_coco.json").read_text())
    reference = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert objects["images"][0]["file_name"] == "street.png"
    assert {key: objects[key] for key in ("annotations", "categories")} == {
        key: reference[key] for key in ("annotations", "categories")
    }

    page.value("const slider = document.getElementById('opacity'); slider.value = 25; "
               "slider.dispatchEvent(new Event('input'))")  # fmt: skip
    page.click("input[data-name=dark]")
    page.click(".downloads .overlay")
    overlay = np.asarray(Image.open(downloaded(tmp_path / "saved", "street_red_overlay.png")).convert("RGB"), float)
    blended = np.where(expected[..., None] == 1, 0.75 * image + 0.25 * np.array([255.0, 0, 0]), image)
    assert np.abs(overlay - blended).max() <= 2
    assert page.complaints() == []
    assert all(address.startswith((server.address, "blob:")) for address in page.requests())


def test_classes_and_opacity_change_what_is_drawn(page: Browser, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    show(page, tmp_path / "a.png")
    left, right = place(page, 20, 10, image.shape), place(page, 80, 10, image.shape)
    assert drawn(page, "picture", right)[:3] == pytest.approx(image[10, 80], abs=4)
    assert (drawn(page, "labels", left), drawn(page, "labels", right)) == ([0, 0, 0, 255], [255, 0, 0, 255])
    page.click("input[data-name=red]")
    assert (drawn(page, "labels", left), drawn(page, "labels", right)) == ([0, 0, 0, 255], [0, 0, 0, 0])
    page.click("#none")
    assert drawn(page, "labels", left) == [0, 0, 0, 0]
    page.click("#all")
    assert drawn(page, "labels", right) == [255, 0, 0, 255]
    page.value("document.getElementById('opacity').focus()")
    page.press("ArrowRight")
    assert text_of(page, "percent") == "61 %"
    assert page.value("getComputedStyle(document.querySelector('.labels')).opacity") == "0.61"


def test_the_mouse_tells_class_and_probability(page: Browser, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    show(page, tmp_path / "a.png")
    for x, y, name in ((80, 10, "red"), (20, 50, "dark"), (0, 0, "dark"), (95, 63, "red")):
        where = place(page, x, y, image.shape)
        hover(page, *where)
        of_red = image[y, x, 0] / 255
        percent = round(100 * (of_red if name == "red" else 1 - of_red))
        page.wait("document.querySelector('.reading output').textContent.includes('%')")
        assert readings(page) == [f"{name}, {percent} % (x {x}, y {y})"]
    assert hover(page, *place(page, 97, 10, image.shape)) == [""], "beside the image"
    assert hover(page, 5, 5) == [""], "beside the pane"


def test_two_models_side_by_side(page: Browser, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    show(page, tmp_path / "a.png")
    spoken = compare_with(page, "blue", "a.png")
    assert spoken == "a.png is labelled. red: dark 50.0 %, red 50.0 %. blue: dark 50.0 %, blue 50.0 %."
    both_dark = 100 * ((image[..., 0] <= 127) & (image[..., 2] <= 127)).mean()
    assert text_of(page, "agreement") == f"Both models give the same class to {both_dark:.1f} % of the pixels."
    assert page.value("[...document.querySelectorAll('.pane h2')].map(node => node.innerText)") == ["red", "blue"]
    assert re.fullmatch(r"red: 2 classes, version \w{12}; blue: 2 classes, version \w{12}", text_of(page, "about"))
    hover(page, *place(page, 80, 50, image.shape, pane=1))
    page.wait("document.querySelector('.reading output').textContent.includes('%')")
    assert readings(page) == ["red, 84 % (x 80, y 50)", "dark (x 80, y 50)"], "the same pixel in both"
    note = "document.querySelectorAll('.note')[1].innerText"
    assert page.value(note) == "No probabilities: use seglight export --probabilities."
    first, second = (drawn(page, "labels", place(page, 80, 50, image.shape, pane), pane) for pane in (0, 1))
    assert (first, second) == ([255, 0, 0, 255], [0, 0, 0, 255])
    page.value("document.getElementById('second').value = ''; "
               "document.getElementById('second').dispatchEvent(new Event('change'))")  # fmt: skip
    page.wait("document.querySelectorAll('.pane').length == 1")
    assert re.fullmatch(r"2 classes, version \w{12}", text_of(page, "about"))
    versions = set()
    for name in ("blue", "red"):
        choose_option(page, "first", name)
        versions.add(text_of(page, "about"))
    assert len(versions) == 2


def test_of_several_images_one_is_open(page: Browser, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path in paths:
        write_image(path)
    show(page, paths[0])
    assert text_of(page, "place") == ""
    show(page, *paths[1:])
    assert text_of(page, "place") == "Image 2 of 3: click another one to label it."
    page.click("#items li:nth-child(3) button")
    labelled(page, "c.png")
    assert text_of(page, "place") == "Image 3 of 3: click another one to label it."


@pytest.mark.parametrize(("width", "line"), [(390, "Choose an image"), (1300, "Drop an image on this page")])
def test_on_a_phone_nothing_is_dropped(chromium: Browser, server: Server, width: int, line: str) -> None:
    chromium.open(server.address, width)
    assert chromium.wait("document.querySelector('#start h2').innerText") == line


def pixel_of(reading: str) -> tuple[int, int]:
    found = re.search(r"\(x (\d+), y (\d+)\)$", reading)
    assert found, reading
    return int(found[1]), int(found[2])


def test_zoom_and_pan_by_mouse(page: Browser, tmp_path: Path) -> None:
    image = write_image(tmp_path / "large.png", 600, 900)
    show(page, tmp_path / "large.png")
    x, y = map(round, place(page, 700, 200, image.shape))  # events of the wheel have whole pixels
    start = pixel_of(hover(page, x, y)[0])
    before = pixel_of(hover(page, x + 60, y)[0])[0] - start[0]
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-700)
    assert pixel_of(hover(page, x, y)[0]) == start, "the pixel under the mouse stays there"
    after = pixel_of(hover(page, x + 60, y)[0])[0] - start[0]
    assert after == pytest.approx(before / np.exp(1.4), abs=1.5)
    page.mouse("mousePressed", x, y, buttons=1)
    page.mouse("mouseMoved", x - 50, y + 30, button="left", buttons=1)
    page.mouse("mouseReleased", x - 50, y + 30)
    assert pixel_of(hover(page, x - 50, y + 30)[0]) == pytest.approx(start, abs=1)
    page.click("#fit")
    assert pixel_of(hover(page, x, y)[0]) == start
    page.click("#closer")
    page.click("#farther")
    assert pixel_of(hover(page, x, y)[0]) == start
    page.click("#actual")
    where = hover(page, x, y)[0]
    assert pixel_of(hover(page, x - 37, y)[0])[0] == pixel_of(where)[0] - 37


@pytest.mark.parametrize(("height", "width"), [(64, 96), (600, 900)])
def test_actual_pixels_are_those_of_a_fine_screen(page: Browser, tmp_path: Path, height: int, width: int) -> None:
    image = write_image(tmp_path / "a.png", height, width)
    page.call("Emulation.setDeviceMetricsOverride", width=1300, height=900, deviceScaleFactor=2, mobile=False)
    show(page, tmp_path / "a.png")
    for by in ("button", "key"):
        page.click("#fit")
        if by == "button":
            page.click("#actual")
        else:
            page.value("document.querySelector('.frame').focus()")
            page.press("1")
        x, y = place(page, width / 2 - 0.5, height / 2 - 0.5, image.shape)  # clicks may scroll the page
        right, left = (pixel_of(hover(page, x + step, y)[0])[0] for step in (20, -20))
        assert right - left == 80, f"by the {by}, 40 CSS pixels are 80 of the screen"


def test_zoom_by_two_fingers_and_a_tap(page: Browser, tmp_path: Path) -> None:
    image = write_image(tmp_path / "large.png", 600, 900)
    page.resize(400, 800)
    page.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    try:
        show(page, tmp_path / "large.png")
        page.value("document.querySelector('.frame').scrollIntoView()")
        x, y = place(page, 450, 300, image.shape)
        touch(page, "touchStart", (x, y))
        touch(page, "touchEnd")
        page.wait("document.querySelector('.reading output').textContent")
        assert pixel_of(readings(page)[0]) == pytest.approx((450, 300), abs=2)
        touch(page, "touchStart", (x - 20, y), (x + 20, y))
        for apart in (30, 45, 60):
            touch(page, "touchMove", (x - apart, y), (x + apart, y))
        touch(page, "touchEnd")
        for right, pixel in ((0, 450), (60, 450 + 60 * 900 / 3 / (400 - 34))):
            touch(page, "touchStart", (x + right, y))
            touch(page, "touchEnd")
            page.value("new Promise(done => setTimeout(done, 100))")
            assert pixel_of(readings(page)[0])[0] == pytest.approx(pixel, abs=8)
    finally:
        page.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_the_keyboard_does_what_the_mouse_does(page: Browser, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    show(page, tmp_path / "a.png")
    page.wait("document.querySelector('.note').hidden")
    page.value("document.querySelector('.frame').focus()")
    page.press("ArrowRight", shift=True)
    assert pixel_of(readings(page)[0]) == (49, 32), "one pixel from the middle"
    assert page.value("document.querySelector('.reading output').getAttribute('aria-live')") == "polite"
    page.press("ArrowUp", shift=True)
    assert pixel_of(readings(page)[0]) == (49, 31)
    for _ in range(120):
        page.press("ArrowLeft")
    assert pixel_of(readings(page)[0]) == (0, 31), "it stays within the image"
    for key in "+++":
        page.press(key)
    page.press("ArrowDown", shift=True)
    assert pixel_of(readings(page)[0]) == (0, 32)
    assert not page.value("document.querySelector('.cross').hidden")
    page.press("0")
    page.press("Escape")
    assert readings(page) == [""]
    assert page.value("document.querySelector('.cross').hidden")


SEND = """
new Promise(done => {
  const canvas = new OffscreenCanvas(40, 30);
  const context = canvas.getContext('2d');
  context.fillStyle = '#ff0000';
  context.fillRect(0, 0, 40, 30);
  canvas.convertToBlob().then(blob => {
    const data = new DataTransfer();
    data.items.add(new File([blob], '%s', { type: 'image/png' }));
    document.dispatchEvent(%s);
    done();
  });
})
"""


def test_images_are_dropped_pasted_and_taken(page: Browser) -> None:
    page.value(SEND % ("dropped.png", "new DragEvent('drop', { dataTransfer: data, bubbles: true })"))
    assert labelled(page, "dropped.png").endswith("red: red 100.0 %.")
    page.value(SEND % ("pasted.png", "new ClipboardEvent('paste', { clipboardData: data, bubbles: true })"))
    labelled(page, "pasted.png")
    page.click("#camera")
    page.wait("document.getElementById('viewfinder').open && document.getElementById('video').videoWidth")
    page.click("#shoot")
    labelled(page, "camera.png")
    assert not page.value("document.getElementById('viewfinder').open")
    assert page.value("document.getElementById('video').srcObject") is None
    page.click("#examples li:nth-child(3) button")
    labelled(page, "example-3.png")
    assert text_of(page, "caption") == "example-3.png, 160 x 160 pixels"
    names = page.value("[...document.querySelectorAll('#items button')].map(button => button.title)")
    assert names == ["dropped.png", "pasted.png", "camera.png", "example-3.png"]
    page.click("#examples li:nth-child(3) button")
    page.click("#items li:nth-child(2) button")
    labelled(page, "pasted.png")
    assert page.value("document.querySelectorAll('#items button').length") == 4, "an example is there once"
    assert page.value("document.querySelector('[aria-current]').title") == "pasted.png"
    assert page.complaints() == []


def turned(image: Any, path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(path, quality=95, exif=exif)


def test_images_that_a_browser_shows_differently_or_not_at_all(page: Browser, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    Image.fromarray(image).save(tmp_path / "scan.tif")
    show(page, tmp_path / "scan.tif")
    assert text_of(page, "caption") == "scan.tif, 96 x 64 pixels"
    where = place(page, 80, 10, image.shape)
    assert drawn(page, "picture", where)[:3] == pytest.approx(image[10, 80], abs=8)
    assert drawn(page, "labels", where) == [255, 0, 0, 255]
    turned(image, tmp_path / "turned.jpg", 6)
    show(page, tmp_path / "turned.jpg")
    upright = np.rot90(image, -1)
    assert text_of(page, "caption") == "turned.jpg, 64 x 96 pixels"
    where = place(page, 10, 80, upright.shape)
    assert drawn(page, "picture", where)[:3] == pytest.approx(upright[80, 10], abs=8)
    assert drawn(page, "labels", where) == [255, 0, 0, 255]


def test_images_of_16_bits_and_four_bands(chromium: Browser, tmp_path: Path) -> None:
    """The shown bands are stretched between the 2nd and the 98th percentile of their data; what has none is grey."""
    image = aerial(0, (64, 96))
    tifffile.imwrite(tmp_path / "scene.tif", image, photometric="minisblack", planarconfig="contig")
    above(tmp_path / "plants.onnx", AERIAL, "nir", 2000)
    with running(tmp_path / "log.txt", str(tmp_path / "plants.onnx"), "--workers", "1") as server:
        chromium.open(server.address, 1300)
        chromium.wait("document.getElementById('first').options.length == 1")
        show(chromium, tmp_path / "scene.tif")
        assert text_of(chromium, "caption") == "scene.tif, 96 x 64 pixels"
        assert chromium.complaints() == []  # before the readings below, of which the browser itself warns
        low, high = np.percentile(image[image.any(axis=2)][:, [2, 1, 0]].astype(float), (2, 98), axis=0)
        bright = np.unravel_index(image[20:, 20:, :3].astype(int).sum(2).argmax(), (44, 76))
        row, column = int(bright[0]) + 20, int(bright[1]) + 20
        wanted = 255 * np.clip((image[row, column, [2, 1, 0]] - low) / (high - low), 0, 1)
        where = place(chromium, column, row, image.shape)
        assert drawn(chromium, "picture", where)[:3] == pytest.approx(wanted, abs=40)  # a JPEG of noise
        grey = drawn(chromium, "picture", place(chromium, 4, 3, image.shape))[:3]
        assert grey == pytest.approx([120, 120, 120], abs=12)  # chroma of a JPEG reaches over a block
        assert drawn(chromium, "labels", place(chromium, 4, 3, image.shape))[3] == 0
        colors = [drawn(chromium, "labels", place(chromium, x, 40, image.shape))[:3] for x in range(30, 90, 7)]
        assert colors == [[20, 160, 30] if image[40, x, 3] > 2000 else [120, 90, 40] for x in range(30, 90, 7)]


def test_label_maps_of_101_real_images(
    page: Browser, models: Path, camvid_root: Path, seglight_cli: CLI, tmp_path: Path
) -> None:
    paths = sorted((camvid_root / "val").glob("*.png"))
    assert len(paths) == 101
    page.save_downloads(tmp_path / "saved")
    page.value("document.getElementById('first').value = 'blue'")
    show(page, *paths)
    for number, path in enumerate(paths, 1):
        page.value(f"document.querySelector('#items li:nth-child({number}) button').click()")
        labelled(page, path.name)
        page.value("document.querySelector('.downloads .png').click()")
    assert seglight_cli("predict", models / "blue.onnx", *paths, "--out", tmp_path / "out").rc == 0
    for path in paths:
        saved = np.asarray(Image.open(downloaded(tmp_path / "saved", f"{path.stem}_blue.png")))
        assert (saved == read_labels(tmp_path / "out" / path.name)).all(), path.name
