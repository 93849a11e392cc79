"""The space of a sweep: dotted keys of a recipe with ranges or choices, some of which depend on another choice."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from seglight.errors import UserError

RANGES = ("log", "range", "integers")
"""Kinds of a parameter with two bounds."""

CHOICES = ("choice", "configs")
"""Kinds of a parameter with a list of values; those of `configs` are paths of config files."""

LARGEST = 2**53
"""Largest bound: beyond it, float64 does not represent all integers."""


class Suggest(Protocol):
    """The methods of an Optuna trial that a space uses."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number between two bounds."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """An integer between two bounds, which are included."""

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        """One of several values."""


@dataclass(frozen=True)
class Parameter:
    """One entry of a space.

    Attributes:
        key: Dotted key of the recipe; for `configs`, an arbitrary name.
        kind: One of RANGES and CHOICES.
        values: Two bounds of a range, or the choices.
        when: Earlier choices by key, and those of their values with which this parameter exists.
    """

    key: str
    kind: str
    values: tuple[Any, ...]
    when: Mapping[str, tuple[Any, ...]]

    def applies(self, candidate: Mapping[str, Any]) -> bool:
        """Whether the parameter exists, given the values that were chosen before it."""
        return all(key in candidate and candidate[key] in map(label, allowed) for key, allowed in self.when.items())

    def suggest(self, trial: Suggest) -> Any:
        """Ask Optuna for a value; a choice is returned as its `label`."""
        if self.kind == "integers":
            return trial.suggest_int(self.key, *self.values)
        if self.kind in RANGES:
            return trial.suggest_float(self.key, *self.values, log=self.kind == "log")
        return trial.suggest_categorical(self.key, self.labels)

    @property
    def labels(self) -> list[Any]:
        """Bounds or choices as Optuna stores them."""
        return [label(value) for value in self.values]

    def argument(self, value: Any) -> list[str]:
        """Arguments of `fit` that set the parameter to a value, which may be a label."""
        if self.kind == "configs":
            return ["--config", value]
        if self.kind == "choice":
            value = self.values[self.labels.index(value)]
        return [f"--{self.key}={value if isinstance(value, str) else json.dumps(value)}"]


def label(value: Any) -> Any:
    """A choice as Optuna stores it: plain values unchanged, lists and dicts as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def parse_space(space: Mapping[str, Mapping[str, Any]]) -> list[Parameter]:
    """Read the `space:` of a sweep.

    Raises:
        UserError: An entry is malformed, or depends on something that is not an earlier choice.
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
            raise UserError(f"space: {key}: when: {when}: give the key of a choice and a list of its values")
        conditions = {name: tuple(v if isinstance(v, list) else [v]) for name, v in when.items()}
        parameter = Parameter(key, kinds[0], tuple(values), conditions)
        _check_values(parameter)
        _check_condition(parameter, parameters)
        parameters[key] = parameter
    return list(parameters.values())


def _check_values(parameter: Parameter) -> None:
    values = parameter.values
    location = f"space: {parameter.key}: {parameter.kind}: {list(values)}"
    if parameter.kind in CHOICES:
        _check_choices(parameter, location)
    else:
        _check_bounds(parameter, location)
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"{location}: give text, finite numbers, or lists of them") from error


def _check_choices(parameter: Parameter, location: str) -> None:
    if parameter.kind == "configs" and not all(isinstance(value, str) for value in parameter.values):
        raise UserError(f"{location}: give paths of config files")
    try:
        labels = parameter.labels
    except TypeError as error:  # such as a date
        raise UserError(f"{location}: {error}: give text, finite numbers, or lists of them") from error
    if any(one in labels[:index] for index, one in enumerate(labels)):  # Optuna does not distinguish 1, 1.0 and true
        raise UserError(f"{location}: a value is listed twice: remove one of the two")


def _check_bounds(parameter: Parameter, location: str) -> None:
    values = parameter.values
    kind = int if parameter.kind == "integers" else (int, float)
    if len(values) != 2 or not all(isinstance(bound, kind) and not isinstance(bound, bool) for bound in values):
        note = " (YAML reads 1e-5 as text: write 1.0e-5)" if any(isinstance(bound, str) for bound in values) else ""
        raise UserError(f"{location}: give two {'integers' if kind is int else 'numbers'}{note}")
    if not values[0] < values[1] or (parameter.kind == "log" and values[0] <= 0):
        positive = " and positive" if parameter.kind == "log" else ""
        raise UserError(f"{location}: the first number has to be less than the second{positive}")
    if max(map(abs, values)) > LARGEST:
        raise UserError(f"{location}: give numbers of at most {LARGEST:.1e}")


def _check_condition(parameter: Parameter, before: Mapping[str, Parameter]) -> None:
    for name, values in parameter.when.items():
        location = f"space: {parameter.key}: when: {name}"
        if name not in before or before[name].kind not in CHOICES:
            raise UserError(f"{location}: no choice with this key comes before it: give the key of an earlier choice")
        unknown = [value for value in values if value not in before[name].values]
        if unknown:
            raise UserError(f"{location}: {unknown[0]} is not one of {list(before[name].values)}")


def propose(space: list[Parameter], trial: Suggest) -> dict[str, Any]:
    """A candidate: the value of each parameter that exists in it, choices as labels."""
    candidate: dict[str, Any] = {}
    for parameter in space:
        if parameter.applies(candidate):
            candidate[parameter.key] = parameter.suggest(trial)
    return candidate


def arguments(space: list[Parameter], candidate: Mapping[str, Any]) -> list[str]:
    """Arguments of `fit` that turn the base recipe into a candidate: config files first, keys after them."""
    present = [parameter for parameter in space if parameter.key in candidate]
    present.sort(key=lambda parameter: parameter.kind != "configs")
    return [part for parameter in present for part in parameter.argument(candidate[parameter.key])]


def corners(space: list[Parameter]) -> Iterator[dict[str, Any]]:
    """Candidates that expose every wrong key or value: a covering set, not all combinations.

    Config files, and choices that other parameters depend on, appear in every combination; in each of these, every
    other parameter takes each of its bounds or choices at least once, all at the same time. So each value of each
    parameter is built with every config file that it can be combined with; an incompatible pair of values is found if
    one of the two is a config file or a choice that others depend on.
    """
    conditions = {name for parameter in space for name in parameter.when}
    switches = [parameter for parameter in space if parameter.kind == "configs" or parameter.key in conditions]
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
