"""Apply functions to many items in as many processes as there are cores. Imports nothing that is slow to import."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from rich.progress import track

from seglight.errors import UserError
from seglight.system.cores import usable_cores
from seglight.system.terminal import plain_console

FEW = 64
"""Number of items that take as long as starting the processes."""

Functions = Mapping[str, Callable[[Any], Any]]


def spread(functions: Functions, items: Sequence[tuple[str, Any]], what: str = "reading") -> Iterator[Any]:
    """Yield the results for all items in order, with a progress bar on terminals.

    Args:
        functions: Functions by name, sent once to each process because they may hold large tables.
        items: Pairs of a function's name and its argument.
        what: Description of the work, beside the bar.

    Raises:
        UserError: A process was killed.
    """
    cores = usable_cores()
    if len(items) <= FEW or cores == 1:
        yield from _shown((functions[name](item) for name, item in items), len(items), what)
        return
    chunk = max(1, min(32, len(items) // (4 * cores)))
    try:
        # spawned: a fork of a process that has used torch's threads may hang
        with ProcessPoolExecutor(cores, get_context("spawn"), _keep, (functions,)) as pool:
            yield from _shown(pool.map(_call, items, chunksize=chunk), len(items), what)
    except BrokenProcessPool as error:
        raise UserError("a process that read files was killed, most likely for lack of memory: run it again") from error


def _shown(results: Iterable[Any], number: int, what: str) -> Iterable[Any]:
    console = plain_console(stderr=True)
    return track(results, what, number, console=console, disable=not console.is_terminal)


_kept: Functions = {}


def _keep(functions: Functions) -> None:
    global _kept
    _kept = functions


def _call(item: tuple[str, Any]) -> Any:
    return _kept[item[0]](item[1])
