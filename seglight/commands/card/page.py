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
from seglight.system.run_files import CHECKPOINTS


def write_page(card: Mapping[str, Any], pictures: Path, out: Path) -> None:
    """Write the page of a card: one file, which loads nothing and runs nothing.

    Args:
        card: Content of `card.json`. What is null or missing is said to be so.
        pictures: Folder with the pictures that the card names; they are embedded in the page.
        out: File to write.
    """
    write(out, f"Quality card: {_model(card)}", lead(card), sections(card, pictures))


def _model(card: Mapping[str, Any]) -> str:
    """Name of the run or the file that was scored."""
    path = Path(str((card.get("model") or {}).get("path") or "a net"))
    return path.parents[1].name if path.parent.name == CHECKPOINTS and len(path.parents) > 1 else path.name


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
