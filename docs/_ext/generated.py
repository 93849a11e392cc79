"""Blocks that are generated from the code.

A page holds

    ```{generated} NAME ARGUMENT
    ```

and the function NAME of `GENERATORS` returns the Markdown that takes its place.
"""

import re
from collections.abc import Callable
from pathlib import Path

from cards import card_example, card_robustness
from names import public_names, types_of
from recipes import recipe_classes, recipe_file
from results import result_table, results_without_tables
from rooms import room_pages, room_table
from sphinx.application import Sphinx

GENERATORS: dict[str, Callable[[str], str]] = {
    "card-example": card_example,
    "card-robustness": card_robustness,
    "public-names": public_names,
    "types": types_of,
    "recipe-file": recipe_file,
    "recipe-classes": recipe_classes,
    "room-table": room_table,
    "room-files": room_pages,
    "result": result_table,
    "results-without-tables": results_without_tables,
}

BLOCK = re.compile(r"^```\{generated\} ([\w-]+) *(.*)\n```$", re.MULTILINE)


def expand(text: str) -> str:
    """Replace each block of a page by what its function returns."""
    return BLOCK.sub(lambda found: GENERATORS[found[1]](found[2].strip()), text)


def expand_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Expand a page that Sphinx has read."""
    if Path(app.env.doc2path(docname)).suffix == ".md":
        source[0] = expand(source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Enter the function above."""
    app.connect("source-read", expand_source)
    return {"parallel_read_safe": True}
