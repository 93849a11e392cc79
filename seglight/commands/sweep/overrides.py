"""Keys of the recipe given on the command line of `sweep`: they hold for every trial, as they do for a run of `fit`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import yaml

from seglight.commands.sweep.space import Parameter
from seglight.errors import UserError

Overrides = dict[str, list[str]]
"""Keys and their texts in the order in which they were given; several texts only of a key that appends (`key+`)."""

OWN = {"--config": True, "-c": True, "--out": True, "--executor": True, "--resume": False, "--help": False, "-h": False}
"""Options of `sweep` itself, and whether a value follows."""

REFUSED = {
    "run_dir": "each trial has a folder of its own in --out",
    "resume": "trials always resume; --resume, without a value, resumes the sweep",
    "seeds": "give running.seeds in the sweep's file",
    "ckpt_path": "a sweep trains; use --model.weights FILE to start from published weights",
}
"""Keys of `fit` that are the sweep's own business, and what to do instead."""


SEED = "seed_everything"


def split(args: Sequence[str]) -> tuple[list[str], Overrides]:
    """Separate the options of `sweep` from keys of the recipe.

    Args:
        args: What follows "sweep" on the command line.

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
        if option in OWN or not option.startswith("--"):
            own += [arg, *([rest.pop(0)] if OWN.get(option) and not equals and rest else [])]
            continue
        key = option.removeprefix("--")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"{option}: give a value, as in {option}=VALUE")
            value = rest.pop(0)
        earlier = overrides.pop(key, [])  # a key that is given again counts where it stands last
        overrides[key] = [*(earlier if key.endswith("+") else []), value]
    return own, overrides


def as_arguments(overrides: Mapping[str, list[str]]) -> list[str]:
    """The arguments of `fit` that set the overrides."""
    return [f"--{key}={text}" for key, texts in overrides.items() for text in texts]


def shown(overrides: Mapping[str, list[str]]) -> dict[str, Any]:
    """Keys and values as YAML reads them, for comparisons and messages: 1e-3 and 0.001 are one."""
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


def plain(key: str) -> str:
    """A dotted key without `init_args`, which the parser of `fit` lets one leave out.

    `class_path` at the end stands for the whole object; a `+` there, which appends, is dropped.
    """
    return ".".join(
        part for part in key.removesuffix("+").removesuffix(".class_path").split(".") if part != "init_args"
    )


def check_names(overrides: Iterable[str], seeds: bool) -> None:
    """Refuse overrides that are the sweep's own business.

    Args:
        overrides: Dotted keys.
        seeds: Whether each training gets a seed of `running.seeds`.

    Raises:
        UserError: A key is refused.
    """
    for key in overrides:
        name = _completed(plain(key), REFUSED)
        if name in REFUSED:
            raise UserError(f"--{key}: not a key of a sweep's trials: {REFUSED[name]}")
        if _completed(name, [SEED]) == SEED and seeds:
            raise UserError(f"--{key}: running.seeds gives each training its seed: leave one of the two out")
        if name.startswith("print") or name.split(".")[-1] == "help":
            raise UserError(f"--{key}: not an option of sweep: give it to `seglight fit`")


def check_space(overrides: Iterable[str], space: Sequence[Parameter], recipe: Mapping[str, Any]) -> None:
    """Refuse overrides of what the space searches.

    Args:
        overrides: Dotted keys.
        space: What is searched.
        recipe: A recipe of the sweep, its keys and values nested.

    Raises:
        UserError: A key is one that is searched, or holds one.
    """
    known = known_keys(recipe)
    for key in overrides:
        name = _completed(plain(key), known)
        for parameter in space:
            if any(inside(plain(searched), name) for searched in _searched(parameter)):
                raise UserError(
                    f"--{key}: the sweep searches {parameter.key}: leave this out, or take that out of space:"
                )


def inside(key: str, other: str) -> bool:
    """Whether a dotted key is another or lies within it."""
    return key == other or key.startswith(f"{other}.")


def _searched(parameter: Parameter) -> list[str]:
    """The keys that a parameter sets; not those of config files, which the command line overrides as in `fit`."""
    if parameter.kind == "configs":
        return []
    values = [value for value in parameter.values if isinstance(value, dict)] if parameter.kind == "choice" else []
    return [parameter.key, *(f"{parameter.key}.{key}" for value in values for key in known_keys(value))]


def known_keys(content: Any, prefix: str = "") -> dict[str, str]:
    """Dotted keys of nested values, of leaves and of what holds them, by what is `plain` of them."""
    keys: dict[str, str] = {}
    for name, part in content.items() if isinstance(content, Mapping) else ():
        key = f"{prefix}.{name}".removeprefix(".")
        keys |= known_keys(part, key) | ({} if name in ("class_path", "init_args") else {plain(key): key})
    return keys


def _completed(key: str, known: Iterable[str]) -> str:
    """A key of which the parser takes the beginning, in full, if only one begins so."""
    candidates = [other for other in known if other.startswith(key) and other.count(".") == key.count(".")]
    return key if key in candidates or len(candidates) != 1 else candidates[0]


def unknown(key: str, recipe: Mapping[str, Any]) -> str:
    """What to say of a key that the recipe does not have: with the nearest one that it has."""
    known = known_keys(recipe)
    options = {option.removeprefix("--"): option.removeprefix("--") for option in OWN if option.startswith("--")}
    near = get_close_matches(plain(key), known | options, n=1)
    hint = f"did you mean --{(known | options)[near[0]]}?" if near else "`seglight fit --help` lists them"
    return f"--{key}: no such key in a recipe of this sweep: {hint}"


def text_of(overrides: Mapping[str, list[str]]) -> str:
    """The overrides in a line, as they may be typed."""
    return " ".join(
        f"--{key} {text if text and ' ' not in text else json.dumps(text)}"
        for key, texts in overrides.items()
        for text in texts
    )
