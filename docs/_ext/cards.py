"""Tables of cards, from their numbers."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "_static" / "card"
CARD = FOLDER / "card.json"
ROBUSTNESS = FOLDER / "robustness.json"


def card_example(_: str) -> str:
    """Scores of the example's classes, the lowest IoU first."""
    card = json.loads(CARD.read_text("utf-8"))
    known = sorted(card["classes"], key=lambda one: one["iou"] if one["iou"] is not None else 2)
    rows = [_row(one["name"], *(_with_interval(one, key) for key in ("iou", "boundary_iou")), f"{one['share']:.1%}")
            for one in known]  # fmt: skip
    head = [_row("class", "IoU, 95 % interval", "boundary IoU, 95 % interval", "share of pixels"), _row(*["---"] * 4)]
    score = _with_interval(card["score"], "miou")
    return "\n".join(
        [f"Mean IoU on the {card['images']} images of the {card['split']} split: {score}.", "", *head, *rows]
    )


def card_robustness(_: str) -> str:
    """Mean IoU of the plain and of the robust net: clean, under each attack, and by kind of corruption."""
    cards = list(json.loads(ROBUSTNESS.read_text("utf-8")).values())
    tried = [card["robustness"] for card in cards]
    (clean,) = tried[0]["attacks"]["clean"]
    rows = [
        _row(f"clean, {cards[0]['images']} images", *(_with_interval(card["score"], "miou") for card in cards)),
        _row("mean of the 15 corruptions", *(f"{one['corruption_mean']:.3f}" for one in tried)),
        _row(f"clean, the {tried[0]['attacks']['clean'][clean]['images']} images that are attacked",
             *(f"{one['attacks']['clean'][clean]['miou']:.3f}" for one in tried)),
    ]  # fmt: skip
    for radius in tried[0]["attacks"]["sea"]:
        found = [one["attacks"]["sea"][radius] for one in tried]
        within = f"SEA at {radius}"
        rows.append(_row(f"{within}, mean IoU", *(f"**{one['miou']:.3f}**" for one in found)))
        rows.append(_row(f"{within}, accuracy", *(f"{one['accuracy']:.3f}" for one in found)))
    kinds = sorted(tried[0]["corruptions"], key=lambda kind: float(tried[0]["corruptions"][kind]["mean"]))
    rows += [
        _row(kind.replace("_", " "), *(f"{one['corruptions'][kind]['mean']:.3f}" for one in tried)) for kind in kinds
    ]
    return "\n".join([_row("", "plain", "robust"), _row(*["---"] * 3), *rows])


def _with_interval(one: dict[str, Any], key: str) -> str:
    bounds = one[f"{key}_interval"]
    interval = f" [{bounds[0]:.2f}, {bounds[1]:.2f}]" if bounds else ""
    return "-" if one[key] is None else f"{one[key]:.3f}{interval}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
