"""SWEEP.yaml: the space that is searched, the objectives, and how the trials are run."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import yaml
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, GridSampler, QMCSampler, TPESampler

from seglight.commands.sweep.space import CHOICES, Parameter, parse_space
from seglight.errors import UserError
from seglight.system.class_paths import check_parsed, class_rules
from seglight.system.nested import parse_yaml
from seglight.system.parsing import new_parser, parser_errors
from seglight.system.safe_recipe import PLACES, is_safe_recipe


class SamplerFactory(Protocol):
    """One of Optuna's classes with its own arguments."""

    def __call__(self, *, seed: int) -> BaseSampler:
        """A sampler with this seed."""


class PrunerFactory(Protocol):
    """One of Optuna's classes with its own arguments."""

    def __call__(self) -> BasePruner:
        """A new pruner."""


@dataclass
class Running:
    """How trials are run.

    Attributes:
        parallel: Maximum number of trials that run at once.
        devices: GPUs per trial on this machine; for Slurm and Ray, give them in `slurm` and `ray`.
        seeds: Seeds of a candidate's trainings, whose mean score counts; none: one training with the recipe's seed.
        hours: Hours after which no new trial is started.
        retries: Number of times that a trial that ended with an error is resumed.
        pause: Seconds before it is resumed.
        keep: Checkpoints that are kept when a trial is done: those of the best trials, or all. Not given: `best`, but
            `all` for a sweep that was started before this key existed.
        slurm: Parameters of `submitit.SlurmExecutor`, such as partition, account, time in minutes, gpus_per_node.
        ray: Arguments of `ray.init`, such as address, and `resources`, those of a trial: num_cpus, num_gpus.
    """

    parallel: int = 1
    devices: int = 1
    seeds: list[int] = field(default_factory=list)
    hours: float | None = None
    retries: int = 2
    pause: float = 30.0
    keep: Literal["best", "all"] | None = None
    slurm: dict[str, Any] = field(default_factory=dict)
    ray: dict[str, Any] = field(default_factory=dict)


@dataclass
class Sweep:
    """Description of a sweep.

    Attributes:
        configs: Files of the base recipe, which compose as in `fit`.
        objectives: Directions by the name of a logged value or a cost; pruners use the first one.
        space: Ranges and choices by dotted key of the recipe.
        trials: Total number of candidates.
        sampler: One of the classes of `optuna.samplers`.
        pruner: One of the classes of `optuna.pruners`; its steps are validations, counted from 1.
        seed: Seed of the sampler.
        running: How trials are run.
        overrides: Texts by key of the recipe that was given on the command line.
    """

    configs: list[str]
    objectives: dict[str, Literal["maximize", "minimize"]]
    space: dict[str, dict[str, Any]]
    trials: int
    sampler: SamplerFactory = TPESampler
    pruner: PrunerFactory = NopPruner
    seed: int = 0
    running: Running = field(default_factory=Running)
    overrides: dict[str, list[str]] = field(default_factory=dict, init=False)

    @property
    def parameters(self) -> list[Parameter]:
        """Parameters of the space."""
        return parse_space(self.space)


def read_sweep(path: Path) -> Sweep:
    """Read and check SWEEP.yaml.

    Raises:
        UserError: The file is missing or wrong.
    """
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or f"the file is not valid YAML: {error}"
        raise UserError(f"--config {path}: {cause}") from error
    if not isinstance(content, dict) or not isinstance(content.get("space"), dict):
        raise UserError(
            f"--config {path}: the file describes no sweep: give the keys configs:, objectives:, space: and trials:"
        )
    parser = new_parser()
    parser.add_class_arguments(Sweep, "sweep")
    try:
        # the space stays as it is: the parser would instantiate the classes among its choices
        with parser_errors(), class_rules():
            options = parser.parse_object({"sweep": _with_grid(_without_empty_keys(content)) | {"space": {}}})
            check_parsed(options)
            sweep: Sweep = parser.instantiate(options).sweep
    except UserError as error:
        raise UserError(f"{path}: {str(error).replace('sweep.', '')}") from error
    sweep.space = content["space"]
    try:
        _check(sweep)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return sweep


