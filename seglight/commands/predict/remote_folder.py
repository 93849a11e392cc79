"""Output folders of predict in remote storage.

An output beside a label map is made from it: before a label map replaces another one, all outputs made from the other
are removed, and the label map is uploaded before those made from it. So wherever a run is stopped, what there is fits
together, and the next run needs no times, which storages state in whole seconds, to see what is missing.
"""

import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from types import TracebackType

from seglight.commands.predict.destination import Destination, LocalFolder, foreign, not_there
from seglight.commands.predict.inputs import Picture, Source
from seglight.commands.predict.kinds import FILES, LABELS, TABLES
from seglight.commands.predict.outputs import begins_as_table, file_key, of_temporary_files, output_path
from seglight.errors import UserError
from seglight.images.label_png import provenance_of, read_labels
from seglight.images.label_rows import LabelRows, LabelsInMemory
from seglight.system.lookahead import in_order
from seglight.system.remote import Storage, is_address

THREADS = 8
"""Number of requests at a time: a small one is a matter of waiting."""

PENDING = 32
"""Number of images whose outputs wait for their upload on this machine's disk."""

HEAD = 1 << 12
"""Bytes at the beginning of a label map among which is its provenance, unless that is very long."""

Failures = list[tuple[Path, UserError]]


def open_destination(out: str, *, one_at_a_time: bool = False) -> Destination:
    """The output folder at a path or an address.

    Args:
        out: Path or address.
        one_at_a_time: Whether memory is limited, so that no label map is read ahead.

    Raises:
        UserError: The address is wrong, its package is not installed, or a part of the path is a file.
    """
    if is_address(out):
        return RemoteFolder(out, 1 if one_at_a_time else THREADS)
    folder = Path(out)
    file = next((place for place in (folder, *folder.parents) if place.exists() and not place.is_dir()), None)
    if file is not None:
        raise UserError(f"--out {out}: {file} is no folder: choose another one")
    return LocalFolder(folder)


