"""Read every file of a data set once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from seglight.commands.doctor.band_facts import BandFacts, lean
from seglight.commands.doctor.facts import IGNORED, LabelTable, PairFacts, pair_facts
from seglight.commands.doctor.finding import Finding
from seglight.commands.doctor.pairs import find_pairs
from seglight.commands.doctor.rules import RULES
from seglight.commands.doctor.samples import sample_facts
from seglight.commands.doctor.tables import split_table
from seglight.commands.doctor.tile_facts import tile_facts
from seglight.data.datamodule import FileDataModule, SegmentationDataModule
from seglight.data.datasets.scenes import ScenesDataModule
from seglight.data.pairs import FilePairs
from seglight.data.scenes.tiles import Tiles
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.interfaces import Labelled
from seglight.system.pool import spread

SPLITS = ("train", "val", "test")


@dataclass
class Survey:
    """What is known about a data set after reading it.

    Args:
        names: Names of the classes.
        tables: Meaning of the label values, for each split.
        splits: Facts about the pairs, for each split.
        findings: Findings about file names and splits.
        bands: Bands that the data module declares.
    """

    names: tuple[str, ...]
    tables: dict[str, LabelTable] = field(default_factory=dict)
    splits: dict[str, list[PairFacts]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    bands: Bands = RGB

    def band_facts(self, *names: str) -> list[BandFacts]:
        """Facts about the bands of images that are not 8-bit RGB, if at least half of the images are of this kind.

        Args:
            *names: Names of the splits; none: all splits.
        """
        every = [one.image for name in names or self.splits for one in self.splits.get(name, ())]
        found = [image.bands for image in every if image.bands is not None]
        return found if 2 * len(found) >= len(every) else []


def survey(datamodule: SegmentationDataModule) -> Survey:
    """Read every image and label of every split.

    Raises:
        UserError: No split is there.
    """
    missing: dict[str, UserError] = {}
    functions: dict[str, Callable[[Any], PairFacts]] = {}
    items: dict[str, Sequence[Any]] = {}
    found = Survey(datamodule.classes.names, bands=datamodule.bands)
    for name in SPLITS:
        try:
            split = _listed(datamodule, name)
        except UserError as error:
            missing[name] = error
            continue
        found.tables[name], functions[name], items[name] = _plan(datamodule, name, split, found.findings)
    if not items:
        raise next(iter(missing.values()))
    for name, reason in missing.items():
        if name != "test":  # many data sets do not publish their test labels
            found.findings.append(Finding(RULES["missing-split"], name, note=str(reason)))
    facts = spread(functions, [(name, item) for name in items for item in items[name]])
    number = sum(map(len, items.values()))
    known: dict[Any, Any] = {}
    found.splits = {name: [_lean(next(facts), number, known) for _ in items[name]] for name in items}
    next(facts, None)  # ends the progress bar
    return found


def _lean(facts: PairFacts, number: int, known: dict[Any, Any]) -> PairFacts:
    """Facts of one of many pairs, without what earlier ones know."""
    held = facts.image.bands
    if held is None:
        return facts
    return replace(facts, image=replace(facts.image, bands=lean(held, number, known)))


def _listed(datamodule: SegmentationDataModule, name: str) -> Labelled:
    """A split with all files that its layout expects, whether they exist or not; of scenes, all of it in tiles."""
    if isinstance(datamodule, ScenesDataModule):
        return datamodule.tiles(name)
    if isinstance(datamodule, FileDataModule) and type(datamodule).split is FileDataModule.split:
        return datamodule.unchecked_split(name)
    return datamodule.split(name)


def _plan(
    datamodule: SegmentationDataModule, name: str, split: Labelled, findings: list[Finding]
) -> tuple[LabelTable, Callable[[Any], PairFacts], Sequence[Any]]:
    """Label table of a split, function that reads one of its items, and the items."""
    number, indices, bands = len(datamodule.classes), range(len(split)), datamodule.bands
    if isinstance(split, Tiles):
        return _own_table(datamodule), partial(tile_facts, split, number), indices
    if isinstance(split, FilePairs):
        pairs, about_names = find_pairs(name, split)
        findings += about_names
        table = split_table(split, datamodule.classes)
        if table is not None:
            return table, partial(pair_facts, table=table, bands=bands), pairs
        there = [index for index in indices if all(path.is_file() for path in split.sources(index))]
        return _own_table(datamodule), partial(sample_facts, split, number, bands=bands), there
    return _own_table(datamodule), partial(sample_facts, split, number, bands=bands), indices


def _own_table(datamodule: SegmentationDataModule) -> LabelTable:
    """Label table of class indices, for labels that only the data set itself can read."""
    classes = datamodule.classes
    values = {**{index: index for index in range(len(classes))}, classes.ignore_index: IGNORED}
    return LabelTable(classes.names, classes.palette, values)
