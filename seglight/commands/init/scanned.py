"""Reads the data set once, as `doctor` does, and says what is wrong with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seglight.commands.doctor.band_statistics import band_statistics
from seglight.commands.doctor.command import examine_all
from seglight.commands.doctor.finding import Finding
from seglight.commands.doctor.scan import survey
from seglight.commands.doctor.statistics import statistics
from seglight.commands.init.facts import DataFacts, data_facts
from seglight.commands.recipe import instantiate
from seglight.data import SegmentationDataModule
from seglight.data.datasets.scenes import ScenesDataModule
from seglight.data.disjoint import check_disjoint
from seglight.errors import UserError
from seglight.system.parsing import new_parser, parser_errors

LEAKS = ("near-duplicate", "sequence")
"""Hints that come first: images of one scene are in two splits, whose scores are too high."""

FIT_DECIDES = ("duplicate",)
"""Mistakes of which `fit` lets a few pass."""


@dataclass(frozen=True)
class Scan:
    """What one look at all files has shown.

    Args:
        facts: Facts that the recipe depends on.
        hints: What the user may want to look at, a line each.
        images: Number of images of each split.
    """

    facts: DataFacts
    hints: Sequence[str]
    images: Mapping[str, int]


def data_module(data: Mapping[str, Any], **options: Any) -> SegmentationDataModule:
    """The data module of the part `data` of a recipe.

    Args:
        data: Its import path and arguments.
        **options: Further arguments.

    Raises:
        UserError: The data module refuses its arguments.
    """
    parser = new_parser()
    parser.add_subclass_arguments(SegmentationDataModule, "data", fail_untyped=False)
    content = {"class_path": data["class_path"], "init_args": {**data["init_args"], **options}}
    with parser_errors():
        module: SegmentationDataModule = instantiate(parser, parser.parse_object({"data": content})).data
    return module


def scan(module: SegmentationDataModule, say: Callable[[str], None]) -> Scan:
    """Read every file of every split.

    Args:
        module: Data module, not set up.
        say: Function that shows a line; it is called with each mistake.

    Raises:
        UserError: `fit` would refuse the data.
    """
    found = survey(module)
    numbers = {name: statistics(facts, found.tables[name]) for name, facts in found.splits.items()}
    bands = band_statistics(found.band_facts("train") or found.band_facts())
    findings = examine_all(module, found, numbers, bands)
    mistakes = [one for one in findings if one.rule.level == "mistake"]
    for finding in mistakes:
        say(line_of(finding))
    refused = [one for one in mistakes if one.rule.slug not in FIT_DECIDES]
    if refused:
        what = "one kind of mistake" if len(refused) == 1 else f"{len(refused)} kinds of mistake"
        raise UserError(f"the data have {what}, named above, that `fit` refuses: correct them, then run init again")
    if isinstance(module, ScenesDataModule):
        module.check_disjoint()
    elif "val" in found.splits:
        check_disjoint(module.split("train"), module.split("val"))
    train = found.splits.get("train", [])
    val = found.splits.get("val", [])
    facts = data_facts(train, val, found.splits.get("test", []), found.tables["train"])
    facts = replace(facts, bands=module.bands)
    if isinstance(module, ScenesDataModule):
        facts = replace(facts, train=module.windows_per_epoch, by_window=True)
    if not sum(facts.pixels):
        raise UserError("no pixel of the training images is labelled: check the class table and the masks")
    hints = sorted(
        (one for one in findings if one.rule.level == "hint"), key=lambda finding: finding.rule.slug not in LEAKS
    )
    return Scan(facts, [line_of(one) for one in hints], {name: len(pairs) for name, pairs in found.splits.items()})


def line_of(finding: Finding) -> str:
    """A finding in one line: where, how many, what, and the remedy."""
    first = finding.cases[0] if finding.cases else None
    where = finding.split
    if first is not None:
        where = first.file + (f" ({first.note})" if first.note else "")
    more = f" (and {len(finding.cases) - 1} more)" if len(finding.cases) > 1 else ""
    note = f": {finding.note}" if finding.note else ""
    start = f"{where}{more}: " if where or more else ""
    return f"{start}{finding.rule.what}{note}: {finding.rule.fix}"
