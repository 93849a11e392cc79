"""Environment variables that other libraries read, set only while they read them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def environment_default(name: str, value: str) -> Iterator[None]:
    """Set an environment variable within the block, unless it is set already.

    Args:
        name: Name of the variable.
        value: Value within the block.
    """
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
