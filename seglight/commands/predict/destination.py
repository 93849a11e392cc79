"""Output folders of predict: what is there already, and what is done with a file that has been written."""

import os
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path
from types import TracebackType
from typing import Protocol

from seglight.commands.predict.inputs import Picture, Source
from seglight.commands.predict.kinds import LABELS
from seglight.commands.predict.outputs import (
    head_of,
    is_no_older,
    output_path,
    remove_former,
    remove_further,
    remove_tables,
)
from seglight.errors import UserError
from seglight.images.label_png import provenance_of
from seglight.images.label_rows import LabelRows, StoredLabels


class Destination(Protocol):
    """An output folder. It is used in a `with` block, at whose end everything is stored.

    Attributes:
        folder: Folder that outputs are written to.
    """

    folder: Path

    def __enter__(self) -> "Destination":
        """Begin to use it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release what it holds; after an error, what has not been stored is given up."""

    @property
    def is_remote(self) -> bool:
        """Whether each question takes a request, so that several are asked at once."""

    def address(self, path: Path) -> str:
        """Where an output ends up, in a form that can be compared with that of an input."""

    def shown(self, text: str) -> str:
        """A message with the names that the user knows in place of those of temporary files."""

    def prepare(self, source: Source) -> None:
        """Look up what there is of a source with pages or frames, before these are asked for one by one.

        Raises:
            UserError: A remote storage does not answer.
        """

    def missing(self, source: Source, key: Path, kinds: Sequence[str], provenance: str) -> dict[str, Path]:
        """Paths of the outputs of an image that have to be written.

        Args:
            source: Input file.
            key: Key of the image.
            kinds: Kinds of outputs, that of the label map among them.
            provenance: Input file and model; a label map of another provenance is replaced, with all made from it.

        Raises:
            UserError: There is a file that `predict` has not written, or a remote storage does not answer.
        """

    def head(self, path: Path) -> bytes | None:
        """The first bytes of a stored output; None if there is none.

        Raises:
            UserError: A remote storage does not answer.
        """

    def replace(self, picture: Picture) -> None:
        """Remove what was made from the label map of an image, if a label map of another provenance replaces it."""

    def publish(self, picture: Picture, paths: Sequence[Path]) -> None:
        """Store outputs of an image that have been written.

        Args:
            picture: The image.
            paths: Paths of the outputs; a label map is the first.
        """

    def publish_file(self, path: Path) -> None:
        """Store an output made from several images.

        Raises:
            UserError: A remote storage does not answer.
        """

    def finish(self) -> list[tuple[Path, UserError]]:
        """Wait until everything is stored; returns the paths of outputs that could not be stored, with the reasons."""

    def label_maps(self, paths: Iterable[Path]) -> Iterator[LabelRows | UserError]:
        """Yield stored label maps, or the reason why one can't be read."""

    def remove_former(self, source: Source, keys: Set[Path]) -> None:
        """Remove outputs of pages or frames that a file no longer has, see `outputs.remove_former`.

        Raises:
            UserError: A remote storage does not answer.
        """

    def has_video(self, source: Source) -> bool:
        """Whether there is an overlaid video that is no older than the label maps of its frames."""


class LocalFolder:
    """A folder of this machine.

    Args:
        folder: Path of the folder.
    """

    is_remote = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._replaced: set[Path] = set()
        self._has_tables = True

    def __enter__(self) -> "LocalFolder":
        """Begin to use it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def address(self, path: Path) -> str:
        """The path without links."""
        return str(path.resolve())

    def shown(self, text: str) -> str:
        """The message itself: nothing is temporary."""
        return text

    def prepare(self, source: Source) -> None:
        """Nothing is to be looked up before."""

    def missing(self, source: Source, key: Path, kinds: Sequence[str], provenance: str) -> dict[str, Path]:
        """Paths of the outputs of an image that have to be written.

        Raises:
            UserError: There is a file that `predict` has not written.
        """
        paths = {kind: output_path(self.folder, kind, key) for kind in kinds}
        former = provenance_of(paths[LABELS])
        if former is None and os.path.lexists(paths[LABELS]):
            raise foreign(str(paths[LABELS]))
        if former != provenance:
            if former is not None:
                self._replaced.add(key)
            return paths
        return {kind: path for kind, path in paths.items() if not is_no_older(path, paths[LABELS])}

    def head(self, path: Path) -> bytes | None:
        """The first bytes of a file; None if there is none."""
        return head_of(path)

    def replace(self, picture: Picture) -> None:
        """Remove what was made from a label map that is replaced."""
        if picture.key in self._replaced:
            self._replaced.discard(picture.key)
            remove_further(self.folder, picture.source, picture.key)
            if self._has_tables:
                remove_tables(self.folder)
            self._has_tables = False

    def publish(self, picture: Picture, paths: Sequence[Path]) -> None:
        """Nothing is left to do: the files are where they belong."""

    def publish_file(self, path: Path) -> None:
        """Nothing is left to do."""

    def finish(self) -> list[tuple[Path, UserError]]:
        """Nothing is under way, and nothing has failed."""
        return []

    def label_maps(self, paths: Iterable[Path]) -> Iterator[LabelRows | UserError]:
        """Yield stored label maps, or the reason why one can't be read."""
        for path in paths:
            try:
                yield StoredLabels(path) if path.exists() else not_there(str(path))
            except UserError as error:
                yield error

    def remove_former(self, source: Source, keys: Set[Path]) -> None:
        """Remove outputs of pages or frames that a file no longer has."""
        remove_former(self.folder, source, keys)

    def has_video(self, source: Source) -> bool:
        """Whether there is an overlaid video that is no older than the label maps of its frames."""
        path = output_path(self.folder, "video", source.key)
        return path.exists() and all(is_no_older(path, frame) for frame in (self.folder / source.key).glob("*.png"))


def foreign(path: str) -> UserError:
    """The error about a file at the place of a label map."""
    return UserError(f"{path}: exists and was not written by `seglight predict`: move it, or choose another --out")


def not_there(path: str) -> UserError:
    """The error about a label map that another output is made from."""
    return UserError(f"{path} is missing: predict it again")
