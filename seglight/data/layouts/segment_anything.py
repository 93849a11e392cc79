"""JSON files of Segment Anything: one per image, with masks as COCO's compressed runs and without classes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seglight.data.classes import Classes, voc_color
from seglight.data.layouts.coco_file import BACKGROUND, image_path
from seglight.data.layouts.finding import SAMPLE, counted, head, split_of, walk_of
from seglight.data.layouts.layout import WITHOUT_SPLIT, Choices, Layout
from seglight.data.layouts.outlines import is_outline, paint
from seglight.errors import UserError, one_line
from seglight.images.types import LabelMap
from seglight.system.nested import parse_json

BEGINNING = re.compile(r'\{\s*"(image"\s*:\s*\{|annotations"\s*:\s*\[\s*\{)')
CLASSES = Classes((BACKGROUND, "object"), (voc_color(0), voc_color(1)))


@dataclass(frozen=True)
class MaskFiles:
    """Label maps from one JSON file per image.

    Args:
        files: JSON file by image.
    """

    files: Mapping[Path, Path]

    def __call__(self, image: Path) -> LabelMap:
        """The label map of an image."""
        path = self.files[image]
        try:
            table = parse_json(path.read_text(encoding="utf-8"))
            size = (int(table["image"]["height"]), int(table["image"]["width"]))
            # an empty mask may have another size
            outlines = [one["segmentation"] for one in table["annotations"] if one.get("area") != 0]
            fits = all(is_outline(outline, size) for outline in outlines)
            labels = paint([(1, outline) for outline in outlines], size, 2) if fits else None
        except (AttributeError, KeyError, MemoryError, OverflowError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: not a file of Segment Anything ({type(error).__name__} {one_line(error)}): export it again"
            ) from error
        if labels is None:
            raise UserError(
                f"{path}: a mask in it has another size than its image, {size[1]}x{size[0]}: export it again"
            )
        return labels


def recognise_segment_anything(root: Path, choices: Choices) -> Layout | None:
    """Recognise JSON files of Segment Anything beside their images."""
    files: dict[Path, Path] = {}
    missing: list[Path] = []
    for folder, paths in walk_of(root, 2, (".json",)):
        if not any(_is_one(head(path)) for path in paths[:SAMPLE]):
            continue
        for path in paths:
            text = head(path)
            name = re.search(r'"file_name"\s*:\s*("[^"]*")', text)
            if not _is_one(text) or name is None:
                continue
            image = image_path(folder, json.loads(name[1]))
            if image.is_file():
                files[image] = path
            else:
                missing.append(path)
    if not files and not missing:
        return None
    if missing:
        raise UserError(f"{root}: images are missing beside their files: {counted(missing)}: add them")
    splits: dict[str, list[Path]] = {}
    for image in files:
        splits.setdefault(split_of(image.parent, root) or WITHOUT_SPLIT, []).append(image)
    if len(splits) > 1 and WITHOUT_SPLIT in splits:
        splits = {WITHOUT_SPLIT: list(files)}
    return Layout(
        form="Segment Anything JSON",
        evidence=next(iter(files.values())),
        classes=CLASSES,
        splits=splits,
        labels=MaskFiles(files),
        remarks=["The masks of Segment Anything have no class: all of them are the class 'object'."],
    )


def _is_one(text: str) -> bool:
    return bool(BEGINNING.match(text)) and '"image"' in text and '"segmentation"' in text and '"categories"' not in text
