"""Keeps what a plain and a robust net hold: `python docs/_pictures/robust_cards.py PLAIN ROBUST`.

PLAIN and ROBUST are the folders of cards that these commands write:

    seglight fit -c configs/camvid/fpn_efficientnet_lite0.yaml --data.root CAMVID --run_dir plain
    seglight fit -c configs/camvid/robust_fpn_efficientnet_lite0.yaml --data.root CAMVID \
        --model.weights plain/checkpoints/best.ckpt --run_dir robust
    seglight card plain --out PLAIN --robustness --attacks sea:2/255,sea:4/255 --attack_steps 50 --attack_images 10
    seglight card robust --ckpt last --out ROBUST --robustness --attacks sea:2/255,sea:4/255 --attack_steps 50 \
        --attack_images 10

It writes the numbers `docs/_static/card/robustness.json`, from which the table of the manual is made, and the pictures
`docs/_static/card/{corruptions,attacks}-{plain,robust}.jpg` (with Chromium), which show no image of the data.
"""

import json
import sys
import tempfile
from pathlib import Path

from example_card import FOLDER, SECTION, rounded, save_part

from tests.support.browser import browser

KEPT = ("images", "split", "score", "robustness")
"""Parts of card.json that the manual shows."""


def main(plain: Path, robust: Path) -> None:
    """Write pictures and numbers."""
    numbers = {}
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile)) as chromium:
        for which, card in (("plain", plain), ("robust", robust)):
            content = json.loads((card / "card.json").read_text("utf-8"))
            numbers[which] = rounded({key: content[key] for key in KEPT})
            chromium.open(card / "card.html", 1180, 1000)
            for section in ("corruptions", "attacks"):
                save_part(chromium, FOLDER / f"{section}-{which}.jpg", chromium.value(SECTION.format(section)))
    (FOLDER / "robustness.json").write_text(json.dumps(numbers, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
