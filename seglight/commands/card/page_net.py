"""Sections of a card on the net and its data: learning curves, cost, data, and how all was measured."""

from collections.abc import Mapping
from typing import Any

from seglight.commands.card.page_parts import FEWEST_GROUPS, absent, chosen_here, class_name
from seglight.commands.html_page.charts import curves
from seglight.commands.html_page.element import Child, element
from seglight.commands.html_page.frame import Section
from seglight.commands.html_page.numbers import NONE, count, defined, percent, short
from seglight.commands.html_page.tables import Column, facts, name, table

CLASSES = 8
"""Number of classes in a chart of curves."""

CLASS_KEY = "val/iou/"

GROUPS = (
    ("Loss", "loss", lambda key: key.endswith("loss")),
    ("Scores on val", "score", lambda key: key in ("val/miou", "val/acc", "val/accuracy")),
    ("Learning rate", "learning rate", lambda key: key.startswith("lr")),
)
"""Charts of curves: heading, label of the axis, and which keys belong to them."""


def curves_of_run(card: Mapping[str, Any]) -> Section:
    """Learning curves of the run."""
    about = (
        "What the run logged while it trained. A validation loss that rises while the training loss falls is a sign of "
        "overfitting."
    )
    known = card.get("curves") or {}
    if not known:
        reason = "The model is not a run folder with metrics.jsonl, so its curves are not known."
        return Section("Learning curves", [absent(reason)], about)
    charts = [
        curves(title, "step", label, {key: line for key, line in known.items() if belongs(key)})
        for title, label, belongs in GROUPS
    ]
    by_class = {key: line for key, line in known.items() if key.startswith(CLASS_KEY) and line}
    # the lowest at the end of the run are the ones to look at
    lowest = sorted(by_class, key=lambda key: by_class[key][-1][1] if defined(by_class[key][-1][1]) else 2.0)[:CLASSES]
    some = "IoU of the classes" if len(by_class) <= CLASSES else f"IoU of the {CLASSES} classes that end lowest"
    charts.append(curves(some, "step", "IoU", {key.removeprefix(CLASS_KEY): by_class[key] for key in lowest}))
    shown = {key for _, _, belongs in GROUPS for key in known if belongs(key)} | set(by_class)
    others = sorted(set(known) - shown)
    note = absent(f"Also logged, and in card.json: {', '.join(others)}.") if others else None
    return Section("Learning curves", [element("div", charts, class_="charts"), note], about)


def cost(card: Mapping[str, Any]) -> Section:
    """Size and speed of the net."""
    known = card.get("cost") or {}
    about = (
        "What one image costs. The latency was measured on the machine that wrote the card, while other programs may "
        "have run there: take its order of magnitude, and measure again where it matters."
    )
    if not known:
        return Section("Cost", [absent("The cost of the net was not measured.")], about)
    size = known.get("image_size")
    latency = known.get("latency_ms")
    pairs: list[tuple[str, Child]] = [
        ("Parameters", short(known.get("parameters"))),
        ("Multiply-adds", short(known.get("multiply_adds"))),
        ("Image, height x width", " x ".join(map(str, size)) if isinstance(size, list | tuple) else str(size or NONE)),
        ("Latency", _milliseconds(latency)),
        ("Device", name(str(known.get("device") or NONE))),
    ]
    return Section("Cost", [facts(pairs)], about)


def data(card: Mapping[str, Any]) -> Section:
    """What the data set is."""
    about = "Counts of the data set as seglight doctor reads it; a class with few images or pixels has a wide interval."
    known = card.get("data") or {}
    splits = known.get("splits") or {}
    if not splits:
        return Section("Data", [absent("The data set was not surveyed.")], about)
    rows: list[list[Child]] = [
        [name(split), count(one.get("images")), percent(one.get("ignored_share")), _sizes(one.get("sizes") or [])]
        for split, one in splits.items()
    ]
    columns = [Column("split", "name"), Column("images"), Column("ignored pixels"), Column("most frequent size")]
    content: list[Child] = [table("Splits of the data set.", columns, rows), _classes(card, splits), _findings(known)]
    return Section("Data", content, about)


def measured(card: Mapping[str, Any]) -> Section:
    """How the scores were computed."""
    groups = card.get("groups") or {}
    pairs: list[tuple[str, Child]] = [
        ("Groups of the bootstrap", [name(str(groups.get("by") or NONE)), f", {count(groups.get('count'))}"]),
        ("Version", f"seglight {card.get('seglight') or NONE}"),
        ("Checksum of the model", element("code", str((card.get("model") or {}).get("checksum") or NONE))),
    ]
    chosen = element("p", chosen_here(card)) if chosen_here(card) else None
    return Section(
        "How it was measured",
        [element("p", f"Scores: {card.get('protocol') or NONE}."), chosen, facts(pairs)],
        "The same numbers, with all digits, are in card.json. An interval covers the choice of images or groups, not "
        "that of the seed: another training of the same recipe can differ by more. With few groups or images, "
        f"below {FEWEST_GROUPS}, it is too narrow.",
    )


def _milliseconds(value: Any) -> str:
    if not defined(value):
        return NONE
    return f"{value:.3g} ms" if value < 1000 else f"{count(value)} ms"


def _sizes(sizes: list[Mapping[str, Any]]) -> str:
    if not sizes:
        return NONE
    first = max(sizes, key=lambda one: int(one.get("images") or 0))
    others = f", {len(sizes) - 1} other sizes" if len(sizes) > 1 else ""
    return f"{first.get('height')} x {first.get('width')}{others}"


def _classes(card: Mapping[str, Any], splits: Mapping[str, Any]) -> Child:
    """Pixels and images of each class in each split."""
    columns = [Column("class", "name")]
    for split in splits:
        columns += [Column(f"{split}: pixels"), Column("images")]
    totals = {
        split: sum(one.get("pixels") or 0 for one in (known.get("classes") or {}).values())
        for split, known in splits.items()
    }
    rows: list[list[Child]] = []
    for label in card.get("class_names") or []:
        row: list[Child] = [class_name(card, label)]
        for split, known in splits.items():
            one = (known.get("classes") or {}).get(label) or {}
            pixels = one.get("pixels")
            share = pixels / totals[split] if defined(pixels) and totals[split] else None
            row += [percent(share), count(one.get("images"))]
        rows.append(row)
    return table("Share of the labelled pixels, and images with the class.", columns, rows)


def _findings(known: Mapping[str, Any]) -> Child:
    if not (defined(known.get("mistakes")) and defined(known.get("hints"))):
        return None
    findings = known.get("findings") or []
    lines = [
        element("li", element("strong", str(one.get("level"))), f" {one.get('slug')}: {one.get('what')}")
        for one in findings
    ]
    total = f"Kinds of mistake: {count(known['mistakes'])}, kinds of hint: {count(known['hints'])}."
    return [element("p", total), element("ul", lines, class_="plain") if lines else None]
