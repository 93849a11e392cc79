"""Files of models that are replaced while a server runs."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from seglight.commands.serve.models import Fingerprint, fingerprint
from seglight.errors import say

LOOK_S = 1.0
"""Seconds between two looks at the files. One that changes between two looks is still being written."""


AGAIN_S = 30.0
"""Seconds after which files that could not be copied, as the disk was full, are copied again."""


async def watch(
    paths: Mapping[str, Path], known: Mapping[str, Fingerprint], replaced: Callable[[str], Awaitable[bool]]
) -> None:
    """Call a function for each model whose files have changed, once they stay as they are; never returns.

    Args:
        paths: Paths of the models, by name.
        known: Files that are loaded.
        replaced: Function of a model's name, which returns whether it could copy the files; if not, it is called again.
    """
    known = dict(known)
    earlier: dict[str, Fingerprint] = {}
    uncopied: dict[str, tuple[Fingerprint, float]] = {}
    missing: set[str] = set()
    while True:
        await asyncio.sleep(LOOK_S)
        for name, path in paths.items():
            found = await asyncio.to_thread(fingerprint, path)
            if found is None:
                if name not in missing:
                    say(f"{name}: {path} is not there any more: the model that is loaded stays")
                missing.add(name)
                continue
            missing.discard(name)
            failed, again = uncopied.get(name, (None, 0.0))
            is_due = found != failed or time.monotonic() >= again
            if found != known[name] and found == earlier.get(name) and is_due:
                if await replaced(name):
                    known[name] = found
                else:
                    uncopied[name] = found, time.monotonic() + AGAIN_S
            earlier[name] = found
