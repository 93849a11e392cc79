"""Findings about all masks of a data set: classes that do not occur, 0/255 masks, labels shifted by one."""

from collections.abc import Iterator, Mapping
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from seglight.commands.doctor.facts import IGNORED, PairFacts
from seglight.commands.doctor.finding import Case, Finding
from seglight.commands.doctor.rules import RULES
from seglight.commands.doctor.scan import Survey
from seglight.commands.doctor.statistics import Statistics, is_sound

THICK = 0.3
"""Fraction of the pixels of value 255 in large areas from which 255 is unlikely to mark borders."""


def check_classes(survey: Survey, numbers: Mapping[str, Statistics]) -> list[Finding]:
    """Find defects in the masks of all splits together; splits whose masks are mostly wrong are left out."""
    binary = list(_binary(survey, numbers))
    if any(finding.rule.level == "mistake" for finding in binary):
        return binary
    usable = {name: one for name, one in numbers.items() if one.counted and 2 * one.counted >= one.images}
    return [*binary, *_absent(survey, usable), *_shifted(survey, usable)]


def _binary(survey: Survey, numbers: Mapping[str, Statistics]) -> Iterator[Finding]:
    """Masks of only 0 and 255 where 255 is ignored: a mistake if no class except that of 0 occurs in any mask."""
    seen = np.sum([one.pixels > 0 for one in numbers.values()], 0) if numbers else np.zeros(0)
    for name, facts in survey.splits.items():
        table = survey.tables[name]
        zero = table.values.get(0, IGNORED)
        if table.values.get(255) != IGNORED or zero == IGNORED or table.colour:
            continue
        masks = [one.mask for one in facts if one.mask.values.tolist() == [0, 255] and is_sound(one, table)]
        if not np.delete(seen, zero).any():
            slug = "binary-mask"
        else:
            slug, masks = "binary-suspect", [mask for mask in masks if mask.thick > THICK]
        if masks:
            yield Finding(RULES[slug], name, [Case(mask.header.path, "0 and 255") for mask in masks])


def _absent(survey: Survey, numbers: Mapping[str, Statistics]) -> Iterator[Finding]:
    if not numbers:
        return
    never, partly = [], []
    for index, name in enumerate(survey.names):
        where = [split for split, one in numbers.items() if one.pixels[index]]
        if not where:
            never.append(name)
        elif len(where) < len(numbers):
            partly.append(f"{name} (in {', '.join(where)})")
    for slug, names in (("class-never-seen", never), ("class-in-one-split", partly)):
        if names:
            yield Finding(RULES[slug], "", note=", ".join(names))


def _shifted(survey: Survey, numbers: Mapping[str, Statistics]) -> Iterator[Finding]:
    """Applying `reduce_zero_label` twice leaves the last class empty and ignores the first one."""
    last = len(survey.names) - 1
    found = False
    for here, there in permutations(numbers, 2):
        if numbers[here].pixels[last] and not numbers[there].pixels[last] and _fits(numbers[here], numbers[there]):
            found = True
            note = f"shifted by one, the class fractions of {here} equal those of {there}"
            yield Finding(RULES["shifted-labels"], there, _masks(survey.splits[there]), note)
    if found or last < 2 or not numbers:
        return
    pixels = np.sum([one.pixels for one in numbers.values()], 0)
    ignored = sum(one.ignored for one in numbers.values())
    if not pixels[last] and pixels[:last].all() and ignored >= np.median(pixels[:last]):
        note = f"only '{survey.names[last]}' never occurs, and {ignored / (ignored + pixels.sum()):.0%} is ignored"
        first = next(iter(numbers))
        yield Finding(RULES["shifted-labels"], first, _masks(survey.splits[first]), note)


def _masks(facts: list[PairFacts]) -> list[Case]:
    return [Case(one.mask.header.path) for one in facts if not one.mask.header.problem]


def _fits(right: Statistics, other: Statistics) -> bool:
    """Whether the class fractions of one split equal those of the other only after reducing the labels once more."""
    ours, theirs = _fractions(right), _fractions(other)
    reduced = np.concatenate([ours[1:-1], [0, ours[-1] + ours[0]]])
    apart = np.abs(ours - theirs).sum()
    return bool(apart > 0.05 and np.abs(reduced - theirs).sum() < apart / 2)


def _fractions(one: Statistics) -> NDArray[np.float64]:
    """Fractions of the classes and, last, of the ignored pixels."""
    counts = np.append(one.pixels, one.ignored)
    fractions: NDArray[np.float64] = counts / max(1, counts.sum())
    return fractions
