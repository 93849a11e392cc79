"""Draws the pictures of the served page: `python docs/_pictures/served_page.py FIRST SECOND IMAGE`.

FIRST and SECOND are models, and IMAGE is an image that may be shown. It writes `docs/_static/page/*` with Chromium.
"""

import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))  # `tests.support`

from tests.support.browser import Browser, browser
from tests.support.running_server import running
from tests.support.served_page import compare_with, hover, place, show

FOLDER = Path(__file__).parents[1] / "_static" / "page"

WIDTH, HEIGHT = 1280, 760


def main(first: str, second: str, image: Path) -> None:
    """Write the picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "profile").mkdir()
        with (
            running(Path(folder) / "log.txt", f"first={first}", f"second={second}") as server,
            browser(Path(folder) / "profile") as chromium,
        ):
            chromium.open(server.address, WIDTH, HEIGHT)
            chromium.wait("document.getElementById('first').options.length == 2")
            show(chromium, image)
            compare_with(chromium, "second", image.name)
            with Image.open(image) as opened:
                height, width = opened.height, opened.width
            hover(chromium, *place(chromium, width * 0.4, height * 0.6, (height, width)))
            _save(chromium, FOLDER / "compare.png")


def _save(chromium: Browser, path: Path) -> None:
    data = BytesIO(chromium.picture({"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": 1}))
    Image.open(data).convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
