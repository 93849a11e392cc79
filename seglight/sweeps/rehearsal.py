"""The recipe of a candidate by the parser of `fit` itself, and all that it names built once before the first trial."""

import logging
import warnings
from argparse import ArgumentError
from collections.abc import Mapping
from typing import Any

from seglight.cli import SegmentationCLI, check_yaml
from seglight.errors import UserError, one_line, parser_complaint, user_error_behind
from seglight.sweeps.options import Sweep
from seglight.sweeps.space import arguments, corners
from seglight.sweeps.study import new_record
from seglight.sweeps.trial import COSTS

OWN = ("seglight", "lightning")
"""Packages whose callbacks log no values of their own."""


class _Rehearsal(SegmentationCLI):
    """`fit` up to its first step: parses, and builds the module, the data module and the callbacks."""

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """None: the devices are those of another machine."""
        return

    def _run_subcommand(self, subcommand: str) -> None:
        pass


class _Reading(_Rehearsal):
    """`fit` up to its recipe."""

    def instantiate_classes(self) -> None:
        """Build nothing."""

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        return {}


def recipe_of(sweep: Sweep, candidate: Mapping[str, Any]) -> str:
    """What `fit` would write as the `config.yaml` of a candidate, by its keys of the space, choices as labels.

    Raises:
        UserError: A key or a value is wrong.
    """
    recipe: str = _made(_Reading, sweep, candidate).recipe
    return recipe


def rehearse(sweep: Sweep) -> int:
    """Ask for a candidate, build every corner of the space, and see that what counts will be logged.

    Returns:
        The number of corners.

    Raises:
        UserError: One of them is wrong, or an objective is nothing that there will be.
    """
    new_record(sweep, [])
    candidates = list(corners(sweep.parameters))
    for candidate in candidates:
        _check_objectives(sweep, _made(_Rehearsal, sweep, candidate))
    return len(candidates)


def _made(kind: type[_Rehearsal], sweep: Sweep, candidate: Mapping[str, Any]) -> _Rehearsal:
    args = ["fit", *(part for path in sweep.configs for part in ("--config", path))]
    args += arguments(sweep.parameters, candidate)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    about = ", ".join(f"{key}={value}" for key, value in candidate.items())
    try:
        check_yaml(args)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # every trial says them itself
            return kind(args)
    except ArgumentError as error:
        raise UserError(f"the candidate {about}: {parser_complaint(str(error))}") from error
    except Exception as error:  # what a constructor refuses, it refuses in its own way
        mistake = user_error_behind(error) or error
        raise UserError(f"the candidate {about}: {one_line(mistake)}") from error


def _check_objectives(sweep: Sweep, built: _Rehearsal) -> None:
    options = built.config_init["fit"]
    if any(type(one).__module__.split(".")[0] not in OWN for one in options.trainer.callbacks or []):
        return  # it may log what it likes
    scores = ["miou", "acc", *(["loss"] if options.inferer is None else [])]
    logged = [*(f"val/{name}" for name in scores), *(f"val/iou/{name}" for name in built.model.class_names)]
    known = [*logged, "train/loss", *COSTS]
    unknown = [name for name in sweep.objectives if name not in known]
    if unknown:
        raise UserError(f"objectives: {unknown[0]}: a training gives none of that name: {', '.join(known)}")
