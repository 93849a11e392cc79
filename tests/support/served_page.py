"""The page of `seglight serve` in a browser: what tests do with it, and what they read from it."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.support.browser import TIMEOUT, Browser

CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""Options of Chromium: a camera that shows a moving picture, which pages may use without a question."""


def write_image(path: Path, height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    """Write an image whose red rises from the left to the right, and whose blue falls from the top to the bottom."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.arange(width) * 255 // (width - 1)
    image[..., 1] = 90
    image[..., 2] = 255 - np.arange(height)[:, None] * 255 // (height - 1)
    Image.fromarray(image).save(path, compress_level=1)
    return image


def plain(text: str) -> str:
    """Text with plain spaces."""
    return text.replace("\xa0", " ")


def show(page: Browser, *paths: Path) -> str:
    """Choose images, and wait for the label map of the first; the line for screen readers."""
    page.choose("#files", *paths)
    return labelled(page, paths[0].name)


def labelled(page: Browser, name: str) -> str:
    """Wait until an image is labelled; the line for screen readers."""
    line = "document.getElementById('status').textContent"
    return plain(page.wait(f"{line}.startsWith({json.dumps(f'{name} is labelled.')}) && {line}"))


def compare_with(page: Browser, model: str, name: str) -> str:
    """Choose the second model, and wait until an image is labelled by it; the line for screen readers."""
    choose_option(page, "second", model)
    line = "document.getElementById('status').textContent"
    start = json.dumps(f"{name} is labelled.")
    return plain(page.wait(f"{line}.startsWith({start}) && {line}.includes({json.dumps(f' {model}: ')}) && {line}"))


def choose_option(page: Browser, select: str, value: str) -> None:
    """Choose an option of a select."""
    node = f"document.getElementById({json.dumps(select)})"
    page.value(f"{node}.value = {json.dumps(value)}; {node}.dispatchEvent(new Event('change')); 0")


def place(page: Browser, x: float, y: float, size: tuple[int, ...], pane: int = 0) -> tuple[float, float]:
    """Where a pixel of an image of a size (H, W) lies in the window if the whole image is shown."""
    left, top, width, height = _frame(page, pane)
    scale = min(width / size[1], height / size[0])
    return (
        left + width / 2 + (x + 0.5 - size[1] / 2) * scale,
        top + height / 2 + (y + 0.5 - size[0] / 2) * scale,
    )


def _frame(page: Browser, pane: int) -> list[float]:
    """Left, top, width and height of the frame of an image, once they stay the same from one look to the next."""
    frame = f"document.querySelectorAll('.frame')[{pane}]"
    looks: list[list[float]] = []
    while len(looks) < 2 or looks[-1] != looks[-2]:
        looks.append(
            page.value(
                f"(frame => {{ const box = frame.getBoundingClientRect(); return [box.x + frame.clientLeft, "
                f"box.y + frame.clientTop, frame.clientWidth, frame.clientHeight]; }})({frame})"
            )
        )
        page.value("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => drawn(0))))")
    return looks[-1]


def hover(page: Browser, x: float, y: float) -> list[str]:
    """Move the mouse to a place of the window; what each pane reads there."""
    page.mouse("mouseMoved", x, y)
    return readings(page)


def readings(page: Browser) -> list[str]:
    """What each pane tells of the pixel that is asked about."""
    found = page.value("[...document.querySelectorAll('.reading output')].map(output => output.textContent)")
    return [str(text) for text in found]


def drawn(page: Browser, canvas: str, where: tuple[float, float], pane: int = 0) -> list[int]:
    """RGBA of a canvas of a pane, "picture" or "labels", at a place of the window."""
    pixel = page.value(
        f"new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {{"
        f"const canvas = document.querySelectorAll('.{canvas}')[{pane}];"
        f"const box = canvas.getBoundingClientRect();"
        f"const [x, y] = [{where[0]} - box.x, {where[1]} - box.y].map(at => Math.floor(at * devicePixelRatio));"
        f"done([...canvas.getContext('2d').getImageData(x, y, 1, 1).data]); }})))"
    )
    return [int(value) for value in pixel]


def shares(page: Browser) -> dict[str, list[float]]:
    """The table of classes: shares in percent by the name of the class."""
    rows = page.value(
        "[...document.querySelectorAll('#tables tbody tr')].map(row => [...row.cells].map(cell => cell.innerText))"
    )
    return {name.strip(): [float(plain(text).strip("< %")) for text in texts] for name, *texts in rows}


def text_of(page: Browser, id_: str) -> str:
    """Text of an element; empty if it is hidden."""
    node = f"document.getElementById({json.dumps(id_)})"
    return plain(page.value(f"{node}.hidden ? '' : {node}.textContent"))


def downloaded(folder: Path, name: str) -> Path:
    """Wait until a download is complete."""
    deadline = time.monotonic() + TIMEOUT
    while not (folder / name).exists():
        assert time.monotonic() < deadline, [path.name for path in folder.iterdir()]
        time.sleep(0.05)
    return folder / name


def touch(page: Browser, kind: str, *points: tuple[float, float]) -> None:
    """Send an event of fingers: "touchStart", "touchMove" or "touchEnd"."""
    fingers: list[dict[str, Any]] = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    page.call("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)