class RemoteFolder:
    """A folder of a remote storage. Outputs are written to a temporary folder and uploaded from there by threads.

    Args:
        address: Address of the folder, such as s3://bucket/masks.
        threads: Number of requests at a time.

    Raises:
        UserError: The address is wrong, its package is not installed, or there is no room for temporary files.
    """

    is_remote = True

    def __init__(self, address: str, threads: int = THREADS) -> None:
        self.url = address.rstrip("/")
        self._storage = Storage(address)
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="seglight-"))
        except OSError as error:
            raise UserError(of_temporary_files(error)) from error
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)
        self._pending: deque[Future[Failures]] = deque()
        self._failed: Failures = []
        self._replaced: set[Path] = set()
        self._has_tables = True
        self._numbered: dict[Path, set[Path]] = {}
        self._videos: set[Path] = set()

    def __enter__(self) -> "RemoteFolder":
        """Check that the bucket exists.

        Raises:
            UserError: It does not, or the storage does not answer.
        """
        try:
            self._storage.check_bucket(self.url)
        except UserError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what waits, and remove the temporary folder."""
        self._storage.interrupt()
        self._pool.shutdown(cancel_futures=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def address(self, path: Path) -> str:
        """The address of the object that a file is uploaded to."""
        return f"{self.url}/{path.relative_to(self.folder).as_posix()}"

    def shown(self, text: str) -> str:
        """The message with addresses in place of temporary files."""
        return text.replace(str(self.folder), self.url)

    def prepare(self, source: Source) -> None:
        """List the label maps of the pages or frames of a source.

        Raises:
            UserError: The storage does not answer.
        """
        if source.is_video or source.is_tiff:
            found = self._storage.files_below(self.address(self.folder / source.key), 1)
            names = [Path(file.url) for file in found if file.url.endswith(".png")]
            self._numbered[source.key] = {source.key / name.stem for name in names if name.stem.isdigit()}

    def missing(self, source: Source, key: Path, kinds: Sequence[str], provenance: str) -> dict[str, Path]:
        """Paths of the outputs of an image that have to be written.

        Raises:
            UserError: There is an object that `predict` has not written, or the storage does not answer.
        """
        paths = {kind: output_path(self.folder, kind, key) for kind in kinds}
        known = key == source.key or key in self._numbered.get(source.key, {key})
        former = self._former(paths[LABELS]) if known else None
        if former is None:
            return paths
        if not former:
            raise foreign(self.address(paths[LABELS]))
        if former != provenance:
            self._replaced.add(key)
            return paths
        further = {kind: path for kind, path in paths.items() if kind != LABELS}
        return {kind: path for kind, path in further.items() if self._storage.file(self.address(path)) is None}

    def head(self, path: Path) -> bytes | None:
        """The first bytes of a stored output; None if there is none.

        Raises:
            UserError: The storage does not answer.
        """
        return self._storage.read(self.address(path), HEAD)

    def replace(self, picture: Picture) -> None:
        """Nothing is removed before the new label map is uploaded."""

    def publish(self, picture: Picture, paths: Sequence[Path]) -> None:
        """Upload outputs of an image in the background.

        Raises:
            StorageError: The storage does not answer.
        """
        while len(self._pending) >= PENDING:
            self._failed += self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._upload, picture.without_copy(), paths))

    def publish_file(self, path: Path) -> None:
        """Upload an output made from several images.

        Raises:
            UserError: The storage does not answer.
        """
        self._storage.upload(path, self.address(path))
        path.unlink()

    def finish(self) -> Failures:
        """Wait for all uploads; returns the paths of those that failed, with the reasons."""
        while self._pending:
            self._failed += self._pending.popleft().result()
        failed, self._failed = self._failed, []
        return failed

    def label_maps(self, paths: Iterable[Path]) -> Iterator[LabelRows | UserError]:
        """Yield stored label maps, or the reason why one can't be read."""
        return in_order(self._pool, self._label_map, paths, self._threads)

    def remove_former(self, source: Source, keys: Set[Path]) -> None:
        """Remove outputs of pages or frames that a file no longer has.

        Raises:
            UserError: The storage does not answer.
        """
        if not source.is_video and not source.is_tiff:
            return
        for key in {source.key, *self._numbered.pop(source.key, ())} - keys:
            path = output_path(self.folder, LABELS, key)
            if (self._former(path) or "").startswith(file_key(source)):
                self._remove_further(key)
                self._storage.remove(self.address(path))

    def has_video(self, source: Source) -> bool:
        """Whether there is an overlaid video: one that is older than a label map of a frame has been removed."""
        return self._storage.file(self.address(output_path(self.folder, "video", source.key))) is not None

    def _upload(self, picture: Picture, paths: Sequence[Path]) -> Failures:
        failed: Failures = []
        for path in paths:
            is_label_map = path == output_path(self.folder, LABELS, picture.key)
            try:
                if is_label_map:
                    self._remove_outdated(picture)
                self._storage.upload(path, self.address(path))
            except UserError as error:
                failed.append((path, error))
                if is_label_map:  # nothing may be made from one that is not there
                    break
        for path in paths:
            path.unlink(missing_ok=True)
        return failed

    def _remove_outdated(self, picture: Picture) -> None:
        """Remove what is made from the label map that is about to be replaced."""
        source, key = picture.source, picture.key
        if source.is_video and source.key not in self._videos:
            self._storage.remove(self.address(output_path(self.folder, "video", source.key)))
            self._videos.add(source.key)
        if key in self._replaced:
            self._remove_further(key)
            self._remove_tables()
            self._replaced.discard(key)

    def _remove_further(self, key: Path) -> None:
        for kind in sorted(FILES.keys() - {LABELS, "video"}):
            self._storage.remove(self.address(output_path(self.folder, kind, key)))

    def _remove_tables(self) -> None:
        for kind, name in TABLES.items() if self._has_tables else ():
            path = self.folder / name
            if begins_as_table(kind, self.head(path) or b""):
                self._storage.remove(self.address(path))
        self._has_tables = False

    def _former(self, path: Path) -> str | None:
        """Provenance of a stored label map; "" if it states none, None if there is none."""
        place = self.address(path)
        head = self._storage.read(place, HEAD)
        if head is None:
            return None
        whole = len(head) < HEAD
        found = provenance_of(BytesIO(head))
        if found is None and not whole:  # of an ensemble of very many nets
            found = provenance_of(BytesIO(self._storage.read(place) or b""))
        return found or ""

    def _label_map(self, path: Path) -> LabelRows | UserError:
        place = self.address(path)
        try:
            data = self._storage.read(place)
            if data is None:
                return not_there(place)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            return LabelsInMemory(read_labels(path))
        except UserError as error:
            return UserError(self.shown(str(error)))
        finally:
            path.unlink(missing_ok=True)
