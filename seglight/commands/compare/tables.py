"""Tables of a comparison for the terminal."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from seglight.commands.compare.result import ALIKE, IDENTICAL, UNKNOWN, Result, notes
from seglight.metrics.extremes import extremes, extremes_line
from seglight.system.terminal import Name, PlainConsole

NONE = "-"

LETTERS = f"Sides that share a letter {ALIKE}."

SCORES = {"miou": "mIoU", "accuracy": "accuracy", "boundary_iou": "boundary IoU"}
"""Scores of a pair by their keys."""


def show(console: PlainConsole, result: Result) -> None:
    """Print the tables of a comparison and what they contain."""
    console.print(sides_table(result))
    console.print(pairs_table(result))
    console.print(classes_table(result))
    if result["changed"]:
        console.print(changed_table(result))
    for line in [*summary(result), *notes(result)]:
        console.print(line)


def summary(result: Result) -> Iterator[str]:
    """The verdicts as lines: of each pair of two sides, and which of several can't be told apart."""
    sides = sorted(result["sides"], key=lambda side: side["letters"])
    if len(sides) == 2:
        yield verdict_of_pair(result, result["pairs"][0])
        return
    for letter in sorted({letter for side in sides for letter in side["letters"]}):
        sharing = [side["name"] for side in sides if letter in side["letters"]]
        if len(sharing) > 1:
            yield f"{', '.join(sharing)}: {ALIKE}"
    for pair in result["pairs"]:
        if pair["identical"]:
            yield f"{pair['one']} and {pair['other']}: {IDENTICAL}"
    if not any(ALIKE in pair["miou"]["verdict"] for pair in result["pairs"]):
        yield "Each side can be told apart from each other one."


def verdict_of_pair(result: Result, pair: Result) -> str:
    """The verdict of a pair, and what its images alone say where that is more."""
    line = f"{pair['one']} and {pair['other']}: {pair['miou']['verdict']}"
    if pair["identical"]:
        return f"{line}: {IDENTICAL}"
    ends = pair["miou"]["interval"]
    if pair["miou"]["verdict"] != ALIKE or result["intervals"] != "images" or ends is None or ends[0] <= 0 <= ends[1]:
        return line
    better_net = pair["one"] if ends[0] > 0 else pair["other"]
    return (
        f"{line}. As a net, {better_net} is better on images of this kind; but two trainings of one recipe may differ "
        "by as much."
    )


def sides_table(result: Result) -> Table:
    """A row for each side: its scores with intervals, and its letters."""
    table = _table(
        f"{result['split']}: {result['images']} images. {LETTERS}",
        [("side", True), ("mIoU", False), ("95 %", False), ("accuracy", False), ("runs", False), ("letters", True),
         ("given", True)],
    )  # fmt: skip
    for side in result["sides"]:
        table.add_row(
            side["name"],
            number(side["miou"]),
            span(side["miou_interval"]),
            number(side["accuracy"]),
            str(len(side["trainings"])),
            side["letters"],
            Name(side["given"]),
        )
    return table


def pairs_table(result: Result) -> Table:
    """Rows for each pair of sides: one for each score."""
    table = _table(
        "Differences",
        [("pair", True), ("score", True), ("difference", False), ("95 %", False), ("p", False), ("better", True)],
    )
    for pair in result["pairs"]:
        for key, title in SCORES.items():
            found = pair[key]
            if found is not None:
                verdict = found.get("verdict")
                table.add_row(
                    f"{pair['one']} - {pair['other']}",
                    title,
                    signed(found["difference"]),
                    signed_span(found["interval"]),
                    "" if verdict is None else p_value(found["p"]),
                    "" if verdict is None else in_short(verdict),
                )
    return table


def classes_table(result: Result) -> Table:
    """A row for each class: of two sides the difference, of more those pairs that can be told apart."""
    names = [side["name"] for side in result["sides"]]
    shown = shown_classes(result)
    title = f"Classes {extremes_line(len(result['class_names']), 'difference')}".rstrip()
    ious = [[side["iou"][index] for side in result["sides"]] for index in shown]
    scores = [(f"IoU {name}", False) for name in names]
    if len(names) > 2:
        table = _table(title, [("class", True), *scores, ("better", True)])
        for index, values in zip(shown, ious, strict=True):
            better_ones = "  ".join(better(result, index)) or NONE
            table.add_row(Name(result["class_names"][index]), *map(number, values), better_ones)
        return table
    table = _table(title, [("class", True), *scores, ("difference", False), ("95 %", False), ("better", True)])
    for row, values in zip([result["pairs"][0]["classes"][index] for index in shown], ious, strict=True):
        table.add_row(
            Name(row["name"]),
            *map(number, values),
            signed(row["difference"]),
            signed_span(row["interval"]),
            in_short(row["verdict"]),
        )
    return table


def shown_classes(result: Result) -> list[int]:
    """Indices of the classes that tables show: all, or those that differ most between the first two sides."""
    return extremes([row["difference"] for row in result["pairs"][0]["classes"]])


def better(result: Result, index: int) -> Iterator[str]:
    """Pairs of sides that can be told apart by a class, such as "A > B"."""
    for pair in result["pairs"]:
        row = pair["classes"][index]
        if row["verdict"] not in (ALIKE, UNKNOWN):
            sides = [pair["one"], pair["other"]]
            yield " > ".join(sides if row["difference"] > 0 else sides[::-1])


def changed_table(result: Result) -> Table:
    """The images that differ most."""
    names = [side["name"] for side in result["sides"]]
    table = _table("Images that differ most", [("image", True), *((f"mIoU {name}", False) for name in names)])
    for row in result["changed"]:
        table.add_row(Name(row["name"]), *(number(row["scores"][name]) for name in names))
    return table


def _table(title: str, columns: Sequence[tuple[str, bool]]) -> Table:
    table = Table(title=title)
    for heading, left in columns:
        table.add_column(heading, justify="left" if left else "right", no_wrap=not left)
    return table


def number(value: float | None) -> str:
    """A score with four digits."""
    return NONE if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    """A difference with four digits and its sign."""
    return NONE if value is None else f"{value + 0.0:+.4f}"


def span(ends: list[float] | None) -> str:
    """An interval of a score."""
    return NONE if ends is None else f"[{ends[0]:.3f}, {ends[1]:.3f}]"


def signed_span(ends: list[float] | None) -> str:
    """An interval of a difference."""
    return NONE if ends is None else f"[{ends[0]:+.4f}, {ends[1]:+.4f}]"


def in_short(verdict: str) -> str:
    """A verdict in a word: the better side, or a dash if neither is."""
    return NONE if verdict in (ALIKE, UNKNOWN) else verdict.partition(" ")[0]


def p_value(value: float | None) -> str:
    """A p-value, with a bound in place of very small ones."""
    if value is None:
        return NONE
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
