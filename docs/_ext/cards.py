"""Table of the example of a card, from its numbers."""

import json
from pathlib import Path
from typing import Any

CARD = Path(__file__).parents[1] / "_static" / "card" / "card.json"


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


def _with_interval(one: dict[str, Any], key: str) -> str:
    bounds = one[f"{key}_interval"]
    interval = f" [{bounds[0]:.2f}, {bounds[1]:.2f}]" if bounds else ""
    return "-" if one[key] is None else f"{one[key]:.3f}{interval}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
