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


def recipe_of(sweep: Sweep, candidate: Mapping[str, Any], build: bool = False) -> str:
    """What `fit` would write as the `config.yaml` of a candidate.

    Args:
        sweep: Of which the base configs and the space.
        candidate: Keys of the space, choices as labels.
        build: Also build what the recipe names.

    Raises:
        UserError: A key or a value is wrong.
    """
    args = ["fit", *(part for path in sweep.configs for part in ("--config", path))]
    args += arguments(sweep.parameters, candidate)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    about = ", ".join(f"{key}={value}" for key, value in candidate.items())
    try:
        check_yaml(args)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # every trial says them itself
            recipe: str = (_Rehearsal if build else _Reading)(args).recipe
    except ArgumentError as error:
        raise UserError(f"the candidate {about}: {parser_complaint(str(error))}") from error
    except Exception as error:  # what a constructor refuses, it refuses in its own way
        mistake = user_error_behind(error) or error
        raise UserError(f"the candidate {about}: {one_line(mistake)}") from error
    return recipe


def rehearse(sweep: Sweep) -> int:
    """Build every corner of the space; gives their number.

    Raises:
        UserError: One of them is wrong.
    """
    candidates = list(corners(sweep.parameters))
    for candidate in candidates:
        recipe_of(sweep, candidate, build=True)
    return len(candidates)
