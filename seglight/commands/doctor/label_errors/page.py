"""The page of suspected labels: crops of the image, its labels and what the net says, with the reason of each."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.commands.doctor.label_errors.region import Region
from seglight.commands.doctor.label_errors.report import Judgement, at_border, pairs
from seglight.commands.html_page.element import Element, element
from seglight.commands.html_page.frame import Section, write
from seglight.commands.html_page.numbers import count, percent, score
from seglight.commands.html_page.pictures import picture
from seglight.commands.html_page.tables import Column, facts, name, table
from seglight.images.bands import RGB, Bands
from seglight.images.draw import IGNORED, overlay
from seglight.images.stretch import stretched, without_data
from seglight.images.types import Color
from seglight.interfaces import Labelled

SIDE = 360
"""Pixels of the longer side of a crop on the page."""

BRIGHT, MOST_GAIN = 230, 4.0
"""Value to which the bright pixels of a dark crop are raised, and the largest factor by which."""

GAP = 6
"""Pixels between two crops."""

OUTLINE = (255, 255, 255), (0, 0, 0)
"""Colours of the outline of a region: a light line beside a dark one is visible on any ground."""


ADVICE = (
    "Go down the list until most of what you see is labelled correctly: further down are mainly errors of the net.",
    "The same region in frames one after the other is one decision: look at the first of them.",
    "An object that the border of the image cuts is hard to recognise: often it is the net that errs there.",
    "Frames next to those that the net was trained on may have the same wrong labels, which it has learnt: seglight "
    "doctor without a model finds such frames.",
    "To correct labels, open the image's file in the folder labelme beside this page with LabelMe (images that are no "
    "files have none), or import coco.json in another tool. They hold the regions with the class that is suggested, "
    "not the whole label map.",
)
"""How to work through the page."""


def write_page(path: Path, found: Judgement, split: Labelled, palette: Sequence[Color], bands: Bands = RGB) -> None:
    """Write the page.

    Args:
        path: The file.
        found: The judged split.
        split: Its images.
        palette: Colours of the classes.
        bands: What the images hold.
    """
    judged = found.judged
    pixels, issues = int(judged.confidence.counts.sum()), int(judged.contradictions.sum())
    lead = [
        element(
            "p",
            "Regions in which a net contradicts the labels. The first ones are most likely wrong; "
            "a net errs, too: look before you change a label.",
        ),
        element("ul", [element("li", advice) for advice in ADVICE], class_="plain"),
        *[element("p", remark) for remark in found.all_remarks],
        facts(
            [
                ("split", found.split),
                ("images", count(judged.images)),
                ("model", [name(model) for model in found.models]),
                ("contradicted with confidence", f"{count(issues)} pixels, {percent(issues / max(1, pixels))}"),
                ("regions", f"{count(judged.found)}, of which {len(judged.regions)} are shown"),
            ]
        ),
    ]
    classes = dict(enumerate(zip(found.names, palette, strict=True)))

    def of_class(index: int) -> Element:
        return name(*classes[index])

    contradictions = [
        [of_class(label), of_class(other), count(number), percent(number / max(1, pixels))]
        for label, other, number in pairs(judged)
    ]
    columns = [Column("labelled", "name"), Column("found", "name"), Column("pixels"), Column("share")]
    images = [
        [name(one.image), score(one.score), count(one.issues), percent(one.issues / max(1, one.pixels))]
        for one in judged.ranked_images
    ]
    image_columns = [Column("image", "name"), Column("score"), Column("contradicted pixels"), Column("share")]
    gallery = element(
        "div",
        [
            _figure(rank, region, crops_of(region, split, palette, bands), of_class)
            for rank, region in enumerate(judged.regions, 1)
        ],
        class_="gallery large",
    )
    sections = [
        Section(
            "Regions",
            [gallery],
            "From left to right: image, labels, and what the net says; the region is outlined, and a dark crop is "
            "brightened. Regions are ranked by the score: it grows with the net's certainty against the label, with "
            "size and thickness, and for pairs of classes that are rarely contradicted. It is no probability, has no "
            "upper bound, and can't be compared with that of another data set. Confidence is the mean probability of "
            "the class found.",
        ),
        Section(
            "Images",
            [table("Images with the worst labels first", image_columns, images)],
            "The score is the softmin of the probabilities of an image's labels: 1 if the net agrees everywhere.",
        ),
        Section("Pairs of classes", [table("Pixels that are contradicted with confidence", columns, contradictions)]),
    ]
    write(path, f"Label errors: {found.split}", lead, sections)


def _figure(
    rank: int, region: Region, crops: Sequence[NDArray[np.uint8]], of_class: Callable[[int], Element]
) -> Element:
    """The crops of a region, and what is known of it."""
    gap = np.full((crops[0].shape[0], GAP, 3), 255, np.uint8)
    row = np.concatenate([crops[0], gap, crops[1], gap, crops[2]], axis=1)
    caption = [
        element("strong", f"{rank}. labelled ", of_class(region.label), ", found ", of_class(region.suggested)),
        element("br"),
        name(region.image),
        f" at {region.box.x}, {region.box.y}: {count(region.pixels)} pixels, confidence {score(region.confidence, 2)}, "
        f"score {score(region.score, 2)}{at_border(region)}",
    ]
    return picture(row, f"image, labels and prediction around region {rank}", caption)


def crops_of(region: Region, split: Labelled, palette: Sequence[Color], bands: Bands = RGB) -> list[NDArray[np.uint8]]:
    """Image, labels and prediction around a region, each uint8 (h, w, 3), with its outline.

    The crop of an image that is not 8-bit RGB is stretched between percentiles; pixels without data are grey.
    """
    image, mask, _ = split.read(region.index)
    seen = region.seen
    pixels = np.ascontiguousarray(seen.of(image))
    crop = brightened(stretched(pixels, bands))
    missing = without_data(pixels, bands)
    labels = np.ascontiguousarray(seen.of(mask))
    inside = np.zeros((seen.height, seen.width), np.uint8)
    x, y = region.box.x - seen.x, region.box.y - seen.y
    inside[y : y + region.box.height, x : x + region.box.width] = region.inside
    parts = [crop, overlay(crop, labels, palette), overlay(crop, region.predicted, palette)]
    if missing is not None:
        for part in parts[1:]:
            part[missing] = IGNORED
    factor = max(1, SIDE // max(seen.height, seen.width))
    return [_outlined(part, inside, factor) for part in parts]


def brightened(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A dark crop with its colours multiplied by one factor; bright ones as they are."""
    factor = min(MOST_GAIN, BRIGHT / max(1.0, float(np.percentile(pixels, 98))))
    return pixels if factor <= 1 else (pixels * factor).round().clip(0, 255).astype(np.uint8)


def _outlined(pixels: NDArray[np.uint8], inside: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Enlarged pixels with the outline of a region."""
    size = pixels.shape[1] * factor, pixels.shape[0] * factor
    large = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    region = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
    square = np.ones((3, 3), np.uint8)
    around = cv2.dilate(region, square)
    for color, line in zip(OUTLINE, (around - region, cv2.dilate(around, square) - around), strict=True):
        large[line.view(bool)] = color
    return large
