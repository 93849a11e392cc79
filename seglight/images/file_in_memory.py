"""Image files on disk or in memory, where what is sent to a server stays."""

import io
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TypeAlias


@dataclass(frozen=True)
class FileInMemory:
    """Bytes of an image file, in place of its path.

    Args:
        data: Bytes of the file.
        name: Name of the file in messages; its suffix tells raw files of cameras from other TIFFs, as that of a path.
    """

    data: bytes = field(repr=False)
    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def suffix(self) -> str:
        """Suffix of the name, such as ".tif"."""
        return PurePath(self.name).suffix


AnyFile: TypeAlias = Path | FileInMemory
"""An image file: its path, or its bytes."""


def openable(file: AnyFile) -> Path | io.BytesIO:
    """What Pillow and tifffile open: the path, or a stream of the bytes, which it does not copy."""
    return file if isinstance(file, Path) else io.BytesIO(file.data)
