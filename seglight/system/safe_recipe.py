"""Whether --safe_recipe was given; known without the parser, whose import takes longer than most early checks."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PLACES = ("run_dir", "ckpt_path", "resume", "config")
"""Keys of a recipe that say what a run writes to, resumes or reads: with --safe_recipe, they are the user's to give."""

_SAFE_RECIPE: ContextVar[bool] = ContextVar("safe_recipe", default=False)


@contextmanager
def safe_recipes(on: bool) -> Iterator[None]:
    """Let `class_paths.class_rules` hold recipes to `class_paths.SAFE` within the block, if `on`."""
    token = _SAFE_RECIPE.set(on)
    try:
        yield
    finally:
        _SAFE_RECIPE.reset(token)


def is_safe_recipe() -> bool:
    """Whether --safe_recipe was given."""
    return _SAFE_RECIPE.get()


def safe_option() -> list[str]:
    """The arguments by which a command that this process starts has the same rules."""
    return ["--safe_recipe"] if is_safe_recipe() else []
