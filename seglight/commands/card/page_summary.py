"""Head of a card's page: the score, figures beside it, and what stands out."""

from collections.abc import Iterator, Mapping
from typing import Any

from seglight.commands.card.page_parts import (
    FEWEST_GROUPS,
    absent,
    below_none,
    chosen_here,
    class_name,
    few_images,
    tile,
)
from seglight.commands.card.page_robustness import KINDS, strongest
from seglight.commands.card.page_scores import NO_BOUNDARY, no_boundary
from seglight.commands.html_page.element import Child, Element, element
from seglight.commands.html_page.frame import Section
from seglight.commands.html_page.numbers import NONE, count, defined, interval, percent, score, span
from seglight.commands.html_page.tables import facts, name
from seglight.metrics.calibration import SEARCHED


def lead(card: Mapping[str, Any]) -> list[Child]:
    """The score with its interval, figures beside it, and what was scored."""
    scores = card.get("score") or {}
    label = element(
        "div", "mean IoU on the split ", name(str(card.get("split") or NONE)), ", ", _images(card), class_="label"
    )
    figure = element("div", element("div", score(scores.get("miou")), class_="figure"), label)
    return [
        element("div", figure, element("div", _interval(card), class_="label"), class_="hero"),
        element("div", list(_tiles(card)), class_="tiles"),
        _model(card),
    ]


def summary(card: Mapping[str, Any]) -> Section:
    """What stands out, in sentences."""
    lines = [element("li", line) for line in _observations(card)]
    content = element("ul", lines, class_="plain") if lines else absent("Nothing was scored.")
    return Section("At a glance", [content])


def _images(card: Mapping[str, Any]) -> str:
    number = card.get("images")
    return "1 image" if number == 1 else f"{count(number)} images"


def _interval(card: Mapping[str, Any]) -> Child:
    bounds = interval((card.get("score") or {}).get("miou_interval"))
    if bounds == NONE:
        return "The interval of the score is not known."
    groups = card.get("groups") or {}
    drawn: Child = "the images"
    if groups.get("by") not in (None, "image"):
        drawn = [count(groups.get("count")), " groups of images, by ", name(str(groups["by"]))]
    number = groups.get("count")
    few = f" Fewer than {FEWEST_GROUPS} are too few: it is too narrow." if _few(number) else ""
    return [element("strong", bounds), " is the 95 % interval, by a bootstrap over ", drawn, f".{few}"]


def _few(groups: Any) -> bool:
    return defined(groups) and groups < FEWEST_GROUPS


def _tiles(card: Mapping[str, Any]) -> Iterator[Element]:
    scores = card.get("score") or {}
    yield tile(score(scores.get("accuracy")), "pixel accuracy")
    yield tile(score(scores.get("boundary_iou")), "boundary IoU")
    yield tile(score(scores.get("boundary_f")), f"boundary F: {NO_BOUNDARY}" if no_boundary(card) else "boundary F")
    calibration = card.get("calibration") or {}
    yield tile(score(calibration.get("ece")), "calibration error (ECE)")
    robustness = card.get("robustness") or {}
    if defined(robustness.get("corruption_mean")):
        yield tile(score(robustness["corruption_mean"]), "mean IoU under corruptions")
    worst = strongest(card)
    if worst is not None:
        clean = f"; {score(worst.clean)} without" if worst.clean is not None else ""
        yield tile(score(worst.scores["miou"]), ["mean IoU under attack: ", worst.how(), clean])


def _model(card: Mapping[str, Any]) -> Element:
    model = card.get("model") or {}
    parts = [str(model[key]) for key in ("net", "encoder", "decoder") if model.get(key)]
    pairs: list[tuple[str, Child]] = [
        ("Model", name(str(model.get("path") or NONE))),
        ("Net", name(", ".join(parts)) if parts else NONE),
        ("Checksum", element("code", str(model.get("checksum") or NONE)[:16])),
        ("Recipe", name(str(card.get("recipe") or NONE))),
        ("Date", str(card.get("date") or NONE)[:16].replace("T", " ")),
        ("Classes", count(len(card.get("class_names") or []))),
    ]
    return facts(pairs)


def _observations(card: Mapping[str, Any]) -> Iterator[list[Child]]:
    chosen = chosen_here(card)
    if chosen:
        yield [chosen]
    yield from _about_classes(card)
    pairs = card.get("confusions") or []
    if pairs:
        first = pairs[0]
        share = percent(first.get("share_of_true"))
        yield [
            "Confused most: ", class_name(card, first["true"]), " taken for ", class_name(card, first["predicted"]),
            f", {share} of its pixels.",
        ]  # fmt: skip
    yield from _about_sizes(card)
    yield from _about_calibration(card)
    yield from _about_robustness(card)


