"""The page of a comparison: verdicts, forest plots of the differences, and the images that differ most."""

from pathlib import Path

from seglight.commands.compare.pictures import Pictures
from seglight.commands.compare.result import ALIKE, Result, apart, notes
from seglight.commands.compare.tables import LETTERS, SCORES, better, p_value, shown_classes, summary
from seglight.commands.html_page import frame
from seglight.commands.html_page.bars import bar, forest
from seglight.commands.html_page.element import Child, Element, element
from seglight.commands.html_page.frame import Section
from seglight.commands.html_page.numbers import NONE, interval, score
from seglight.commands.html_page.pictures import picture
from seglight.commands.html_page.tables import Column, facts, name, table
from seglight.metrics.extremes import extremes_line

DIGITS = 4


def write_page(result: Result, pictures: Pictures, out: Path) -> None:
    """Write the page.

    Args:
        result: Result of `compared`.
        pictures: Pictures of the images that differ most.
        out: File to write.
    """
    sides = facts([(f"Side {side['name']}", name(side["given"])) for side in result["sides"]])
    lead = [*(element("p", line, class_="verdict") for line in summary(result)), sides]
    sections = [
        Section("Scores", [_sides(result)], f"The mean over the trainings of each side. {LETTERS}"),
        Section("Differences", [_pairs(result), _verdicts(result)], " ".join(notes(result))),
        Section("Classes", _classes(result), _about_classes(result)),
        Section("Images that differ most", [*_pictures(pictures), _changed(result)]),
    ]
    frame.write(out, f"Comparison on the {result['split']} split", lead, sections)


def _sides(result: Result) -> Element:
    columns = [
        Column("side", "name"), Column("given", "name"), Column("mIoU, 0 to 1", "bar"), Column("mIoU"),
        Column("accuracy"), Column("trainings"), Column("letters", "name"),
    ]  # fmt: skip
    rows: list[list[Child]] = []
    for side in result["sides"]:
        each = " ".join(score(value, DIGITS) for value in side["miou_by_training"])
        number = len(side["trainings"])
        drawn = bar(side["miou"], side["miou_interval"])
        trainings: Child = [str(number), element("small", each)] if number > 1 else str(number)
        scores = [_with_interval(side[key], side[f"{key}_interval"]) for key in ("miou", "accuracy")]
        rows.append([side["name"], name(side["given"]), drawn, *scores, trainings, side["letters"]])
    return table(f"{result['images']} images; small: 95 % intervals, and the mIoU of each training", columns, rows)


def _with_interval(value: float | None, ends: list[float] | None) -> Child:
    return [score(value, DIGITS), element("small", interval(ends, DIGITS))]


def _pairs(result: Result) -> list[Element]:
    drawn = []
    for key, title in SCORES.items():
        if result["pairs"][0][key] is None:
            continue
        rows = [
            (f"{pair['one']} less {pair['other']}", pair[key]["difference"], pair[key]["interval"])
            for pair in result["pairs"]
        ]
        drawn.append(forest(f"{title}, the first side less the second", "pair", rows, DIGITS))
    return drawn


def _verdicts(result: Result) -> Element:
    columns = [Column("pair", "name"), Column("p, corrected"), Column("verdict", "name")]
    rows: list[list[Child]] = [
        [f"{pair['one']} and {pair['other']}", p_value(pair["miou"]["p"]), pair["miou"]["verdict"]]
        for pair in result["pairs"]
    ]
    return table("Verdicts by the mIoU", columns, rows)


def _classes(result: Result) -> list[Child]:
    sides = result["sides"]
    shown = shown_classes(result)
    columns = [Column("class", "name"), *(Column(f"IoU {side['name']}") for side in sides), Column("better", "name")]
    rows: list[list[Child]] = [
        [name(text), *(score(side["iou"][k], DIGITS) for side in sides), ", ".join(better(result, k)) or NONE]
        for k, text in ((k, result["class_names"][k]) for k in shown)
    ]
    forests = [
        forest(
            f"IoU of each class, {pair['one']} less {pair['other']}",
            "class",
            [(name(row["name"]), row["difference"], row["interval"]) for row in (pair["classes"][k] for k in shown)],
            DIGITS,
        )
        for pair in result["pairs"]
    ]
    caption = f"IoU of each class. {extremes_line(len(result['class_names']), 'difference')}"
    return [table(caption if len(shown) < len(result["class_names"]) else "IoU of each class", columns, rows), *forests]


def _about_classes(result: Result) -> str:
    """Why an interval that excludes 0, which is drawn in colour, may have no verdict beside it."""
    pairs = f" and {len(result['pairs'])} pairs" if len(result["pairs"]) > 1 else ""
    number = len(result["class_names"])
    return (
        f"{NONE} under better means {ALIKE}: verdicts are corrected for all {number} classes{pairs}. "
        f"{apart(result)} Of classes that do not differ, one interval in twenty excludes 0, and is coloured, by chance."
    )


def _changed(result: Result) -> Element:
    sides = [side["name"] for side in result["sides"]]
    columns = [Column("image", "name"), *(Column(f"mIoU {side}") for side in sides)]
    rows: list[list[Child]] = [
        [name(row["name"]), *(score(row["scores"][side]) for side in sides)] for row in result["changed"]
    ]
    return table("mIoU of single images", columns, rows)


def _pictures(pictures: Pictures) -> list[Child]:
    drawn = [
        picture(
            pixels,
            f"labels, changes and two predictions of {image}",
            [
                name(image),
                f": labels, changes (blue: only {one} is right, orange: only {other}, dark red: neither), ",
                f"{one} and {other}",
            ],
        )
        for image, (pixels, one, other) in pictures.drawn.items()
    ]
    gallery = element("div", drawn, class_="gallery") if drawn else None
    return [gallery, element("p", pictures.reason) if pictures.reason else None]
