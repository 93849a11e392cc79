"""Read a whole data set once and report what is wrong with it; with --fix, write a repaired copy.

With --model or --folds, report instead which labels of a split a net contradicts.
"""

from pathlib import Path

from seglight.commands.doctor.band_statistics import BandStatistics, band_statistics
from seglight.commands.doctor.check_bands import check_bands, check_missing
from seglight.commands.doctor.check_classes import check_classes
from seglight.commands.doctor.check_files import check_files
from seglight.commands.doctor.check_splits import check_splits
from seglight.commands.doctor.finding import Finding
from seglight.commands.doctor.fix import check_target, fix
from seglight.commands.doctor.label_errors.options import add_options, label_options, with_recipe_of_model
from seglight.commands.doctor.report import as_dict, show, show_fix, write_json
from seglight.commands.doctor.scan import Survey, survey
from seglight.commands.doctor.scenes import OF_WHOLE_IMAGES, check_scenes
from seglight.commands.doctor.statistics import Statistics, statistics
from seglight.commands.recipe import datamodule_from
from seglight.data.datamodule import FileDataModule, SegmentationDataModule
from seglight.data.datasets.scenes import ScenesDataModule
from seglight.errors import UserError
from seglight.system.collector import command_imports
from seglight.system.parsing import new_parser
from seglight.system.terminal import plain_console


def doctor(datamodule: SegmentationDataModule, fix_to: str | None = None, json: str | None = None) -> int:
    """Read every image and label of every split once and report what is wrong, in which files, and how to fix it.

    Args:
        datamodule: Data module, not set up.
        fix_to: Folder for a repaired copy; the source is never written to.
        json: File for the whole report, with all file names.

    Returns:
        The exit code: 1 if there is a mistake, else 0.

    Raises:
        UserError: No split exists, or the copy can't be written to its folder.
    """
    root = _root(datamodule, fix_to)
    found = survey(datamodule)
    numbers = {name: statistics(facts, found.tables[name]) for name, facts in found.splits.items()}
    bands = band_statistics(found.band_facts("train") or found.band_facts())
    findings = examine_all(datamodule, found, numbers, bands)
    console = plain_console()
    show(console, found.names, numbers, findings, bands)
    fixed = None
    if fix_to is not None and root is not None:
        fixed = fix(found, findings, root, Path(fix_to))
        show_fix(console, fixed, Path(fix_to))
    if json is not None:
        write_json(Path(json), as_dict(found.names, numbers, findings, fixed, bands))
    return int(any(finding.rule.level == "mistake" for finding in findings))


def examine_all(
    datamodule: SegmentationDataModule, found: Survey, numbers: dict[str, Statistics], bands: BandStatistics | None
) -> list[Finding]:
    """All findings about the files of a data module, those about places of scenes too, mistakes first."""
    findings = examine(found, numbers, bands)
    if not isinstance(datamodule, ScenesDataModule):
        return findings
    kept = [finding for finding in findings if finding.rule.slug not in OF_WHOLE_IMAGES]
    return _by_level(kept + check_scenes(datamodule, found.splits))


def examine(found: Survey, numbers: dict[str, Statistics], bands: BandStatistics | None = None) -> list[Finding]:
    """All findings about files, mistakes first."""
    findings = list(found.findings)
    for name, facts in found.splits.items():
        findings += check_files(name, facts, found.tables[name])
    findings += check_bands(found.band_facts(), bands, found.bands) + check_missing(found.splits)
    findings += check_classes(found, numbers) + check_splits(found)
    return _by_level(findings)


def _by_level(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.rule.level != "mistake")


def _root(datamodule: SegmentationDataModule, fix_to: str | None) -> Path | None:
    """Folder of the data set, if a repaired copy is requested."""
    if fix_to is None:
        return None
    if not isinstance(datamodule, FileDataModule):
        raise UserError("--fix: this data set is not a folder that can be copied: run doctor without --fix")
    check_target(datamodule.root, Path(fix_to))
    return datamodule.root


def main(args: list[str]) -> int:
    """Run `doctor` and return the exit code.

    Raises:
        UserError: See `doctor`, or the arguments are wrong.
    """
    parser = new_parser("doctor", __doc__, print_config=None)
    parser.add_argument(
        "--fix", type=str | None, default=None, metavar="DIR", help="folder for a repaired copy of the data set"
    )
    parser.add_argument("--json", type=str | None, default=None, metavar="FILE", help="file for the whole report")
    add_options(parser)
    datamodule, options = datamodule_from(parser, with_recipe_of_model(args[1:]))
    judging = label_options(options, args[1:])
    if judging is None:
        return doctor(datamodule, options.fix, options.json)
    with command_imports():  # torch, without which files are read
        from seglight.commands.doctor.label_errors.command import find_label_errors
    return find_label_errors(datamodule, judging)
