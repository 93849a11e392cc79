"""The page of a card, from the content of `card.json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seglight.commands.card.page_calibration import calibration
from seglight.commands.card.page_images import best_images, distribution, worst_images
from seglight.commands.card.page_net import cost, curves_of_run, data, measured
from seglight.commands.card.page_robustness import attacks, corruptions
from seglight.commands.card.page_scores import boundaries, classes, confusions, sizes
from seglight.commands.card.page_summary import lead, summary
from seglight.commands.html_page.frame import Section, write


def write_page(card: Mapping[str, Any], pictures: Path, out: Path) -> None:
    """Write the page of a card: one file, which loads nothing and runs nothing.

    Args:
        card: Content of `card.json`. What is null or missing is said to be so.
        pictures: Folder with the pictures that the card names; they are embedded in the page.
        out: File to write.
    """
    title = f"Quality card: {Path(str((card.get('model') or {}).get('path') or 'model')).name}"
    write(out, title, lead(card), sections(card, pictures))


def sections(card: Mapping[str, Any], pictures: Path) -> list[Section]:
    """Sections of the page; the arguments are those of `write_page`."""
    return [
        summary(card),
        classes(card),
        confusions(card),
        sizes(card),
        boundaries(card),
        calibration(card),
        distribution(card),
        worst_images(card, pictures),
        best_images(card, pictures),
        corruptions(card),
        attacks(card),
        curves_of_run(card),
        cost(card),
        data(card),
        measured(card),
    ]
