"""Sections of a card on corrupted images and on attacks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from seglight.commands.card.attack_list import CLEAN, WORST
from seglight.commands.card.page_parts import absent, class_name
from seglight.commands.html_page.bars import bar
from seglight.commands.html_page.element import Child, element
from seglight.commands.html_page.frame import Section
from seglight.commands.html_page.heat_map import heat_map
from seglight.commands.html_page.numbers import NONE, count, defined, percent, score, span
from seglight.commands.html_page.tables import Column, facts, name, table
from seglight.metrics.extremes import extremes

NOT_TRIED = "Not tried. Write the card with --robustness to try it."

SEVERITIES = 5

KINDS = 15
"""Number of the common kinds of corruptions."""

NAMES = {CLEAN: "none (clean)", WORST: "worst of the attacks tried"}
"""Texts of the rows that are no attacks."""


class Strongest(NamedTuple):
    """The attack that leaves least.

    Attributes:
        attack: Its name.
        radius: Its radius, as text.
        scores: Its scores.
        clean: mIoU of the same images as they are; None where it is not known.
    """

    attack: str
    radius: str
    scores: Mapping[str, Any]
    clean: float | None

    def how(self) -> list[Child]:
        """Attack, radius, steps and number of images, in words."""
        named = NAMES[WORST] if self.attack == WORST else name(self.attack)
        taken = self.scores.get("steps")
        each = f"at most {count(taken)} steps a run" if self.attack == WORST else f"{_steps(self.attack, taken)} steps"
        within = "within" if self.attack == WORST else "at"
        return [named, f" {within} {radius_text(self.radius)}, {each}, {count(self.scores.get('images'))} images"]


def strongest(card: Mapping[str, Any]) -> Strongest | None:
    """The attack that leaves the lowest mIoU; None if there is none."""
    attacks = (card.get("robustness") or {}).get("attacks") or {}
    clean = next((one.get("miou") for one in (attacks.get(CLEAN) or {}).values()), None)
    found = [
        Strongest(attack, radius, one, clean if defined(clean) else None)
        for attack, by_radius in attacks.items()
        if attack != CLEAN
        for radius, one in by_radius.items()
        if defined(one.get("miou"))
    ]
    return min(found, key=lambda one: float(one.scores["miou"]), default=None)


def _steps(attack: str, steps: Any) -> str:
    """Number of steps; SEA takes them in each of its three runs."""
    return f"3 x {count(steps)}" if attack == "sea" else count(steps)


def _not_tried(known: Mapping[str, Any]) -> str:
    return f"Left out: {known['left_out']}." if known.get("left_out") else NOT_TRIED


def corruptions(card: Mapping[str, Any]) -> Section:
    """Scores of corrupted images by kind and severity."""
    known = card.get("robustness") or {}
    about = (
        "The images of the split with noise, blur, weather and compression added; severity 1 is mild, 5 is harsh. The "
        "darker a cell, the higher the mean IoU; a row that fades shows what the net cannot bear."
    )
    kinds = known.get("corruptions") or {}
    content: list[Child] = []
    if kinds:
        rows = [
            (name(_words(kind)), [*_padded(one.get("severities") or []), one.get("mean")])
            for kind, one in sorted(kinds.items(), key=lambda pair: _order(pair[1].get("mean")))
        ]
        heads: list[Child] = [*map(str, range(1, SEVERITIES + 1)), "mean"]
        clean = (card.get("score") or {}).get("miou")
        content.append(facts([
            ("Mean over all corruptions", score(known.get("corruption_mean"))),
            ("On the images as they are", score(clean)),
            *_ratio(known.get("corruption_mean"), clean),
        ]))  # fmt: skip
        if not defined(known.get("corruption_mean")):
            reason = f"The mean over all corruptions is known if each of the {KINDS} common ones was tried."
            content.append(absent(reason))
        content.append(heat_map("Mean IoU by kind and severity, the lowest mean first.", "corruption", heads, rows))
    content += _relative(known.get("relative"))
    content += _consistency(known.get("consistency"))
    return Section("Corruptions", content or [absent(_not_tried(known))], about)


def attacks(card: Mapping[str, Any]) -> Section:
    """Scores of attacked images by attack and radius, by class and by size, and the search for gradient masking."""
    known = card.get("robustness") or {}
    about = (
        "Each image is changed on purpose, by at most the radius in each value, so that the net errs. The score that "
        "is left is an upper bound: a stronger attack can only lower it. Compare it with the clean score of the same "
        "images, as often only some of the split are attacked."
    )
    cases = [
        (attack, radius, one)
        for attack, by_radius in (known.get("attacks") or {}).items()
        for radius, one in by_radius.items()
    ]
    if not cases:
        return Section("Attacks", [absent(_not_tried(known))], about)
    rows: list[list[Child]] = [
        [
            NAMES.get(attack) or name(attack),
            NONE if attack == CLEAN else radius_text(radius),
            bar(one.get("miou")),
            score(one.get("miou")),
            score(one.get("accuracy")),
            NONE if attack in NAMES else _steps(attack, one.get("steps")),
            count(one.get("images")),
        ]
        for attack, radius, one in cases
    ]
    columns = [Column("attack", "name"), Column("radius"), Column("mean IoU, 0 to 1", "bar")]
    columns += map(Column, ("mean IoU", "accuracy", "steps", "images"))
    content: list[Child] = [table("Scores under attack; a radius of 1 is the whole range of a value.", columns, rows)]
    if any(attack == "sea" for attack, _, _ in cases):
        content.append(absent("The steps of SEA are those of its three runs, of which the worst counts."))
    content += _by_class(card, cases)
    content += _by_size(card, cases)
    content += _masking(known.get("gradient_masking"))
    return Section("Attacks", content, about)


def radius_text(radius: Any) -> str:
    """A radius as a share of 255, if it is one: 0.0157 is 4/255."""
    try:
        steps = float(radius) * 255
    except ValueError:
        return str(radius)
    return f"{round(steps)}/255" if round(steps) >= 1 and abs(steps - round(steps)) < 0.02 else f"{float(radius):.3g}"


def _order(value: Any) -> float:
    return float(value) if defined(value) else 2.0


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _padded(values: Sequence[Any]) -> list[Any]:
    """Values of all severities; those that were not tried are not defined."""
    return [*values, *[None] * SEVERITIES][:SEVERITIES]


def _ratio(value: Any, clean: Any) -> Iterator[tuple[str, Child]]:
    if defined(value) and defined(clean) and clean > 0:
        yield "Of the clean score", f"{100 * value / clean:.1f} %"


def _relative(known: Mapping[str, Any] | None) -> Iterator[Child]:
    """Degradation relative to that of another net."""
    if not known:
        return
    yield element("h3", "Relative to another net")
    pairs: list[tuple[str, Child]] = [
        ("Reference", name(str(known.get("reference") or NONE))),
        ("Mean corruption degradation", score(known.get("mean_cd"))),
        ("Mean relative degradation", score(known.get("mean_relative_cd"))),
    ]
    yield facts(pairs)
    lost, relative = known.get("cd") or {}, known.get("relative_cd") or {}
    rows: list[list[Child]] = [[name(_words(kind)), score(lost[kind]), score(relative.get(kind))] for kind in lost]
    columns = [Column("corruption", "name"), Column("degradation"), Column("relative degradation")]
    yield table("What is lost, divided by what the reference net loses: below 1 is better than it.", columns, rows)


def _consistency(known: Mapping[str, Any] | None) -> Iterator[Child]:
    """Shares of the pixels whose label stays when the image is mirrored, moved or resized."""
    if not known:
        return
    rows: list[list[Child]] = []
    for change, shares in known.items():
        by_amount = shares if isinstance(shares, Mapping) else {"": shares}
        rows += [[name(f"{_words(change)} {much}".strip()), bar(one), percent(one)] for much, one in by_amount.items()]
    yield element("h3", "Consistency")
    yield element(
        "p",
        "The share of pixels that keep their label when the image is mirrored, shifted or resized, and the labels are "
        "moved back. It needs no true labels: where it is low, the labels depend on how the image is placed; where it "
        "is high, they may still be wrong.",
    )
    columns = [Column("change", "name"), Column("0 to 100 %", "bar"), Column("same label")]
    yield table("Pixels with the same label.", columns, rows)


Case = tuple[str, str, Mapping[str, Any]]
Columns = tuple[list[Child], list[list[Any]], bool]


def _columns_of(cases: Sequence[Case], key: str, clean: Sequence[Any]) -> Columns:
    """Headings and values of a heat map: under each attack, and without one if no row of an attack says so."""
    kept = [case for case in cases if case[2].get(key)]
    heads: list[Child] = [
        CLEAN if attack == CLEAN else ["worst of all" if attack == WORST else name(attack), f" {radius_text(radius)}"]
        for attack, radius, _ in kept
    ]
    values = [[_iou(value) for value in one[key]] for _, _, one in kept]
    if not any(attack == CLEAN for attack, _, _ in kept):
        heads.insert(0, CLEAN)
        values.insert(0, list(clean))
    return heads, values, bool(kept)


def _by_class(card: Mapping[str, Any], cases: Sequence[Case]) -> Iterator[Child]:
    clean = {one["name"]: one.get("iou") for one in card.get("classes") or []}
    names = card.get("class_names") or []
    heads, values, any_attack = _columns_of(cases, "classes", [clean.get(label) for label in names])
    if any_attack:
        shown = extremes([clean.get(label) for label in names])
        rows = [(class_name(card, names[k]), [_at(column, k) for column in values]) for k in shown]
        yield heat_map("IoU of the classes, without and under attack.", "class", heads, rows)


def _by_size(card: Mapping[str, Any], cases: Sequence[Case]) -> Iterator[Child]:
    bins = (card.get("sizes") or {}).get("bins") or []
    heads, values, any_attack = _columns_of(cases, "sizes", [one.get("iou") for one in bins])
    if any_attack and bins:
        spans = [span(one.get("from"), one.get("to")) for one in bins]
        rows = [(where, [_at(column, k) for column in values]) for k, where in enumerate(spans)]
        yield heat_map("IoU by the area of objects in pixels.", "area", heads, rows)


def _iou(value: Any) -> Any:
    return value.get("iou") if isinstance(value, Mapping) else value


def _at(values: Sequence[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def _masking(known: Mapping[str, Any] | None) -> Iterator[Child]:
    """Checks whether the attacks fail only because the gradients say nothing."""
    checks = (known or {}).get("checks") or []
    yield element("h3", "Is the gradient masked?")
    if not checks:
        yield absent("This was not checked, so that the scores under attack may be too high.")
        return
    yield element(
        "p",
        "A net can seem robust because its gradients lead nowhere. Then attacks that need no gradient, further "
        "restarts, or a larger radius find what the attack missed. Where a check has failed, the scores may be too "
        "good; few steps fail some of the checks, too, with gradients that are not masked.",
    )
    rows: list[list[Child]] = [
        [name(str(one.get("name"))), _passed(one.get("passed")), str(one.get("detail") or "")] for one in checks
    ]
    columns = [Column("check", "name"), Column("result", "name"), Column("detail", "name")]
    yield table("Checks for gradient masking.", columns, rows)


def _passed(passed: Any) -> Child:
    if passed is None:
        return "not run"
    return element("span", "passed", class_="good") if passed else element("span", "failed", class_="bad")
