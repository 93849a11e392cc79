"""Dry run of a sweep: the parser of `fit` makes the recipes, and every corner of the space is built once."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from seglight.commands.fit.cli import SegmentationCLI
from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.overrides import (
    as_arguments,
    check_names,
    check_space,
    known_keys,
    normalized,
    unknown_key_message,
)
from seglight.commands.sweep.space import arguments, corners
from seglight.commands.sweep.study import new_record
from seglight.commands.sweep.trial import COSTS
from seglight.errors import UserError, one_line, user_error_behind
from seglight.system.escaping import tag
from seglight.system.parsing import parser_errors
from seglight.system.recipe_files import check_yaml
from seglight.training.resume.folder import check_apart

KNOWN_PACKAGES = ("seglight", "lightning")
"""Packages whose callbacks log no other values than those of the module."""


class _DryRunCLI(SegmentationCLI):
    """`fit` up to its first step: parses the recipe, and builds the module, the data module and the callbacks."""

    def _claimed_run_dir(self, proposal: Path) -> Path:
        """Lock no folder, as nothing is written."""
        return proposal

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Build no trainer: the devices may be those of another machine."""
        return

    def run_subcommand(self, subcommand: str) -> None:
        """Run nothing."""


class _RecipeCLI(_DryRunCLI):
    """`fit` up to its recipe."""

    def instantiate_classes(self) -> None:
        """Build nothing."""


def recipe_of(sweep: Sweep, candidate: Mapping[str, Any]) -> str:
    """Text that `fit` would write to `config.yaml` for a candidate.

    Args:
        sweep: Description of the sweep.
        candidate: Values by key of the space, choices as labels.

    Raises:
        UserError: A key or a value is wrong.
    """
    recipe: str = _build(_RecipeCLI, sweep, candidate, as_arguments(sweep.overrides)).recipe
    return recipe


def check_overrides(sweep: Sweep) -> None:
    """Check that the keys given on the command line exist in the recipe and are not searched by the space.

    Raises:
        UserError: A key is refused, or its value is wrong.
    """
    if not sweep.overrides:
        return
    check_names(sweep.overrides, bool(sweep.running.seeds))
    candidate = next(corners(sweep.parameters))
    recipe, complaint = _read(sweep, candidate, sweep.overrides)
    if recipe is None:
        raise UserError(_attributed(sweep, candidate, complaint))
    check_space(sweep.overrides, sweep.parameters, recipe)


def _read(
    sweep: Sweep, candidate: Mapping[str, Any], overrides: Mapping[str, list[str]]
) -> tuple[dict[str, Any] | None, str]:
    """Keys and values of a recipe, or None and the error message."""
    try:
        text = _build(_RecipeCLI, sweep, candidate, as_arguments(overrides)).recipe
    except UserError as error:
        return None, str(error)
    recipe: dict[str, Any] = yaml.safe_load(text)
    return recipe, ""


def _attributed(sweep: Sweep, candidate: Mapping[str, Any], complaint: str) -> str:
    """The error message with the override that causes it, that is, without which there is none or another one."""
    for key, texts in sweep.overrides.items():
        rest = {other: texts for other, texts in sweep.overrides.items() if other != key}
        recipe, other = _read(sweep, candidate, rest)
        if other == complaint:
            continue
        recipe = recipe or _read(sweep, candidate, {})[0]
        if recipe is not None and normalized(key) not in known_keys(recipe):
            return unknown_key_message(key, recipe)
        return f"--{key}={texts[-1]}: {complaint.removeprefix(_location(candidate))}"
    return complaint


def dry_run(sweep: Sweep, out: Path) -> int:
    """Ask for a candidate, build every corner of the space, and check that the objectives will be logged.

    Args:
        sweep: Description of the sweep.
        out: Folder of the sweep.

    Returns:
        The number of corners.

    Raises:
        UserError: A corner is wrong, its data set is in the folder of the sweep, or an objective will not be logged.
    """
    new_record(sweep, [])
    candidates = list(corners(sweep.parameters))
    for candidate in candidates:
        built = _build(_DryRunCLI, sweep, candidate, as_arguments(sweep.overrides))
        check_apart(out, built.data_root, "--out")
        _check_objectives(sweep, built)
    return len(candidates)


def _location(candidate: Mapping[str, Any]) -> str:
    return f"the candidate {', '.join(f'{key}={value}' for key, value in candidate.items())}: "


def _build(kind: type[_DryRunCLI], sweep: Sweep, candidate: Mapping[str, Any], overrides: Sequence[str]) -> _DryRunCLI:
    args = ["fit", *(part for path in sweep.configs for part in ("--config", path))]
    args += [*arguments(sweep.parameters, candidate), *overrides]
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        check_yaml(args)
        with parser_errors(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # every trial shows them itself
            return kind(args)
    except Exception as error:  # constructors refuse arguments with exceptions of any class
        cause = user_error_behind(error) or error
        raise UserError(f"{_location(candidate)}{one_line(cause)}") from error


def _check_objectives(sweep: Sweep, built: _DryRunCLI) -> None:
    options = built.config_init["fit"]
    if any(type(one).__module__.split(".")[0] not in KNOWN_PACKAGES for one in options.trainer.callbacks or []):
        return  # such a callback may log any value
    scores = ["miou", "acc", *(["loss"] if options.inferer is None else [])]
    logged = [*(f"val/{name}" for name in scores), *(f"val/iou/{tag(name)}" for name in built.model.class_names)]
    known = [*logged, "train/loss", *COSTS]
    unknown = [name for name in sweep.objectives if name not in known]
    if unknown:
        raise UserError(f"objectives: {unknown[0]}: a training logs no such value: give one of {', '.join(known)}")
