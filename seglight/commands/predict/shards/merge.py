"""Tables of all inputs from those of the shards: the same bytes as the table that a single process writes."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from seglight.commands.predict.class_fractions import NO_DATA, ClassFractions
from seglight.commands.predict.kinds import TABLES
from seglight.commands.predict.summaries import Table, new_table
from seglight.images.coco import CocoObjects


def merge_tables(kinds: Sequence[str], class_names: Sequence[str], parts: Sequence[Path], out: Path) -> None:
    """Write the tables of all inputs.

    Args:
        kinds: All kinds of outputs.
        class_names: Names of the classes, by index.
        parts: Folders with the tables of each shard, in the order of the inputs.
        out: Output folder.
    """
    for kind, name in TABLES.items():
        if kind in kinds:
            table = new_table(kind, class_names)
            for part in parts:
                _extend(table, part / name)
            table.write(out / name)


def _extend(table: Table, part: Path) -> None:
    """Add the rows or objects of a shard's table."""
    if isinstance(table, ClassFractions):
        with part.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            header, *rows = csv.reader(file)
            end = 1 + len(table.class_names)
            table.no_data = header[end : end + 1] == [NO_DATA]
            table.rows += rows
    elif isinstance(table, CocoObjects):
        content = json.loads(part.read_text(encoding="utf-8"))
        images = len(table.images)
        annotations = len(table.annotations)
        table.images += [entry | {"id": entry["id"] + images} for entry in content["images"]]
        table.annotations += [
            entry | {"id": entry["id"] + annotations, "image_id": entry["image_id"] + images}
            for entry in content["annotations"]
        ]
