"""Groups of images that resemble each other, such as the frames of one drive: a bootstrap sample draws whole groups."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError

HEADER = ["image", "group"]
"""A first line that is no image."""

EITHER = (
    r"give a file of lines `image,group`, or a regular expression with one group in parentheses, such as '(\w+)_\d+'"
)

SPLIT = (
    r"divide a single sequence into blocks of consecutive frames, such as by '_(\d{4})\d\.png$', which joins frames "
    r"whose numbers differ in the last digit"
)


@dataclass(frozen=True)
class Groups:
    """The group of each image.

    Attributes:
        ids: int64 (images,) index of the group of each image, from 0, in the order in which the groups appear.
        names: Names of the groups, by index.
        by: What the groups are, for a report: "image", or the file or the regular expression that they come from.
    """

    ids: NDArray[np.int64]
    names: list[str]
    by: str


def groups_of(names: Sequence[str], groups: str | None) -> Groups:
    r"""Assign images to groups.

    Args:
        names: Names of the images; those of files are whole paths.
        groups: A file of lines `image,group` (CSV in UTF-8; an image is given by its name, the name of its file, or
            that without its suffix; a first line "image,group" is skipped; further images are allowed), or a regular
            expression with one capture group that is searched in each name, such as `(\w+)_\d+\.png`. None: each image
            is its own group.

    Raises:
        UserError: The file can't be read, or it lacks an image; it is neither a file nor an expression with one capture
            group; the expression does not occur in a name; or all of several images are in one group.
    """
    if groups is None:
        return Groups(np.arange(len(names), dtype=np.int64), list(names), "image")
    of_image = _of_file(names, Path(groups)) if Path(groups).is_file() else _of_pattern(names, groups)
    index: dict[str, int] = {}
    ids = np.array([index.setdefault(group, len(index)) for group in of_image], np.int64)
    if len(index) == 1 and len(names) > 1:
        raise UserError(
            f"--groups {groups}: all {len(names)} images are in the group {of_image[0]}, and it takes two: {SPLIT}"
        )
    return Groups(ids, list(index), groups)


def _of_pattern(names: Sequence[str], pattern: str) -> list[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"--groups {pattern}: no such file, and no regular expression ({error}): {EITHER}") from error
    if expression.groups != 1:
        count = f"a regular expression with {expression.groups} groups in parentheses"
        raise UserError(f"--groups {pattern}: no such file, and {count}: {EITHER}")
    found = [expression.search(name) for name in names]
    return [_of_match(pattern, name, match) for name, match in zip(names, found, strict=True)]


def _of_match(pattern: str, name: str, match: re.Match[str] | None) -> str:
    group = match[1] if match else None
    if group is None:
        raise UserError(f"--groups {pattern}: the image {name} has no group: the expression does not match its name")
    return group


def _of_file(names: Sequence[str], path: Path) -> list[str]:
    of_image = dict[str, str]()
    for line, (name, group) in _rows(path):
        if of_image.setdefault(name, group) != group:
            raise UserError(f"{path}, line {line}: the image {name} is in the groups {of_image[name]} and {group}")
    found = [_first(of_image, (name, Path(name).name, Path(name).stem)) for name in names]
    missing = [name for name, group in zip(names, found, strict=True) if group is None]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"{path}: no line for the image {missing[0]}{more}: add lines `image,group`")
    return [group for group in found if group is not None]


def _first(of_image: Mapping[str, str], keys: Sequence[str]) -> str | None:
    return next((of_image[key] for key in keys if key in of_image), None)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: can't be read as text in UTF-8: {EITHER}") from error
    reader = csv.reader(text.splitlines())
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row) or (reader.line_num == 1 and row == HEADER):
                continue
            if len(row) != 2 or not all(row):
                raise UserError(f"{path}, line {reader.line_num}: {','.join(cells)!r:.60}: give `image,group`")
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: no CSV ({error}): give `image,group`") from error
