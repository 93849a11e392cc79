"""Sections of a card on classes, confusions, sizes of objects and boundaries."""

from collections.abc import Mapping
from typing import Any

from seglight.commands.card.page_parts import (
    FEWEST,
    absent,
    below_none,
    class_name,
    few_images,
    images_with,
    with_interval,
)
from seglight.commands.html_page.bars import bar
from seglight.commands.html_page.element import Child, element
from seglight.commands.html_page.frame import Section
from seglight.commands.html_page.heat_map import heat_map
from seglight.commands.html_page.numbers import count, defined, percent, score, span
from seglight.commands.html_page.tables import Column, facts, table
from seglight.metrics.extremes import extremes, extremes_line

GAPS = 12
"""Number of classes in the table of boundaries."""

MARK = " \N{DAGGER}"
"""What stands behind intervals from too few images."""

NO_BOUNDARY = "no labelled pixel touches another class, as where the pixels around objects are ignored"


def classes(card: Mapping[str, Any]) -> Section:
    """Scores of the classes, the lowest IoU first."""
    rows: list[list[Child]] = []
    every = card.get("classes") or []
    shown = [every[place] for place in extremes([one.get("iou") for one in every])]
    for one in sorted(shown, key=lambda one: below_none(one.get("iou"))):
        names = ("iou", "f1", "precision", "recall", "boundary_iou")
        few = few_images(card, one["name"])
        numbers = [with_interval(one.get(key), one.get(f"{key}_interval"), MARK if few else "") for key in names]
        drawn = bar(one.get("iou"), None if few else one.get("iou_interval"))
        rows.append([class_name(card, one["name"]), drawn, *numbers, _share(card, one)])
    headings = ("IoU", "F1", "precision", "recall", "boundary IoU", "of pixels")
    columns = [Column("class", "name"), Column("IoU, 0 to 1", "bar"), *map(Column, headings)]
    caption = (
        f"Scores of the {len(rows)} classes, the lowest IoU first, with 95 % intervals, and the share of the labelled "
        f"pixels and number of images that have the class. {extremes_line(len(every), 'IoU')}".rstrip()
    )
    content = table(caption, columns, rows)
    marked = any(few_images(card, one["name"]) for one in card.get("classes") or [])
    note = f"{MARK.strip()} Fewer than {FEWEST} images have the class: its intervals are not reliable, narrow ones too."
    return Section(
        "Classes",
        [content if rows else absent("There are no scores of classes."), absent(note) if marked else None],
        "IoU is the share of pixels on which labels and prediction agree, of all that either of them gives to the "
        "class. A low precision means that the class is predicted where it is not; a low recall, that it is missed.",
    )


def _share(card: Mapping[str, Any], one: Mapping[str, Any]) -> Child:
    """Share of the labelled pixels, and how many images have the class."""
    images = images_with(card, one["name"])
    share = percent(one.get("share"))
    return [share, element("small", f"in {count(images)}")] if defined(images) else share


def confusions(card: Mapping[str, Any]) -> Section:
    """Pairs of classes that are confused, most pixels first."""
    pairs = card.get("confusions") or []
    highest = max((one["share_of_true"] for one in pairs if defined(one.get("share_of_true"))), default=1.0)
    rows: list[list[Child]] = [
        [
            class_name(card, one["true"]),
            class_name(card, one["predicted"]),
            bar(one.get("share_of_true"), None, highest),
            percent(one.get("share_of_true")),
            count(one.get("pixels")),
        ]
        for one in pairs
    ]
    columns = [Column("labelled as", "name"), Column("predicted as", "name"), Column(f"0 to {percent(highest)}", "bar")]
    columns += [Column("of the labelled"), Column("pixels")]
    content = table("The most confused pairs of classes, most pixels first.", columns, rows)
    return Section(
        "Confused classes",
        [content if rows else absent("No two classes are confused.")],
        "Each row says how many pixels of the first class were predicted as the second one. Only the pairs with most "
        "pixels are listed: one whose reverse is missing may be confused in that direction, too, by fewer pixels.",
    )


