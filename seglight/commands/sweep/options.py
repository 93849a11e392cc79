"""SWEEP.yaml: what is searched, how, and with what."""

import warnings
from argparse import ArgumentError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import yaml
from jsonargparse import ArgumentParser
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, GridSampler, QMCSampler, TPESampler

from seglight.commands.sweep.space import CHOICES, Parameter, parse_space
from seglight.errors import UserError, parser_complaint
from seglight.system.class_paths import PLACES, check_parsed, class_rules, is_safe_recipe


class SamplerFactory(Protocol):
    """A class of Optuna's, its own arguments settled."""

    def __call__(self, *, seed: int) -> BaseSampler:
        """A sampler of this seed."""


class PrunerFactory(Protocol):
    """A class of Optuna's, its own arguments settled."""

    def __call__(self) -> BasePruner:
        """A pruner that has seen nothing yet."""


@dataclass
class Running:
    """How trials are run.

    Attributes:
        parallel: Trials at once.
        devices: GPUs a trial on this machine; elsewhere they stand among the parameters of the place.
        seeds: Trainings a candidate, whose mean counts; none: one, with the recipe's own seed.
        hours: After so long no new trial is begun.
        retries: How often a trial that ended by an error is gone on with.
        pause: Seconds before it is.
        keep: Whose checkpoints stay when a trial is done: those of the best trials, or all; none: see `sweeps.tidying`.
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
    """What is searched.

    Attributes:
        configs: The base recipe, files that compose as in `fit`.
        objectives: What counts, and which way; pruners look at the first.
        space: Dotted keys of the recipe and what they may be; see `sweeps.space`.
        trials: Candidates in all.
        sampler: A class of `optuna.samplers`.
        pruner: A class of `optuna.pruners`; its steps are validations, from 1.
        seed: Of the sampler.
        running: How trials are run.
        overrides: Keys of the recipe given on the command line, and their texts; see `sweeps.overrides`.
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
        """The space, read."""
        return parse_space(self.space)


def read_sweep(path: Path) -> Sweep:
    """Read and check SWEEP.yaml.

    Raises:
        UserError: It is missing, or something in it is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path}: {getattr(error, 'strerror', None) or f'not YAML: {error}'}") from error
    if not isinstance(content, dict) or not isinstance(content.get("space"), dict):
        raise UserError(f"--config {path}: no sweep: give configs:, objectives:, space: and trials:")
    try:
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(Sweep, "sweep")
        # the parser would make of a choice of classes what it makes of its own
        with class_rules():
            options = parser.parse_object({"sweep": _with_grid(_given(content)) | {"space": {}}})
            check_parsed(options)
            sweep: Sweep = parser.instantiate(options).sweep
        sweep.space = content["space"]
        _check(sweep)
    except ArgumentError as error:
        raise UserError(f"{path}: {parser_complaint(str(error)).replace('sweep.', '')}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return sweep


def _given(content: dict[str, Any]) -> dict[str, Any]:
    """What stands there: a key with nothing behind it is as good as none; refuses what the parser stumbles over."""
    content = {key: value for key, value in content.items() if value is not None}
    running = content.get("running", {})
    if not isinstance(running, dict):
        raise UserError(f"running: {running}: give keys such as parallel: and devices:")
    for name in ("objectives", "space"):
        odd = [key for key in content.get(name) or () if not isinstance(key, str) or not key]
        if odd:
            raise UserError(f"{name}: {odd[0]}: not the name of anything")
    for name in ("sampler", "pruner"):
        entry = content.get(name, "")
        given = entry if isinstance(entry, dict) else {"class_path": entry}
        if not isinstance(given.get("class_path"), str) or not isinstance(given.get("init_args") or {}, dict):
            raise UserError(f"{name}: {entry}: give class_path: one of Optuna's, and init_args: if it wants some")
    return content | {"running": {key: value for key, value in running.items() if value is not None}}


def _with_grid(content: dict[str, Any]) -> dict[str, Any]:
    """A grid is told the choices of the space, which stand there already."""
    sampler = content.get("sampler")
    if not isinstance(sampler, dict) or not str(sampler.get("class_path")).endswith(f".{GridSampler.__name__}"):
        return content
    parameters = parse_space(content["space"])
    odd = [parameter.key for parameter in parameters if parameter.kind not in CHOICES or parameter.when]
    if odd:
        raise UserError(f"space: {odd[0]}: a grid takes choices alone, without conditions")
    grid = {parameter.key: parameter.labels for parameter in parameters}
    return content | {"sampler": {**sampler, "init_args": {**(sampler.get("init_args") or {}), "search_space": grid}}}


def _check_safe(sweep: Sweep) -> None:
    """With --safe_recipe, refuse what places take as commands, and what would move the trials."""
    if not is_safe_recipe():
        return
    for name in ("slurm", "ray"):
        if getattr(sweep.running, name):
            raise UserError(f"running.{name}: refused by --safe_recipe, for it can hold commands: leave it out")
    for parameter in sweep.parameters:
        if parameter.key in PLACES:
            raise UserError(f"space: {parameter.key}: refused by --safe_recipe: leave it out")


def _check(sweep: Sweep) -> None:
    _check_safe(sweep)
    parameters = sweep.parameters
    if not sweep.configs or not parameters or not sweep.objectives:
        raise UserError("configs:, objectives: and space: each want an entry at least")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler, pruner = sweep.sampler(seed=sweep.seed), sweep.pruner()
    except (ValueError, TypeError) as error:  # Optuna's own checks
        raise UserError(f"sampler or pruner: {error}") from error
    if len(sweep.objectives) > 1 and not isinstance(pruner, NopPruner):
        raise UserError("pruner: Optuna prunes by one objective, here are several: leave it out")
    if isinstance(sampler, QMCSampler):
        raise UserError("sampler: QMCSampler keeps its place outside of the trials: use RandomSampler")
    if isinstance(sampler, GridSampler):
        size = 1
        for parameter in parameters:
            size *= len(parameter.values)
        sweep.trials = min(sweep.trials, size)
    _check_numbers(sweep)


def _check_numbers(sweep: Sweep) -> None:
    running, hours = sweep.running, sweep.running.hours
    for name, value, least in (
        ("trials", sweep.trials, 1), ("running.parallel", running.parallel, 1), ("running.devices", running.devices, 1),
        ("seed", sweep.seed, 0), ("running.retries", running.retries, 0), ("running.pause", running.pause, 0),
        ("running.hours", 0 if hours is None else hours, 0),
        *(("running.seeds", seed, 0) for seed in running.seeds),
    ):  # fmt: skip
        if not least <= value < float("inf"):
            raise UserError(f"{name}: {value}: give {least} at least")
    if len(set(running.seeds)) < len(running.seeds):
        raise UserError(f"running.seeds: {running.seeds}: one of them stands there twice")
