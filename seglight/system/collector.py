"""Garbage collection while a command starts.

Importing torch and lightning creates a million objects that stay. The collector of cyclic garbage looks at all of them
again and again: with it, a sixth of the time of these imports, and most of the time that the process takes to end.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collections() -> Iterator[None]:
    """Turn the collector off within the block, which creates many objects that stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def command_imports() -> Iterator[None]:
    """Turn the collector off within a block that imports, and exempt what was imported from later collections.

    This is for the process of a command: everything that exists at the end of the block is exempt, unless the modules
    had been imported before.
    """
    modules = len(sys.modules)
    with no_collections():
        yield
        if len(sys.modules) > modules:
            gc.freeze()
