"""Numbers as a reader sees them."""

import itertools
import math
from typing import Any

import pytest

from seglight.commands.html_page import numbers


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        ("score", 0.63904, "0.639"),
        ("score", 1, "1.000"),
        ("score", None, "\N{EN DASH}"),
        ("score", math.nan, "\N{EN DASH}"),
        ("score", math.inf, "\N{EN DASH}"),
        ("score", "0.5", "\N{EN DASH}"),
        ("signed", 0.0123, "+0.012"),
        ("signed", -0.0123, "\N{MINUS SIGN}0.012"),
        ("signed", -0.0001, "+0.000"),
        ("signed", None, "\N{EN DASH}"),
        ("percent", 0.1234, "12.3 %"),
        ("percent", 0.00123, "0.12 %"),
        ("percent", 0.00001, "< 0.01 %"),
        ("percent", 0, "0.0 %"),
        ("percent", 1, "100.0 %"),
        ("percent", None, "\N{EN DASH}"),
        ("count", 1234567, "1,234,567"),
        ("count", None, "\N{EN DASH}"),
        ("short", 4_650_000, "4.65 M"),
        ("short", 3.21e9, "3.21 G"),
        ("short", 999_900, "1.00 M"),
        ("short", 123_456, "123 k"),
        ("short", 0.0213, "0.0213"),
        ("short", None, "\N{EN DASH}"),
        ("interval", [0.62, 0.6555], "0.620 to 0.655"),
        ("interval", [None, 0.6], "\N{EN DASH}"),
        ("interval", None, "\N{EN DASH}"),
    ],
)
def test_a_number(form: str, value: Any, text: str) -> None:
    assert getattr(numbers, form)(value) == text


def test_ranges_of_areas() -> None:
    edges = [0, 1024, 9216, None]
    texts = [numbers.span(low, high) for low, high in itertools.pairwise(edges)]
    assert texts == ["below 1,024", "1,024 to 9,216", "9,216 and more"]
    assert numbers.span(9216, math.inf) == "9,216 and more"
