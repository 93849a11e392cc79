"""A split made of image files and label files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.data.labels import LabelCodec, read_image
from seglight.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class FilePairs:
    """Images and their label files, in order."""

    images: Sequence[Path]
    masks: Sequence[Path]
    codec: LabelCodec

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        """Image uint8 (H, W, 3), mask uint8 (H, W), and the path of the image.

        Raises:
            UserError: One of the files is damaged, or a label value is outside the table.
        """
        return read_image(self.images[index]), self.codec.read(self.masks[index]), str(self.images[index])


def existing_folder(path: Path, holds: str) -> Path:
    """The folder, if it is there.

    Raises:
        UserError: It is not; `holds` says what should lie in it.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no such folder, where {holds} should be: set data.init_args.root to the right place")
    return path


def image_files(folder: Path, holds: str) -> list[Path]:
    """All images of a folder by name.

    Raises:
        UserError: There is no folder, or no image in it.
    """
    found = sorted(p for p in existing_folder(folder, holds).iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise UserError(f"{folder}: no image there, where {holds} should be ({', '.join(IMAGE_SUFFIXES)})")
    return found


def paired(images: Sequence[Path], masks: Sequence[Path], codec: LabelCodec) -> FilePairs:
    """Pair images with the label files that should stand beside them.

    Raises:
        UserError: A file is missing; says which and how many.
    """
    for what, files, others in (("image", images, masks), ("mask", masks, images)):
        missing = [k for k, path in enumerate(files) if not path.is_file()]
        if missing:
            first = missing[0]
            raise UserError(
                f"{others[first]}: its {what} {files[first]} is missing"
                f"{f' (and {len(missing) - 1} more are)' if len(missing) > 1 else ''}: add it, or take the other away"
            )
    return FilePairs(list(images), list(masks), codec)
