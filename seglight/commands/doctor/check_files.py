"""Findings about files one by one: damage, sizes, and how images are stored."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from seglight.commands.doctor.diagnose import file_trouble, image_troubles, mask_trouble, size_trouble
from seglight.commands.doctor.facts import LabelTable, PairFacts
from seglight.commands.doctor.finding import Case, Finding
from seglight.commands.doctor.rules import KINDS

MOSTLY = 0.95
"""Share of ignored pixels from which a mask is worth a look."""


def check_files(name: str, facts: Sequence[PairFacts], table: LabelTable) -> list[Finding]:
    """What is wrong with the files of a split."""
    cases: dict[str, list[Case]] = defaultdict(list)
    mixed = any(one.image.header.mode not in ("L", "") for one in facts)
    for one in facts:
        for slug, case in _of_pair(one, table):
            cases[slug].append(case)
        if mixed and one.image.header.mode in ("L", "1") and not one.image.header.problem:
            cases["grey-image"].append(Case(one.image.header.path, f"mode {one.image.header.mode}"))
    return [Finding(KINDS[slug], name, cases[slug]) for slug in KINDS if slug in cases]


def _of_pair(one: PairFacts, table: LabelTable) -> Iterator[tuple[str, Case]]:
    image, mask = one.image.header, one.mask.header
    for header in (image, mask):
        if trouble := file_trouble(header):
            yield trouble[0], Case(header.path, trouble[1])
    drawn = one.mask.content == "read" and mask.format != ""
    if trouble := size_trouble(image, mask, drawn):
        yield trouble[0], Case(image.path, trouble[1])
    for slug, note in image_troubles(one):
        yield slug, Case(image.path, note)
    if mask.problem:
        return
    if trouble := mask_trouble(one.mask, table):
        yield trouble[0], Case(mask.path, trouble[1])
    elif not one.mask.classes.any():
        yield "all-ignored", Case(mask.path)
    elif one.mask.ignored >= MOSTLY * one.mask.counts.sum():
        yield "mostly-ignored", Case(mask.path, f"{one.mask.ignored / one.mask.counts.sum():.1%}")
