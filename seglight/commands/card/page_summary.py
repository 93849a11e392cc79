"""Head of a card's page: the score, figures beside it, and what stands out."""

from collections.abc import Iterator, Mapping
from typing import Any

from seglight.commands.card.page_parts import absent, below_none, class_name, tile
from seglight.commands.card.page_robustness import CLEAN, radius_text
from seglight.commands.html_page.element import Child, Element, element
from seglight.commands.html_page.frame import Section
from seglight.commands.html_page.numbers import NONE, count, defined, interval, percent, score
from seglight.commands.html_page.tables import facts, name


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
    return [element("strong", bounds), " is the 95 % interval, by a bootstrap over ", drawn, "."]


def _tiles(card: Mapping[str, Any]) -> Iterator[Element]:
    scores = card.get("score") or {}
    yield tile(score(scores.get("accuracy")), "pixel accuracy")
    yield tile(score(scores.get("boundary_iou")), "boundary IoU")
    yield tile(score(scores.get("boundary_f")), "boundary F")
    calibration = card.get("calibration") or {}
    yield tile(score(calibration.get("ece")), "calibration error (ECE)")
    robustness = card.get("robustness") or {}
    if defined(robustness.get("corruption_mean")):
        yield tile(score(robustness["corruption_mean"]), "mean IoU under corruptions")
    worst = _worst_attack(card)
    if worst is not None:
        attack, radius, miou = worst
        yield tile(score(miou), ["mean IoU under ", name(attack), f" at {radius_text(radius)}"])


def _worst_attack(card: Mapping[str, Any]) -> tuple[str, str, float] | None:
    """Name, radius and mIoU of the attack that leaves least."""
    attacks = (card.get("robustness") or {}).get("attacks") or {}
    found = [
        (attack, radius, one["miou"])
        for attack, by_radius in attacks.items()
        if attack != CLEAN
        for radius, one in by_radius.items()
        if defined(one.get("miou"))
    ]
    return min(found, key=lambda one: float(one[2]), default=None)


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
        yield [
            "Weakest class: ", class_name(card, low["name"]), f" with an IoU of {score(low['iou'])}; strongest: ",
            class_name(card, high["name"]), f" with {score(high['iou'])}.",
        ]  # fmt: skip
    unknown = len(card.get("classes") or []) - len(known)
    if unknown:
        yield [f"{count(unknown)} of the classes occur neither in labels nor in predictions, and have no score."]


def _about_sizes(card: Mapping[str, Any]) -> Iterator[list[Child]]:
    bins = [one for one in (card.get("sizes") or {}).get("bins") or [] if defined(one.get("recall"))]
    if len(bins) > 1:
        low, high = score(bins[0]["recall"]), score(bins[-1]["recall"])
        yield [f"The recall of the smallest objects is {low}, that of the largest {high}."]


def _about_calibration(card: Mapping[str, Any]) -> Iterator[list[Child]]:
    one = card.get("calibration") or {}
    temperature = one.get("temperature")
    if defined(temperature) and defined(one.get("ece")):
        state = "too high" if temperature > 1 else "too low"
        verdict = "about right" if abs(temperature - 1) < 0.05 else state
        yield [
            f"Confidences are {verdict}: the best temperature is {score(temperature)}, with which the calibration "
            f"error goes from {score(one['ece'])} to {score(one.get('ece_after'))}."
        ]


def _about_robustness(card: Mapping[str, Any]) -> Iterator[list[Child]]:
    robustness = card.get("robustness")
    if not robustness:
        yield ["Corruptions and attacks were not tried."]
        return
    clean, corrupted = (card.get("score") or {}).get("miou"), robustness.get("corruption_mean")
    if defined(corrupted):
        yield [
            f"Under corruptions the mean IoU is {score(corrupted)}, against {score(clean)} on the images as they are."
        ]
    worst = _worst_attack(card)
    if worst is not None:
        attack, radius, miou = worst
        yield ["The strongest attack tried, ", name(attack), f" at {radius_text(radius)}, leaves {score(miou)}."]
