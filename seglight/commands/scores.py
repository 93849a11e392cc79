"""What the scores of a run are made of."""

import math
from pathlib import Path

from rich.table import Table

from seglight.metrics.conventions import SATURATION, Convention, conventions, saturated
from seglight.metrics.image_counts import FILE, ScoredImages
from seglight.system.parsing import new_parser, parse_arguments
from seglight.system.terminal import plain_console


def audit(run: str) -> list[Convention]:
    """Print what other libraries would have told for the predictions of a run's last evaluation; needs no data, no net.

    Args:
        run: Folder of a run of `fit`, `validate` or `test`.

    Returns:
        The scores, ours first.

    Raises:
        UserError: The run has kept no counts of its images, or they are damaged.
    """
    scored = ScoredImages.load(Path(run) / FILE)
    rows = conventions(scored)
    console = plain_console()
    console.print(audit_table(rows, scored))
    console.print(
        f"{absent(scored)} of {scored.counts.num_classes} classes are in neither labels nor predictions. "
        "Ignored pixels are left out of all.\n"
        f"mmsegmentation counts in float32, which saturates at {SATURATION:,} pixels of a class in an image: "
        + ("here some have more." if saturated(scored) else "here none has as many.")
    )
    return rows


def absent(scored: ScoredImages) -> int:
    """Classes in neither labels nor predictions."""
    confusion = scored.counts.confusion()
    return int((confusion.sum(0) + confusion.sum(1) == 0).sum())


def audit_table(rows: list[Convention], scored: ScoredImages) -> Table:
    """A row a convention: score, difference from ours in points, what is averaged, absent classes."""
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
        UserError: As `audit`, or the arguments are wrong.
    """
    parser = new_parser("scores", __doc__)
    commands = parser.add_subcommands(required=True)
    about = "What other libraries would have told for the predictions of a run's last evaluation; needs no data."
    of_audit = new_parser("scores audit", about)
    of_audit.add_argument("run", type=str, help="folder of a run of `fit`, `validate` or `test`")
    commands.add_subcommand("audit", of_audit, help="the same predictions by the conventions of other libraries")
    config = parse_arguments(parser, args[1:])
    audit(config.audit.run)
