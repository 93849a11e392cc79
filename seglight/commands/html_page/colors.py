"""Colours of curves and levels of heat maps, which the style sheet defines and charts name."""

SERIES = (
    ("#2a6cb0", "#6fadec"),
    ("#c05f10", "#f0a05a"),
    ("#2a7f57", "#6cc598"),
    ("#93449f", "#d79be0"),
    ("#8a6d00", "#d8bd55"),
    ("#b3372f", "#f0857d"),
    ("#3d7f88", "#74c3cd"),
    ("#5b6472", "#aab3bf"),
)
"""Colours of curves on light and on dark pages; each has a contrast of at least 3 to its page."""

DASHES = (None, "6 3", "2 3", "9 3 2 3")
"""Dashes of curves, so that neighbours can be told apart without their colours."""

LEVELS = 10
"""Levels of a heat map above its lowest one."""
