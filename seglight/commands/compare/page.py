"""The page of a comparison: verdicts, forest plots of the differences, and the images that differ most."""

from pathlib import Path

from seglight.commands.compare.pictures import Pictures
from seglight.commands.compare.result import Result, notes
from seglight.commands.compare.tables import SCORES, better, p_value, summary
from seglight.commands.html_page import frame
from seglight.commands.html_page.bars import bar, forest
from seglight.commands.html_page.element import Child, Element, element
from seglight.commands.html_page.frame import Section
from seglight.commands.html_page.numbers import NONE, interval, score
from seglight.commands.html_page.pictures import picture
from seglight.commands.html_page.tables import Column, name, table

DIGITS = 4


def write_page(result: Result, pictures: Pictures, out: Path) -> None:
    """Write the page.

    Args:
        result: Result of `compared`.
        pictures: Pictures of the images that differ most.
        out: File to write.
    """
    lead = [element("p", line, class_="verdict") for line in summary(result)]
    sections = [
        Section(
            "Scores", [_sides(result)], "The mean over the trainings of each side. Sides that share a letter are alike."
        ),
        Section("Differences", [_pairs(result), _verdicts(result)], " ".join(notes(result))),
        Section("Classes", _classes(result)),
        Section("Images that differ most", [*_pictures(pictures), _changed(result)]),
    ]
    frame.write(out, f"Comparison on the {result['split']} split", lead, sections)


def _sides(result: Result) -> Element:
    columns = [
        Column("side", "name"), Column("given", "name"), Column("mIoU", "bar"), Column("mIoU"), Column("95 % interval"),
        Column("accuracy"), Column("trainings"), Column("alike", "name"),
    ]  # fmt: skip
    rows: list[list[Child]] = [
        [
            side["name"], name(side["given"]), bar(side["miou"], side["miou_interval"]), score(side["miou"], DIGITS),
            interval(side["miou_interval"], DIGITS), score(side["accuracy"], DIGITS), str(len(side["trainings"])),
            side["letters"],
        ]
        for side in result["sides"]
    ]  # fmt: skip
    return table(f"{result['images']} images", columns, rows)


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
    columns = [Column("class", "name"), *(Column(f"IoU {side['name']}") for side in sides), Column("better", "name")]
    rows: list[list[Child]] = [
        [name(text), *(score(side["iou"][k], DIGITS) for side in sides), ", ".join(better(result, k)) or NONE]
        for k, text in enumerate(result["class_names"])
    ]
    forests = [
        forest(
            f"IoU of each class, {pair['one']} less {pair['other']}",
            "class",
            [(name(row["name"]), row["difference"], row["interval"]) for row in pair["classes"]],
            DIGITS,
        )
        for pair in result["pairs"]
    ]
    return [table("IoU of each class", columns, rows), *forests]


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