def _without_empty_keys(content: dict[str, Any]) -> dict[str, Any]:
    """The content without keys that have no value; refuses what the parser itself does not report in one line."""
    content = {key: value for key, value in content.items() if value is not None}
    running = content.get("running", {})
    if not isinstance(running, dict):
        raise UserError(f"running: {running}: give keys and values, such as parallel: 2")
    for name in ("objectives", "space"):
        odd = [key for key in content.get(name) or () if not isinstance(key, str) or not key]
        if odd:
            raise UserError(f"{name}: {odd[0]}: the key is not a name: give text")
    for name in ("sampler", "pruner"):
        entry = content.get(name, "")
        described = entry if isinstance(entry, dict) else {"class_path": entry}
        if not isinstance(described.get("class_path"), str) or not isinstance(described.get("init_args") or {}, dict):
            raise UserError(f"{name}: {entry}: give class_path: with one of Optuna's classes, and init_args: if needed")
    return content | {"running": {key: value for key, value in running.items() if value is not None}}


def _with_grid(content: dict[str, Any]) -> dict[str, Any]:
    """The content with the choices of the space as the argument of a GridSampler."""
    sampler = content.get("sampler")
    if not isinstance(sampler, dict) or not str(sampler.get("class_path")).endswith(f".{GridSampler.__name__}"):
        return content
    parameters = parse_space(content["space"])
    odd = [parameter.key for parameter in parameters if parameter.kind not in CHOICES or parameter.when]
    if odd:
        raise UserError(f"space: {odd[0]}: a grid takes only choices without conditions: use another sampler")
    grid = {parameter.key: parameter.labels for parameter in parameters}
    return content | {"sampler": {**sampler, "init_args": {**(sampler.get("init_args") or {}), "search_space": grid}}}


def _check_safe(sweep: Sweep) -> None:
    """With --safe_recipe, refuse keys that can contain commands, and keys that would move the trials."""
    if not is_safe_recipe():
        return
    for name in ("slurm", "ray"):
        if getattr(sweep.running, name):
            raise UserError(f"running.{name}: refused by --safe_recipe, because it can contain commands: leave it out")
    for parameter in sweep.parameters:
        if parameter.key in PLACES:
            raise UserError(f"space: {parameter.key}: refused by --safe_recipe: leave it out")


def _check(sweep: Sweep) -> None:
    _check_safe(sweep)
    parameters = sweep.parameters
    if not sweep.configs or not parameters or not sweep.objectives:
        raise UserError("configs:, objectives: and space: give at least one entry for each of them")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = sweep.sampler(seed=sweep.seed)
            pruner = sweep.pruner()
    except (ValueError, TypeError) as error:  # raised by Optuna's checks
        raise UserError(f"sampler or pruner: {error}") from error
    if len(sweep.objectives) > 1 and not isinstance(pruner, NopPruner):
        raise UserError("pruner: Optuna prunes only with one objective, and there are several: leave out the pruner")
    if isinstance(sampler, QMCSampler):
        raise UserError("sampler: QMCSampler has a state that cannot be restored on --resume: use RandomSampler")
    if isinstance(sampler, GridSampler):
        size = 1
        for parameter in parameters:
            size *= len(parameter.values)
        sweep.trials = min(sweep.trials, size)
    _check_numbers(sweep)


def _check_numbers(sweep: Sweep) -> None:
    running = sweep.running
    hours = running.hours
    for name, value, least in (
        ("trials", sweep.trials, 1), ("running.parallel", running.parallel, 1), ("running.devices", running.devices, 1),
        ("seed", sweep.seed, 0), ("running.retries", running.retries, 0), ("running.pause", running.pause, 0),
        ("running.hours", 0 if hours is None else hours, 0),
        *(("running.seeds", seed, 0) for seed in running.seeds),
    ):  # fmt: skip
        if not least <= value < float("inf"):
            raise UserError(f"{name}: {value}: give at least {least}")
    if len(set(running.seeds)) < len(running.seeds):
        raise UserError(f"running.seeds: {running.seeds}: a seed is listed twice: remove one of the two")
