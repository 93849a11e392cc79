"""Inputs of predict in remote storage: objects, folders and globs."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from seglight.errors import UserError
from seglight.system.remote import RemoteFile, Storage, split_address

MARKS = "*?["
"""Characters that make a glob."""


class Listing(NamedTuple):
    """What an input is.

    Args:
        files: Objects.
        below: Address of the folder that their outputs keep their paths below; None for a named object.
    """

    files: list[RemoteFile]
    below: str | None


def listing(address: str) -> Listing:
    """Find the objects of an input: the one that is named, all in a folder at any depth, or the matches of a glob.

    Args:
        address: Address of an object or a folder, or a glob in which `**` stands for folders at any depth, as for
            files.

    Raises:
        UserError: There is no such object, folder or bucket, or the storage does not answer.
        StorageError: The storage does not answer at all.
    """
    scheme, path = split_address(address)
    parts = path.split("/")
    fixed = next((index for index, part in enumerate(parts) if _is_glob(part)), None)
    if fixed == 0:
        raise UserError(f"{address}: wildcards stand behind the name of the bucket: write this name in full")
    storage = Storage(address)
    file = None if address.endswith("/") else storage.file(address)
    if file is not None:  # its name may contain wildcards
        return Listing([file], None)
    below = f"{scheme}://{'/'.join(parts[:fixed])}"
    if fixed is None:
        found = storage.files_below(below)
        if not found:
            raise UserError(f"{address}: no such object or folder: check the address")
        return Listing(found, below)
    pattern = parts[fixed:]
    files = storage.files_below(below, None if "**" in pattern else len(pattern))
    matches = [file for file in files if _matches(file.url[len(below) + 1 :].split("/"), pattern)]
    return Listing(matches, below)


def _is_glob(text: str) -> bool:
    return any(mark in text for mark in MARKS)


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path matches a glob; as for files, wildcards do not match a dot at the beginning of a name."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        deeper = bool(parts) and not parts[0].startswith(".") and _matches(parts[1:], pattern)
        return deeper or _matches(parts, pattern[1:])
    if not parts or (parts[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    return fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