def sizes(card: Mapping[str, Any]) -> Section:
    """Scores by the size of objects."""
    known = card.get("sizes") or {}
    bins = known.get("bins") or []
    about = (
        "Small objects are a small part of the pixels, so that the mean IoU hardly shows whether they are found. "
        "Recall is the share of the objects' pixels that are found. Both scores are means over the classes that occur "
        "at a size, which differ from row to row: to see what size does, compare a class with itself below."
    )
    if not bins:
        return Section("Sizes of objects", [absent("Sizes of objects were not measured.")], about)
    spans = [span(one.get("from"), one.get("to")) for one in bins]
    rows: list[list[Child]] = [
        [where, bar(one.get("iou")), score(one.get("iou")), score(one.get("recall")), count(one.get("objects"))]
        for where, one in zip(spans, bins, strict=True)
    ]
    columns = [
        Column("area in pixels", "name"),
        Column("IoU, 0 to 1", "bar"),
        *map(Column, ("IoU", "recall", "objects")),
    ]
    content: list[Child] = [table("Scores by the area of objects.", columns, rows)]
    by_class = known.get("classes") or {}
    if by_class:
        shown = _extreme_names(card)
        lines = [(class_name(card, label), values) for label, values in by_class.items() if label in shown]
        content.append(heat_map("IoU of each class by the area of its objects.", "class", spans, lines))
    if known.get("definition"):
        content.append(absent(f"Definition: {known['definition']}."))
    return Section("Sizes of objects", content, about)


def _extreme_names(card: Mapping[str, Any]) -> set[str]:
    """Names of the classes that tables show, by their IoU."""
    every = card.get("classes") or []
    return {every[place]["name"] for place in extremes([one.get("iou") for one in every])}


def boundaries(card: Mapping[str, Any]) -> Section:
    """Scores of contours, and the classes whose contours are worse than their areas."""
    scores = card.get("score") or {}
    pairs: list[tuple[str, Child]] = [
        ("Boundary IoU", with_interval(scores.get("boundary_iou"), scores.get("boundary_iou_interval"))),
        ("Boundary F", with_interval(scores.get("boundary_f"), scores.get("boundary_f_interval"))),
        *([("Why there is no boundary F", NO_BOUNDARY)] if no_boundary(card) else []),
        ("Mean IoU, to compare", with_interval(scores.get("miou"), scores.get("miou_interval"))),
    ]
    known = [
        (one, one["iou"] - one["boundary_iou"])
        for one in card.get("classes") or []
        if defined(one.get("iou")) and defined(one.get("boundary_iou"))
    ]
    known.sort(key=lambda pair: -pair[1])
    highest = max((gap for _, gap in known), default=0.0)
    rows: list[list[Child]] = [
        [
            class_name(card, one["name"]),
            bar(gap, None, highest),
            score(gap),
            score(one["iou"]),
            score(one["boundary_iou"]),
        ]
        for one, gap in known[:GAPS]
    ]
    columns = [Column("class", "name"), Column(f"0 to {score(highest)}", "bar")]
    columns += map(Column, ("difference", "IoU", "boundary IoU"))
    shown = f"The {len(rows)} classes whose boundary IoU is furthest below their IoU."
    return Section(
        "Boundaries",
        [facts(pairs), table(shown, columns, rows) if rows else absent("Boundaries of classes were not measured.")],
        "Boundary IoU counts only the pixels near a contour, so that a large area cannot hide a ragged edge. A class "
        "far below its IoU is found, but its outline is not.",
    )


def no_boundary(card: Mapping[str, Any]) -> bool:
    """Whether boundaries were scored, but the labels have none that boundary F could find."""
    scores = card.get("score") or {}
    return defined(scores.get("miou")) and not defined(scores.get("boundary_f"))
