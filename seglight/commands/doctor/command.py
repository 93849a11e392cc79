"""Read a whole data set once and say what is wrong with it; with --fix, write a repaired copy."""

from pathlib import Path

from jsonargparse import ArgumentParser

from seglight.commands.doctor.check_classes import check_classes
from seglight.commands.doctor.check_files import check_files
from seglight.commands.doctor.check_splits import check_splits
from seglight.commands.doctor.finding import Finding
from seglight.commands.doctor.fix import check_target, fix
from seglight.commands.doctor.report import as_dict, show, show_fix, write_json
from seglight.commands.doctor.scan import Survey, survey
from seglight.commands.doctor.statistics import Statistics, statistics
from seglight.commands.recipe import datamodule_from
from seglight.data.datamodule import SegmentationDataModule
from seglight.errors import UserError
from seglight.system.terminal import plain_console


def doctor(datamodule: SegmentationDataModule, fix_to: str | None = None, json: str | None = None) -> int:
    """Read every image and label of every split once and report what is wrong, which files, and how to mend it.

    Args:
        datamodule: The data, not set up.
        fix_to: Folder for a repaired copy; the source is never written to.
        json: File for the whole report, with all file names.

    Returns:
        The exit code: 1 where there is a mistake, 0 where there are hints at most.

    Raises:
        UserError: No split is there, or the copy can't be written where it should.
    """
    root = _root(datamodule, fix_to)
    told = survey(datamodule)
    numbers = {name: statistics(facts, told.tables[name]) for name, facts in told.splits.items()}
    findings = examine(told, numbers)
    console = plain_console()
    show(console, told.names, numbers, findings)
    fixed = None
    if fix_to is not None and root is not None:
        fixed = fix(told, findings, root, Path(fix_to))
        show_fix(console, fixed, Path(fix_to))
    if json is not None:
        write_json(Path(json), as_dict(told.names, numbers, findings, fixed))
    return int(any(finding.kind.level == "mistake" for finding in findings))


def examine(told: Survey, numbers: dict[str, Statistics]) -> list[Finding]:
    """All findings, mistakes first."""
    findings = list(told.findings)
    for name, facts in told.splits.items():
        findings += check_files(name, facts, told.tables[name])
    findings += check_classes(told, numbers) + check_splits(told)
    return sorted(findings, key=lambda finding: finding.kind.level != "mistake")


def _root(datamodule: SegmentationDataModule, fix_to: str | None) -> Path | None:
    """The folder to copy, if one is asked for."""
    if fix_to is None:
        return None
    root = getattr(datamodule, "root", None)
    if not isinstance(root, Path):
        raise UserError("--fix: this data set does not lie in a folder that could be copied")
    check_target(root, Path(fix_to))
    return root


def main(args: list[str]) -> int:
    """Run `doctor`; gives the exit code.

    Raises:
        UserError: As `doctor`, or the arguments are wrong.
    """
    parser = ArgumentParser(prog="seglight doctor", description=__doc__, exit_on_error=False, print_config=None)
    parser.add_argument(
        "--fix", type=str | None, default=None, metavar="DIR", help="folder for a repaired copy of the data set"
    )
    parser.add_argument("--json", type=str | None, default=None, metavar="FILE", help="file for the whole report")
    datamodule, options = datamodule_from(parser, args[1:])
    return doctor(datamodule, options.fix, options.json)
