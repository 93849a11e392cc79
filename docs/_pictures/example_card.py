"""Draws the example of a card: `python docs/_pictures/example_card.py CARD`.

CARD is the folder that these commands write, whose images are drawn scenes:

    seglight fit -c configs/quickstart.yaml --run_dir runs/quickstart
    seglight card runs/quickstart --out CARD

It writes the pictures `docs/_static/card/*` (with Chromium) and the numbers `docs/_static/card/card.json`, from
which the table of the manual is made.
"""

import json
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))  # `tests.support.browser`

from tests.support.browser import Browser, browser

FOLDER = Path(__file__).parents[1] / "_static" / "card"

LEFT_OUT = ("curves", "data", "worst", "best", "model", "recipe", "date")
"""Parts of card.json that the manual does not show."""

SECTION = "document.getElementById('s-{}').getBoundingClientRect().toJSON()"

DIGITS = 4

HEIGHT = 1000
"""Pixels of the highest picture."""


def main(card: Path) -> None:
    """Write pictures and numbers."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    content = json.loads((card / "card.json").read_text("utf-8"))
    kept = rounded({key: value for key, value in content.items() if key not in LEFT_OUT})
    (FOLDER / "card.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile)) as chromium:
        chromium.open(card / "card.html", 1180, 1000)
        save_part(chromium, FOLDER / "head.png", {"x": 0, "y": 0, "width": 1180, "height": HEIGHT})
        for section in ("worst-images", "calibration"):
            save_part(chromium, FOLDER / f"{section}.jpg", chromium.value(SECTION.format(section)))
        chromium.open(card / "card.html", 390, 800, dark=True)
        save_part(chromium, FOLDER / "phone.png", {"x": 0, "y": 0, "width": 390, "height": 800})


def save_part(chromium: Browser, path: Path, place: dict[str, float]) -> None:
    """Write the upper part of a place on the page."""
    clip = {key: place[key] for key in ("x", "y", "width", "height")}
    data = BytesIO(chromium.picture({**clip, "height": min(clip["height"], HEIGHT), "scale": 1}))
    Image.open(data).convert("RGB").save(path, optimize=True, quality=85)


def rounded(value: Any) -> Any:
    """Round all numbers in JSON."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, DIGITS) if isinstance(value, float) else value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
