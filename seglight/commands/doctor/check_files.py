"""Findings about single files: damage, sizes, and the storage of images."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from seglight.commands.doctor.diagnose import diagnose_file, diagnose_image, diagnose_mask, diagnose_sizes
from seglight.commands.doctor.facts import LabelTable, PairFacts
from seglight.commands.doctor.finding import Case, Finding
from seglight.commands.doctor.rules import RULES

MOSTLY = 0.95
"""Fraction of ignored pixels from which a mask should be inspected."""


def check_files(name: str, facts: Sequence[PairFacts], table: LabelTable) -> list[Finding]:
    """Find defects in the files of a split."""
    cases: dict[str, list[Case]] = defaultdict(list)
    mixed = any(one.image.header.mode not in ("L", "") for one in facts)
    for one in facts:
        for slug, case in _of_pair(one, table):
            cases[slug].append(case)
        if mixed and one.image.header.mode in ("L", "1") and not one.image.header.problem:
            cases["grey-image"].append(Case(one.image.header.path, f"mode {one.image.header.mode}"))
    return [Finding(RULES[slug], name, cases[slug]) for slug in RULES if slug in cases]


def _of_pair(one: PairFacts, table: LabelTable) -> Iterator[tuple[str, Case]]:
    image, mask = one.image.header, one.mask.header
    for header in (image, mask):
        if diagnosis := diagnose_file(header):
            yield diagnosis[0], Case(header.path, diagnosis[1])
    drawn = one.mask.content == "read" and mask.format != ""
    if diagnosis := diagnose_sizes(image, mask, drawn):
        yield diagnosis[0], Case(image.path, diagnosis[1])
    for slug, note in diagnose_image(one):
        yield slug, Case(image.path, note)
    if mask.problem:
        return
    if diagnosis := diagnose_mask(one.mask, table):
        yield diagnosis[0], Case(mask.path, diagnosis[1])
    elif not one.mask.classes.any() and not one.mask.nodata:
        yield "all-ignored", Case(mask.path)
    elif one.mask.ignored >= MOSTLY * one.mask.counts.sum():
        yield "mostly-ignored", Case(mask.path, f"{one.mask.ignored / one.mask.counts.sum():.1%}")
