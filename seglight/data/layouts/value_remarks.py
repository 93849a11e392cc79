"""Remarks about classes that follow from the values in masks: their names, and indices that differ from the values."""

from collections.abc import Sequence

SHOWN = 6
"""Values that are named one by one."""


def unnamed(names: Sequence[str], what: str) -> str:
    """The remark that no file names the classes.

    Args:
        names: Names of the classes, in their order.
        what: What the masks contain, "values" or "colours".
    """
    ends = " and ".join(names) if len(names) < 3 else f"{names[0]} to {names[-1]}"
    return (
        f"No file names the classes: the {len(names)} {what} in the masks are {ends}; change the names in classes.yaml."
    )


def renumbered(values: Sequence[int]) -> list[str]:
    """The remark that indices of classes differ from the values in the masks, if they do.

    Args:
        values: Values of the classes, in their order.
    """
    differ = [(value, index) for index, value in enumerate(values) if value != index]
    if not differ:
        return []
    if len(differ) == 1:
        what = f"the value {differ[0][0]} of the masks is class {differ[0][1]}"
    else:
        shown = [_shown(numbers) for numbers in zip(*differ, strict=True)]
        what = f"the values {shown[0]} of the masks are the classes {shown[1]}"
    return [f"Label maps of predict hold the indices of the classes, not the values of the masks: {what}."]


def _shown(numbers: Sequence[int]) -> str:
    if list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")
