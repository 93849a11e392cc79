"""What a sweep may change: dotted keys of a recipe with ranges or choices, some only where another is chosen."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from seglight.errors import UserError

RANGES, CHOICES = ("log", "range", "integers"), ("choice", "configs")
"""Kinds of a parameter: two ends, or one of several values; those of `configs` are whole config files."""

LARGEST = 2**53
"""Beyond it, float64 leaves out whole numbers."""


class Suggest(Protocol):
    """What of an Optuna trial a space asks."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number between two ends."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """A whole number between two ends, which count."""

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        """One of several."""


@dataclass(frozen=True)
class Parameter:
    """One entry of a space.

    Attributes:
        key: Dotted key of the recipe; of `configs`, a name.
        kind: One of RANGES and CHOICES.
        values: The two ends of a range, or the choices.
        when: Keys of choices that stand before it, and with which of their values this parameter is there.
    """

    key: str
    kind: str
    values: tuple[Any, ...]
    when: Mapping[str, tuple[Any, ...]]

    def applies(self, candidate: Mapping[str, Any]) -> bool:
        """Whether the parameter is there beside what was chosen already."""
        return all(key in candidate and candidate[key] in map(label, some) for key, some in self.when.items())

    def suggest(self, trial: Suggest) -> Any:
        """Ask Optuna for a value; a choice comes as its `label`."""
        if self.kind == "integers":
            return trial.suggest_int(self.key, *self.values)
        if self.kind in RANGES:
            return trial.suggest_float(self.key, *self.values, log=self.kind == "log")
        return trial.suggest_categorical(self.key, self.labels)

    @property
    def labels(self) -> list[Any]:
        """The ends or the choices as Optuna knows them."""
        return [label(value) for value in self.values]

    def argument(self, value: Any) -> list[str]:
        """The arguments of `fit` that set the parameter to a value, which may be a label."""
        if self.kind == "configs":
            return ["--config", value]
        if self.kind == "choice":
            value = self.values[self.labels.index(value)]
        return [f"--{self.key}={value if isinstance(value, str) else json.dumps(value)}"]


def label(value: Any) -> Any:
    """A choice as Optuna keeps it: plain values as they are, lists and dicts as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def parse_space(space: Mapping[str, Mapping[str, Any]]) -> list[Parameter]:
    """Read the `space:` of a sweep.

    Raises:
        UserError: An entry is none, or hangs on one that is no choice before it.
    """
    parameters: dict[str, Parameter] = {}
    for key, entry in space.items():
        kinds = [name for name in entry if name != "when"] if isinstance(entry, dict) else []
        if len(kinds) != 1 or kinds[0] not in RANGES + CHOICES:
            raise UserError(f"space: {key}: {entry}: give one of {', '.join(RANGES + CHOICES)}")
        values = entry[kinds[0]]
        if not isinstance(values, list) or not values:
            raise UserError(f"space: {key}: {kinds[0]}: {values}: give a list")
        when = entry.get("when") or {}
        if not isinstance(when, dict) or [] in when.values():
            raise UserError(f"space: {key}: when: {when}: give the name of a choice and which of its values")
        conditions = {name: tuple(v if isinstance(v, list) else [v]) for name, v in when.items()}
        parameter = Parameter(key, kinds[0], tuple(values), conditions)
        _check_values(parameter)
        _check_condition(parameter, parameters)
        parameters[key] = parameter
    return list(parameters.values())


def _check_values(parameter: Parameter) -> None:
    values, about = parameter.values, f"space: {parameter.key}: {parameter.kind}: {list(parameter.values)}"
    (_check_choices if parameter.kind in CHOICES else _check_ends)(parameter, about)
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"{about}: give text, numbers that are finite, or lists of them") from error


def _check_choices(parameter: Parameter, about: str) -> None:
    if parameter.kind == "configs" and not all(isinstance(value, str) for value in parameter.values):
        raise UserError(f"{about}: give paths of config files")
    try:
        labels = parameter.labels
    except TypeError as error:  # a date, say
        raise UserError(f"{about}: {error}") from error
    if any(one in labels[:place] for place, one in enumerate(labels)):  # 1, 1.0 and true are one to Optuna
        raise UserError(f"{about}: one of them stands there twice")


def _check_ends(parameter: Parameter, about: str) -> None:
    values = parameter.values
    wanted = int if parameter.kind == "integers" else (int, float)
    if len(values) != 2 or not all(isinstance(end, wanted) and not isinstance(end, bool) for end in values):
        note = " (YAML reads 1e-5 as text: write 1.0e-5)" if any(isinstance(end, str) for end in values) else ""
        raise UserError(f"{about}: give two {'whole ' if wanted is int else ''}numbers{note}")
    if not values[0] < values[1] or (parameter.kind == "log" and values[0] <= 0):
        above = ", and above 0" if parameter.kind == "log" else ""
        raise UserError(f"{about}: the first has to be less than the second{above}")
    if max(map(abs, values)) > LARGEST:
        raise UserError(f"{about}: beyond {LARGEST:.1e}")


def _check_condition(parameter: Parameter, before: Mapping[str, Parameter]) -> None:
    for name, values in parameter.when.items():
        about = f"space: {parameter.key}: when: {name}"
        if name not in before or before[name].kind not in CHOICES:
            raise UserError(f"{about}: no choice of that name stands before it")
        unknown = [value for value in values if value not in before[name].values]
        if unknown:
            raise UserError(f"{about}: {unknown[0]} is none of {list(before[name].values)}")


def propose(space: list[Parameter], trial: Suggest) -> dict[str, Any]:
    """A candidate: the value of each parameter that is there, a choice as its label."""
    candidate: dict[str, Any] = {}
    for parameter in space:
        if parameter.applies(candidate):
            candidate[parameter.key] = parameter.suggest(trial)
    return candidate


def arguments(space: list[Parameter], candidate: Mapping[str, Any]) -> list[str]:
    """The arguments of `fit` that make a candidate of the base recipe: config files first, keys over them."""
    there = [parameter for parameter in space if parameter.key in candidate]
    there.sort(key=lambda parameter: parameter.kind != "configs")
    return [part for parameter in there for part in parameter.argument(candidate[parameter.key])]


def corners(space: list[Parameter]) -> Iterator[dict[str, Any]]:
    """Candidates in which each mistake of a key or a value shows: a covering set, not all combinations.

    Config files, and choices that others hang on, come in every combination; in each, every other parameter that is
    there takes each of its ends or choices once at least, all at the same time. So each value of each parameter is
    built with every config file that it may meet; two values that do not go together are found where they are switches.
    """
    hung_on = {name for parameter in space for name in parameter.when}
    switches = [parameter for parameter in space if parameter.kind == "configs" or parameter.key in hung_on]
    combinations: list[dict[str, Any]] = []
    for chosen in itertools.product(*(parameter.labels for parameter in switches)):
        combination: dict[str, Any] = {}
        for parameter, value in zip(switches, chosen, strict=True):
            if parameter.applies(combination):
                combination[parameter.key] = value
        if combination not in combinations:
            combinations.append(combination)
    for combination in combinations:
        rest = [parameter for parameter in space if parameter not in switches and parameter.applies(combination)]
        for row in range(max((len(parameter.values) for parameter in rest), default=1)):
            yield combination | {parameter.key: parameter.labels[row % len(parameter.labels)] for parameter in rest}
