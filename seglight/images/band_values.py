"""Values of a description of bands, as they stand in YAML and JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def plain_value(value: Any) -> Any:
    """A value as YAML and JSON have it: lists instead of tuples, and "nan", which JSON has not."""
    if isinstance(value, Mapping):
        return {key: plain_value(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [plain_value(entry) for entry in value]
    return "nan" if isinstance(value, float) and math.isnan(value) else value


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{value!r} is not a list of names")
    return tuple(str(name) for name in value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _numbers(value: Any) -> tuple[float, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{value!r} is not a list of numbers")
    return tuple(_number(entry) for entry in value)


def _limits(value: Any) -> tuple[float, float]:
    numbers = _numbers(value)
    if len(numbers) != 2:
        raise ValueError(f"{value!r} is not [least, greatest]")
    return (numbers[0], numbers[1])


def _pair(value: Any) -> tuple[str, str]:
    names = _names(value)
    if len(names) != 2:
        raise ValueError(f"{value!r} does not name two bands")
    return (names[0], names[1])


def _by_name(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} has no names of bands as keys, as in '{{red: [...]}}'")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


READ: dict[str, Any] = {
    "names": _names,
    "type": str,
    "mean": _numbers,
    "std": _numbers,
    "nodata": _number,
    "valid": _limits,
    "clip": lambda value: {str(name): _limits(limits) for name, limits in _by_name(value).items()},
    "log": _names,
    "ratios": lambda value: {str(name): _pair(pair) for name, pair in _by_name(value).items()},
    "rgb": _names,
    "files": str,
    "pages": _flag,
}
"""Reads the value of each key; a TypeError or ValueError says what is wrong with it."""
