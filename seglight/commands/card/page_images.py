"""Sections of a card on single images: how their scores are distributed, the worst ones and the best ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seglight.commands.card.page_parts import absent, class_name
from seglight.commands.html_page.charts import histogram
from seglight.commands.html_page.element import Child, Element, element
from seglight.commands.html_page.frame import Section
from seglight.commands.html_page.numbers import count, score
from seglight.commands.html_page.pictures import picture
from seglight.commands.html_page.tables import Column, name, table

ERRORS = 4
"""Number of errors that are listed below a picture."""

QUANTILES = {"0": "lowest", "50": "median", "100": "highest"}


def distribution(card: Mapping[str, Any]) -> Section:
    """Histogram and quantiles of the scores of single images."""
    known = card.get("distribution") or {}
    bins = [(one["from"], one["to"], one.get("images")) for one in known.get("bins") or []]
    quantiles = known.get("quantiles") or {}
    chart = histogram("Images by their mean IoU", "mean IoU", "images", bins, ("median", quantiles.get("50")))
    rows: list[list[Child]] = [
        [QUANTILES.get(share, f"{share} % are below"), score(value)] for share, value in quantiles.items()
    ]
    listed = table("Quantiles of the images' mean IoU.", [Column("", "name"), Column("mean IoU")], rows)
    return Section(
        "Distribution over images",
        [element("div", chart, listed if rows else None, class_="charts")]
        if chart or rows
        else [absent("Scores of single images were not measured.")],
        "The mean IoU of each image, over the classes that occur in its labels or its prediction. A long tail to the "
        "left means that the score of the split hides images on which the net fails.",
    )


def worst_images(card: Mapping[str, Any], pictures: Path) -> Section:
    """Pictures of the images with the lowest scores."""
    about = (
        "Each picture shows the image, its labels, the prediction, and the errors: a wrong pixel has the colour of the "
        "class that it is taken for, right ones show the image faintly, and those that are not scored are grey."
    )
    return _images("Worst images", card, card.get("worst") or [], pictures, about)


def best_images(card: Mapping[str, Any], pictures: Path) -> Section:
    """Pictures of the images with the highest scores."""
    return _images("Best images", card, card.get("best") or [], pictures, "The same for the highest scores.")


def _images(
    title: str, card: Mapping[str, Any], images: list[Mapping[str, Any]], pictures: Path, about: str
) -> Section:
    if not images:
        return Section(title, [absent("There are no pictures.")], about)
    return Section(title, [element("div", [_figure(card, one, pictures) for one in images], class_="gallery")], about)


def _figure(card: Mapping[str, Any], one: Mapping[str, Any], pictures: Path) -> Element:
    errors: list[Child] = []
    for error in (one.get("errors") or [])[:ERRORS]:
        pair = [class_name(card, error["true"]), " taken for ", class_name(card, error["predicted"])]
        errors.append(element("li", pair, f", {count(error.get('pixels'))} pixels"))
    caption = [
        element("strong", name(str(one["name"]))),
        f" mean IoU {score(one.get('miou'))}",
        element("ul", errors, class_="plain") if errors else None,
    ]
    # the name of the file alone: a card cannot name pictures in other folders
    path = pictures / Path(str(one.get("picture") or "")).name
    if not path.is_file():
        return element("figure", absent("The picture is missing."), element("figcaption", caption))
    alt = f"{one['name']}: image, labels, prediction, and errors in the colour of the predicted class"
    return picture(path, alt, caption)
