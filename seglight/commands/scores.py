"""Analyse the scores of a run."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from seglight.system.parsing import new_parser, parse_arguments
from seglight.system.terminal import plain_console

if TYPE_CHECKING:  # imports torch
    from seglight.metrics.conventions import Convention
    from seglight.metrics.image_counts import ScoredImages

ABOUT = "Scores by the conventions of other libraries for the predictions of a run's last evaluation; needs no data."


def audit(run: str) -> list["Convention"]:
    """Print the scores that other libraries would give for the predictions of a run's last evaluation.

    It reads the stored counts per image, and needs neither the data nor the net.

    Args:
        run: Run folder of `fit`, `validate` or `test`.

    Returns:
        Scores by convention, seglight's first.

    Raises:
        UserError: The folder has no counts per image, or they are damaged.
    """
    from seglight.metrics.conventions import SATURATION, conventions, saturated
    from seglight.metrics.image_counts import FILE, ScoredImages

    scored = ScoredImages.load(Path(run) / FILE)
    rows = conventions(scored)
    console = plain_console()
    console.print(audit_table(rows, scored))
    console.print(
        f"{absent(scored)} of {scored.counts.num_classes} classes are in neither labels nor predictions. "
        "All conventions exclude ignored pixels.\n"
        f"mmsegmentation counts in float32, which saturates at {SATURATION:,} pixels of a class in an image: "
        + ("some images here have more." if saturated(scored) else "no image here has as many.")
    )
    return rows


def absent(scored: "ScoredImages") -> int:
    """Number of classes in neither labels nor predictions."""
    confusion = scored.counts.confusion()
    return int((confusion.sum(0) + confusion.sum(1) == 0).sum())


def audit_table(rows: list["Convention"], scored: "ScoredImages") -> Table:
    """Table with a row per convention: score, difference from seglight in points, what is averaged, absent classes."""
    title = f"{scored.split}: {len(scored.counts)} images, the same predictions by {len(rows)} conventions"
    table = Table(title=title)
    for heading in ("convention", "mIoU", "points", "mean over", "absent class"):
        table.add_column(heading, justify="right" if heading in ("mIoU", "points") else "left")
    ours = rows[0].miou
    for row in rows:
        style = "bold" if row is rows[0] else None
        points = "ours" if row is rows[0] else _number(round(100 * (row.miou - ours), 2) + 0.0, "+.2f")
        table.add_row(row.name, _number(row.miou, ".4f"), points, row.over, row.absent, style=style)
    return table


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"


def main(args: list[str]) -> None:
    """Run `scores`.

    Raises:
        UserError: As for `audit`, or the arguments are wrong.
    """
    parser = new_parser("scores", __doc__)
    commands = parser.add_subcommands(required=True)
    audit_parser = new_parser("scores audit", ABOUT)
    audit_parser.add_argument("run", type=str, help="run folder of `fit`, `validate` or `test`")
    commands.add_subcommand("audit", audit_parser, help="scores by the conventions of other libraries")
    config = parse_arguments(parser, args[1:])
    audit(config.audit.run)
