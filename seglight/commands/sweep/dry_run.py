"""The recipe of a candidate by the parser of `fit` itself, and all that it names built once before the first trial."""

import logging
import warnings
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from seglight.commands.fit.cli import SegmentationCLI, check_yaml
from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.overrides import as_arguments, check_names, check_space, known_keys, plain, unknown
from seglight.commands.sweep.space import arguments, corners
from seglight.commands.sweep.study import new_record
from seglight.commands.sweep.trial import COSTS
from seglight.errors import UserError, one_line, parser_complaint, user_error_behind
from seglight.system.escaping import tag
from seglight.training.resume.folder import check_apart

OWN = ("seglight", "lightning")
"""Packages whose callbacks log no values of their own."""


class _Rehearsal(SegmentationCLI):
    """`fit` up to its first step: parses, and builds the module, the data module and the callbacks."""

    def _claimed_run_dir(self, proposal: Path) -> Path:
        """None that is written to."""
        return proposal

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """None: the devices are those of another machine."""
        return

    def run_subcommand(self, subcommand: str) -> None:
        """Run nothing."""


class _Reading(_Rehearsal):
    """`fit` up to its recipe."""

    def instantiate_classes(self) -> None:
        """Build nothing."""


def recipe_of(sweep: Sweep, candidate: Mapping[str, Any]) -> str:
    """What `fit` would write as the `config.yaml` of a candidate, by its keys of the space, choices as labels.

    Raises:
        UserError: A key or a value is wrong.
    """
    recipe: str = _made(_Reading, sweep, candidate, as_arguments(sweep.overrides)).recipe
    return recipe


def check_overrides(sweep: Sweep) -> None:
    """See that the keys given on the command line are ones of the recipe that the space leaves alone.

    Raises:
        UserError: One is not, or its value is wrong.
    """
    if not sweep.overrides:
        return
    check_names(sweep.overrides, bool(sweep.running.seeds))
    candidate = next(corners(sweep.parameters))
    recipe, complaint = _read(sweep, candidate, sweep.overrides)
    if recipe is None:
        raise UserError(_blamed(sweep, candidate, complaint))
    check_space(sweep.overrides, sweep.parameters, recipe)


def _read(
    sweep: Sweep, candidate: Mapping[str, Any], overrides: Mapping[str, list[str]]
) -> tuple[dict[str, Any] | None, str]:
    """The keys and values of a recipe, or None and what is wrong with it."""
    try:
        text = _made(_Reading, sweep, candidate, as_arguments(overrides)).recipe
    except UserError as error:
        return None, str(error)
    recipe: dict[str, Any] = yaml.safe_load(text)
    return recipe, ""


def _blamed(sweep: Sweep, candidate: Mapping[str, Any], complaint: str) -> str:
    """The complaint about a recipe with the override that causes it: without that one, there is none, or another."""
    for key, texts in sweep.overrides.items():
        rest = {other: texts for other, texts in sweep.overrides.items() if other != key}
        recipe, other = _read(sweep, candidate, rest)
        if other == complaint:
            continue
        recipe = recipe or _read(sweep, candidate, {})[0]
        if recipe is not None and plain(key) not in known_keys(recipe):
            return unknown(key, recipe)
        return f"--{key}={texts[-1]}: {complaint.removeprefix(_about(candidate))}"
    return complaint


def rehearse(sweep: Sweep, out: Path) -> int:
    """Ask for a candidate, build every corner of the space, and see that what counts will be logged.

    Args:
        sweep: What is searched.
        out: Folder of the sweep.

    Returns:
        The number of corners.

    Raises:
        UserError: One of them is wrong, its data set lies where trials are written to, or an objective is nothing that
            there will be.
    """
    new_record(sweep, [])
    candidates = list(corners(sweep.parameters))
    for candidate in candidates:
        built = _made(_Rehearsal, sweep, candidate, as_arguments(sweep.overrides))
        check_apart(out, built.data_root, "--out")
        _check_objectives(sweep, built)
    return len(candidates)


def _about(candidate: Mapping[str, Any]) -> str:
    return f"the candidate {', '.join(f'{key}={value}' for key, value in candidate.items())}: "


def _made(kind: type[_Rehearsal], sweep: Sweep, candidate: Mapping[str, Any], overrides: Sequence[str]) -> _Rehearsal:
    args = ["fit", *(part for path in sweep.configs for part in ("--config", path))]
    args += [*arguments(sweep.parameters, candidate), *overrides]
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        check_yaml(args)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # every trial says them itself
            return kind(args)
    except ArgumentError as error:
        raise UserError(f"{_about(candidate)}{parser_complaint(str(error))}") from error
    except Exception as error:  # what a constructor refuses, it refuses in its own way
        mistake = user_error_behind(error) or error
        raise UserError(f"{_about(candidate)}{one_line(mistake)}") from error


def _check_objectives(sweep: Sweep, built: _Rehearsal) -> None:
    options = built.config_init["fit"]
    if any(type(one).__module__.split(".")[0] not in OWN for one in options.trainer.callbacks or []):
        return  # it may log what it likes
    scores = ["miou", "acc", *(["loss"] if options.inferer is None else [])]
    logged = [*(f"val/{name}" for name in scores), *(f"val/iou/{tag(name)}" for name in built.model.class_names)]
    known = [*logged, "train/loss", *COSTS]
    unknown = [name for name in sweep.objectives if name not in known]
    if unknown:
        raise UserError(f"objectives: {unknown[0]}: a training gives none of that name: {', '.join(known)}")
