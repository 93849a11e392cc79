"""Keys of the recipe given on the command line of `sweep`: they apply to every trial, as they do to a run of `fit`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import yaml

from seglight.commands.sweep.space import Parameter
from seglight.errors import UserError

Overrides = dict[str, list[str]]
"""Keys and their texts in the order in which they were given; several texts only for a key that appends (`key+`)."""

OPTIONS = {
    "--config": True, "-c": True, "--out": True, "--executor": True, "--resume": False, "--help": False, "-h": False,
}  # fmt: skip
"""Options of `sweep` itself, and whether a value follows."""

REFUSED = {
    "run_dir": "each trial has its own folder in --out",
    "resume": "trials always resume; --resume, without a value, resumes the sweep",
    "seeds": "give running.seeds in the sweep's file",
    "ckpt_path": "a sweep trains; use --model.weights FILE to start from published weights",
}
"""Keys of `fit` that the sweep itself sets, and what to do instead."""

SEED = "seed_everything"


def split(args: Sequence[str]) -> tuple[list[str], Overrides]:
    """Separate the options of `sweep` from keys of the recipe.

    Args:
        args: Arguments that follow "sweep" on the command line.

    Returns:
        The arguments of `sweep` itself, and the overrides.

    Raises:
        UserError: A key has no value.
    """
    own: list[str] = []
    overrides: Overrides = {}
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        option, equals, value = arg.partition("=")
        if option in OPTIONS or not option.startswith("--"):
            own.append(arg)
            if OPTIONS.get(option) and not equals and rest:
                own.append(rest.pop(0))
            continue
        key = option.removeprefix("--")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"{option}: the value is missing: give one, as in {option}=VALUE")
            value = rest.pop(0)
        earlier = overrides.pop(key, [])  # a repeated key takes the position of its last occurrence
        overrides[key] = [*(earlier if key.endswith("+") else []), value]
    return own, overrides


def as_arguments(overrides: Mapping[str, list[str]]) -> list[str]:
    """Arguments of `fit` that set the overrides."""
    return [f"--{key}={text}" for key, texts in overrides.items() for text in texts]


def parsed(overrides: Mapping[str, list[str]]) -> dict[str, Any]:
    """Keys and values as YAML reads them, for comparisons and messages: 1e-3 equals 0.001."""
    return {
        key: [_value(text) for text in texts] if key.endswith("+") else _value(texts[-1])
        for key, texts in overrides.items()
    }


def _value(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str):
        try:
            return float(value)  # YAML reads 1e-3 as text
        except ValueError:
            return value
    return value


def normalized(key: str) -> str:
    """A dotted key without `init_args`, which may be left out on the command line of `fit`.

    A final `class_path` stands for the whole object; a final `+`, which appends, is removed.
    """
    return ".".join(
        part for part in key.removesuffix("+").removesuffix(".class_path").split(".") if part != "init_args"
    )


def check_names(overrides: Iterable[str], seeds: bool) -> None:
    """Refuse overrides of keys that the sweep itself sets.

    Args:
        overrides: Dotted keys.
        seeds: Whether the seeds of the trainings are given by `running.seeds`.

    Raises:
        UserError: A key is refused.
    """
    for key in overrides:
        name = _completed(normalized(key), REFUSED)
        if name in REFUSED:
            raise UserError(f"--{key}: the trials of a sweep do not take this key: {REFUSED[name]}")
        if _completed(name, [SEED]) == SEED and seeds:
            raise UserError(f"--{key}: running.seeds sets the seed of each training: leave out one of the two")
        if name.startswith("print") or name.split(".")[-1] == "help":
            raise UserError(f"--{key}: sweep has no such option: give it to `seglight fit`")


def check_space(overrides: Iterable[str], space: Sequence[Parameter], recipe: Mapping[str, Any]) -> None:
    """Refuse overrides of keys that the space searches.

    Args:
        overrides: Dotted keys.
        space: Parameters of the space.
        recipe: A recipe of the sweep, with nested keys and values.

    Raises:
        UserError: A key is searched, or contains one that is.
    """
    known = known_keys(recipe)
    for key in overrides:
        name = _completed(normalized(key), known)
        for parameter in space:
            if any(inside(normalized(searched), name) for searched in _searched(parameter)):
                raise UserError(
                    f"--{key}: the sweep searches {parameter.key}: leave out this override, or remove that key from "
                    "space:"
                )


def inside(key: str, other: str) -> bool:
    """Whether a dotted key equals another one or lies within it."""
    return key == other or key.startswith(f"{other}.")


def _searched(parameter: Parameter) -> list[str]:
    """Keys that a parameter sets, except those in config files, which the command line overrides as in `fit`."""
    if parameter.kind == "configs":
        return []
    values = [value for value in parameter.values if isinstance(value, dict)] if parameter.kind == "choice" else []
    return [parameter.key, *(f"{parameter.key}.{key}" for value in values for key in known_keys(value))]


def known_keys(content: Any, prefix: str = "") -> dict[str, str]:
    """Dotted keys of nested values, both leaves and inner nodes, by their `normalized` form."""
    keys: dict[str, str] = {}
    for name, part in content.items() if isinstance(content, Mapping) else ():
        key = f"{prefix}.{name}".removeprefix(".")
        keys |= known_keys(part, key)
        if name not in ("class_path", "init_args"):
            keys[normalized(key)] = key
    return keys


def _completed(key: str, known: Iterable[str]) -> str:
    """A key in full, if it is the unique beginning of a known one, as the parser accepts it."""
    candidates = [other for other in known if other.startswith(key) and other.count(".") == key.count(".")]
    return key if key in candidates or len(candidates) != 1 else candidates[0]


def unknown_key_message(key: str, recipe: Mapping[str, Any]) -> str:
    """Error message for a key that the recipe does not have, with the most similar one that it has."""
    known = known_keys(recipe)
    options = {option.removeprefix("--"): option.removeprefix("--") for option in OPTIONS if option.startswith("--")}
    similar = get_close_matches(normalized(key), known | options, n=1)
    hint = f"did you mean --{(known | options)[similar[0]]}?" if similar else "`seglight fit --help` lists all keys"
    return f"--{key}: a recipe of this sweep has no such key: {hint}"


def text_of(overrides: Mapping[str, list[str]]) -> str:
    """The overrides as they can be typed on a command line."""
    return " ".join(
        f"--{key} {text if text and ' ' not in text else json.dumps(text)}"
        for key, texts in overrides.items()
        for text in texts
    )
