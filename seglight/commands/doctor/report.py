"""The doctor's report, on a terminal and as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seglight import __version__
from seglight.commands.doctor.band_statistics import BandStatistics
from seglight.commands.doctor.finding import Finding, Fixed
from seglight.commands.doctor.statistics import Statistics, class_fractions, class_weights, crop_size, spread_of
from seglight.errors import UserError, terminal
from seglight.metrics.extremes import extremes, extremes_line
from seglight.system.atomic import atomic_write
from seglight.system.terminal import Name

SHOWN = 4
"""Files that are named on the terminal; the JSON report names all."""


def as_dict(
    names: Sequence[str],
    numbers: Mapping[str, Statistics],
    findings: Sequence[Finding],
    fixed: Fixed | None,
    bands: BandStatistics | None = None,
) -> dict[str, Any]:
    """The whole report as plain values for JSON."""
    train = numbers.get("train")
    of_bands = {} if bands is None else {"bands": bands.as_dict()}
    return of_bands | {
        "seglight": __version__,
        "mistakes": sum(finding.rule.level == "mistake" for finding in findings),
        "hints": sum(finding.rule.level == "hint" for finding in findings),
        "findings": [finding.as_dict() for finding in findings],
        "splits": {name: one.as_dict(names) for name, one in numbers.items()},
        "crop_size": crop_size(train.sizes) if train else None,
        "class_weights": class_weights(train.pixels) if train else None,
        "rare_class_crops": class_fractions(train.pixels) if train else None,
        "fix": fixed and {
            part: [{"file": file, "slug": slug} for file, slug in cases]
            for part, cases in (("repaired", fixed.repaired), ("left", fixed.left))
        },
    }  # fmt: skip


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write the report as JSON.

    Raises:
        UserError: The file can't be written.
    """
    try:
        atomic_write(path, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"--json {path} can't be written: {error.strerror}") from error


def show(
    console: Console,
    names: Sequence[str],
    numbers: Mapping[str, Statistics],
    findings: Sequence[Finding],
    bands: BandStatistics | None = None,
) -> None:
    """Print tables of splits, classes and bands, the findings, and lines to paste into a recipe."""
    console.print(_splits(numbers), _classes(names, numbers), soft_wrap=False)
    if bands is not None:
        console.print(_bands(bands), soft_wrap=False)
    for finding in findings:
        _show_finding(console, finding)
    train = numbers.get("train")
    if train is not None and train.counted:
        console.print("\nready to paste, into data.init_args.augmentation of a recipe:")
        crop = crop_size(train.sizes)
        console.print(f"  crop_size: {list(crop) if isinstance(crop, tuple) else crop}")
        console.print(f"  rare_class_crops: {class_fractions(train.pixels)}")
        console.print("and into the init_args of its loss, such as CrossEntropy:")
        console.print(f"  class_weights: {class_weights(train.pixels)}")
    if bands is not None:
        console.print(f"\nready to paste, into classes.yaml or data.bands ({bands.images} images were measured):")
        console.print(bands.lines(), end="")
    mistakes = sum(finding.rule.level == "mistake" for finding in findings)
    hints = len(findings) - mistakes
    console.print(f"\n{mistakes} kinds of mistake, {hints} of hint" if findings else "\nnothing wrong was found")


def show_fix(console: Console, fixed: Fixed, target: Path) -> None:
    """Print what was repaired in the copy and what was not."""
    console.print(f"{target}: a copy with {len(fixed.repaired)} repairs")
    for file, slug in fixed.left:
        console.print(f"  not repaired: {terminal(file)} ({slug})")


def _show_finding(console: Console, finding: Finding) -> None:
    rule = finding.rule
    number = len(finding.cases)
    color = "red" if rule.level == "mistake" else "yellow"
    files = f", {number} file{'' if number == 1 else 's'}" if number else ""
    where = f" in {finding.split}" if finding.split else ""
    rest = terminal(f"{where}{files}: {rule.what}")
    console.print(Text.assemble("\n", (rule.level, color), " ", (rule.slug, "bold"), rest))
    if finding.note:
        console.print(f"  {finding.note}")
    for case in finding.cases[:SHOWN]:
        note = f" ({case.note})" if case.note else ""
        console.print(f"  {terminal(case.file)}{note}")
    if number > SHOWN:
        console.print(f"  and {number - SHOWN} more")
    console.print(f"  -> {rule.fix}")


def _bands(bands: BandStatistics) -> Table:
    """Percentiles, mean, spread and missing values of each band, in the units of the files."""
    title = f"bands of {bands.bands.type}; mean and std after clip and log"
    table = Table("band", "1%", "50%", "99%", "mean", "std", "no data", "saturated", title=title, title_justify="left")
    for index, name in enumerate(bands.bands.names):
        shares = f"{bands.missing[index]:.2%}", f"{bands.saturated[index]:.2%}"
        values = [*bands.percentiles[index].tolist(), bands.bands.mean[index], bands.bands.std[index]]
        table.add_row(Name(name), *(f"{value:.5g}" for value in values), *shares)
    return table


def _splits(numbers: Mapping[str, Statistics]) -> Table:
    table = Table("split", "images", "ignored", "height", "width", "aspect", title="splits", title_justify="left")
    for name, one in numbers.items():
        labelled = int(one.pixels.sum())
        ignored = f"{one.ignored / max(1, one.ignored + labelled):.2%}"
        spans = [_span(*span) for span in spread_of(one.sizes).values()] if one.sizes else ["-"] * 3
        table.add_row(Name(name), str(one.images), ignored, *spans)
    return table


def _span(least: float, median: float, most: float) -> str:
    if least == most:
        return f"{least:g}" if least == int(least) else f"{least:.2f}"
    digits = 0 if most > 50 else 2
    return f"{least:.{digits}f} .. {median:.{digits}f} .. {most:.{digits}f}"


def _classes(names: Sequence[str], numbers: Mapping[str, Statistics]) -> Table:
    """Fraction of the labelled pixels and number of images of each class, for each split."""
    title = f"share of labelled pixels, and images with the class\n{extremes_line(len(names), 'share')}".rstrip()
    table = Table("class", title=title, title_justify="left")
    for name in numbers:
        table.add_column(Name(name), justify="right")
    pixels = np.sum([one.pixels for one in numbers.values()], 0).tolist() if numbers else [0] * len(names)
    for index in extremes(pixels):
        cells = [
            f"{one.pixels[index] / max(1, one.pixels.sum()):.3%}  {one.images_with[index]:5d}"
            for one in numbers.values()
        ]
        table.add_row(Name(names[index]), *cells)
    return table
