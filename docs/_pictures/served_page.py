"""Draws the picture of the served page: `python docs/_pictures/served_page.py FIRST SECOND`.

FIRST and SECOND are models of drawn scenes, such as two trainings by `configs/quickstart.yaml`. It writes
`docs/_static/page/compare.png` with Chromium.
"""

import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))  # `tests.support`

from seglight.commands.serve.pictures import SIDE, example_png
from tests.support.browser import browser
from tests.support.running_server import running
from tests.support.served_page import compare_with, hover, place, show

PATH = Path(__file__).parents[1] / "_static" / "page" / "compare.png"

WIDTH, HEIGHT = 1200, 720
EXAMPLE = 4


def main(first: str, second: str) -> None:
    """Write the picture."""
    PATH.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = folder / "scene.png"
        scene.write_bytes(example_png(EXAMPLE, None))
        models = (f"first={first}", f"second={second}", "--workers", "1")
        with running(folder / "log.txt", *models) as server, browser(folder / "profile") as chromium:
            chromium.open(server.address, WIDTH, HEIGHT)
            chromium.wait("document.getElementById('first').options.length == 2")
            show(chromium, scene)
            compare_with(chromium, "second", scene.name)
            hover(chromium, *place(chromium, 0.62 * SIDE, 0.55 * SIDE, (SIDE, SIDE)))
            chromium.wait("document.querySelectorAll('.reading output')[1].textContent.includes('%')")
            data = chromium.picture({"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": 1})
    Image.open(BytesIO(data)).convert("RGB").quantize(256).save(PATH, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
