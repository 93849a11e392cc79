"""Axes: ticks and places, by hand."""

import pytest

from seglight.commands.html_page.plot import Axis, Plot, points, round_ticks


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 37, [0, 10, 20, 30]),
        (0.63, 0.71, [0.64, 0.66, 0.68, 0.7]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (3, 3, [3]),
        (0, 1e9, [0, 2e8, 4e8, 6e8, 8e8, 1e9]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high) == pytest.approx(ticks)


def test_places_of_the_corners() -> None:
    plot = Plot(Axis(0, 10, "x"), Axis(-1, 1, "y"))
    assert (plot.at_x(0), plot.at_x(5), plot.at_x(10)) == (60, 205, 350)
    assert (plot.at_y(-1), plot.at_y(0), plot.at_y(1)) == (190, 100, 10)
    assert plot.at_x(99) == 350
    assert (
        points([(1, 2.345), (3, 4)]) == "1.00,2.35 3.00,4.00" or points([(1, 2.345), (3, 4)]) == "1.00,2.34 3.00,4.00"
    )
