"""A choice with its reason."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A value of a recipe and the reason for it.

    Args:
        value: The value.
        reason: Why it is this one: a phrase that becomes a comment in the recipe.
    """

    value: T
    reason: str