def _about_classes(card: Mapping[str, Any]) -> Iterator[list[Child]]:
    known = [one for one in card.get("classes") or [] if defined(one.get("iou"))]
    known.sort(key=lambda one: below_none(one["iou"]))
    if len(known) > 1:
        low, high = known[0], known[-1]
        few = " (in so few images that this is not reliable)" if few_images(card, low["name"]) else ""
        yield [
            "Weakest class: ", class_name(card, low["name"]), f" with an IoU of {score(low['iou'])}{few}; strongest: ",
            class_name(card, high["name"]), f" with {score(high['iou'])}.",
        ]  # fmt: skip
    unknown = len(card.get("classes") or []) - len(known)
    if unknown:
        yield [f"{count(unknown)} of the classes occur neither in labels nor in predictions, and have no score."]


def _about_sizes(card: Mapping[str, Any]) -> Iterator[list[Child]]:
    """Small objects against large ones, of the classes that have both: other classes would be another comparison."""
    known = card.get("sizes") or {}
    bins = known.get("bins") or []
    rows = {label: row for label, row in (known.get("classes") or {}).items() if len(row) == len(bins)}
    scored = [place for place in range(len(bins)) if any(defined(row[place]) for row in rows.values())]
    first, last = (scored[0], scored[-1]) if scored else (0, 0)
    both = [label for label, row in rows.items() if first < last and defined(row[first]) and defined(row[last])]
    if both:
        small, large = (sum(rows[label][place] for label in both) / len(both) for place in (first, last))
        below, above = (span(bins[place].get("from"), bins[place].get("to")) for place in (first, last))
        several: Child = f"Of the {count(len(both))} classes with objects of both sizes, the mean IoU is "
        one: Child = ["Only ", class_name(card, both[0]), " has objects of both sizes: its IoU is "]
        yield [
            several if len(both) > 1 else one,
            f"{score(small)} for objects {below} pixels and {score(large)} for those of {above}.",
        ]


def _about_calibration(card: Mapping[str, Any]) -> Iterator[list[Child]]:
    one = card.get("calibration") or {}
    temperature = one.get("temperature")
    if defined(temperature) and defined(one.get("ece")):
        state = "too high" if temperature > 1 else "too low"
        verdict = "about right" if abs(temperature - 1) < 0.05 else state
        before, after = score(one["ece"]), score(one.get("ece_after"))
        change = f"stays {before}" if before == after else f"goes from {before} to {after}"
        end = ", the end of what is searched" if temperature in SEARCHED else ""
        yield [
            f"Confidences are {verdict}: the best temperature is {score(temperature)}{end}, with which the calibration "
            f"error (ECE) {change}."
        ]


def _about_robustness(card: Mapping[str, Any]) -> Iterator[list[Child]]:
    robustness = card.get("robustness")
    if not robustness:
        yield ["Corruptions and attacks were not tried."]
        return
    if robustness.get("left_out"):
        yield [f"Not tried: {robustness['left_out']}."]
    yield from _about_corruptions(card, robustness)
    worst = strongest(card)
    if worst is not None:
        clean = "" if worst.clean is None else f", against {score(worst.clean)} on the same images as they are"
        yield ["Under attack (", worst.how(), f") the mean IoU is {score(worst.scores['miou'])}{clean}."]
    failed = [
        one for one in (robustness.get("gradient_masking") or {}).get("checks") or [] if one.get("passed") is False
    ]
    if failed:
        named = [[", " if k else "", name(str(one.get("name")))] for k, one in enumerate(failed)]
        yield [
            f"Failed checks of the attacks: {count(len(failed))} (", *named, "), so the scores under attack may be ",
            "too good: see Attacks.",
        ]  # fmt: skip


def _about_corruptions(card: Mapping[str, Any], robustness: Mapping[str, Any]) -> Iterator[list[Child]]:
    """Mean over the kinds that were tried, and the one that leaves least."""
    means = {
        kind: one.get("mean") for kind, one in (robustness.get("corruptions") or {}).items() if defined(one.get("mean"))
    }
    if not means:
        return
    clean, corrupted = (card.get("score") or {}).get("miou"), robustness.get("corruption_mean")
    which = f"the {KINDS} common corruptions" if defined(corrupted) else f"the {count(len(means))} corruptions tried"
    mean = corrupted if defined(corrupted) else sum(means.values()) / len(means)
    lowest = min(means, key=lambda kind: float(means[kind]))
    yield [
        f"Under {which} the mean IoU is {score(mean)}, against {score(clean)} on the same images as they are; it is ",
        "lowest under ", name(lowest.replace("_", " ")), f", {score(means[lowest])}.",
    ]  # fmt: skip
