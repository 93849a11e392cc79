"""Objects of S3, Google Cloud Storage and Azure Blob Storage, by fsspec: read and written whole, with bounded retries.

The three services store an object whole or not at all: an upload that breaks off leaves what was there before. So no
object is written under a temporary name. Credentials and endpoints come from where the tools of each service look for
them (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...) and from fsspec's own configuration (filesystem-spec.readthedocs.io,
"Configuration").
"""

import logging
import os
import re
import threading
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from seglight.errors import UserError, one_line, say
from seglight.system.remote_errors import AccessDeniedError, StorageError, explained, may_pass, of_disk
from seglight.system.retries import retried

T = TypeVar("T")

SCHEMES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
"""Package that reads the addresses of each scheme."""

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
"""Beginning of an address, in contrast to a path."""

ATTEMPTS = {"s3": 8, "gs": 2, "az": 2}
"""Largest number of attempts for a request; gcsfs and Azure's client repeat each of theirs themselves."""

LOST = 3
"""Number of failures in a row, each after all of its attempts, after which a storage counts as lost."""

CHUNK = 1 << 23
"""Bytes of a part of a large upload, of which one is held in memory."""

PARTS = 9000
"""Number of parts of an upload, below the 10,000 that S3 allows."""

LOGGERS = ("s3fs", "gcsfs", "adlfs", "aiobotocore", "botocore", "azure", "google.auth")
"""Loggers that print the failures of single attempts."""

Verb = Literal["list", "read", "write", "remove"]

PAST = {"list": "listed", "read": "read", "write": "written", "remove": "removed"}


class RemoteFile(NamedTuple):
    """An object.

    Args:
        url: Address, such as s3://bucket/folder/name.png.
        size: Number of bytes.
        version: Text that changes with the content: the ETag, or the number of the generation.
    """

    url: str
    size: int
    version: str


def is_address(text: str) -> bool:
    """Whether a text is an address and not a path; `split_address` refuses those of other schemes."""
    return ADDRESS.match(text) is not None


def split_address(address: str) -> tuple[str, str]:
    """Scheme of an address, and its bucket and key.

    Raises:
        UserError: It has another scheme, or no bucket.
    """
    scheme, _, path = address.partition("://")
    if scheme not in SCHEMES or not path.partition("/")[0]:
        raise UserError(f"{address}: an address is s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or az://CONTAINER/FOLDER")
    return scheme, path.rstrip("/")


class Storage:
    """Reads and writes the objects of one service; several threads may call its methods.

    Args:
        address: Any address of the service.

    Raises:
        UserError: The address is wrong, the package of the service is not installed, or it refuses its settings.
    """

    def __init__(self, address: str) -> None:
        self.scheme, _ = split_address(address)
        self._files = file_system(self.scheme, os.getpid())
        self._interrupted = threading.Event()
        self._failures: Counter[tuple[Verb, str]] = Counter()
        self._lock = threading.Lock()
        self._told = False

    def interrupt(self) -> None:
        """Make no further attempt: requests that fail from now on are given up at once."""
        self._interrupted.set()

    def check_bucket(self, address: str) -> None:
        """Check that the bucket of an address exists, as far as the credentials allow to ask.

        Raises:
            UserError: There is none, or the storage does not answer.
        """
        bucket = _bucket(address)
        try:
            self._retried("read", bucket, lambda: self._files.info(split_address(bucket)[1]))
        except FileNotFoundError as error:
            raise UserError(f"{bucket}: no such bucket: create it, or choose another one") from error
        except StorageError as error:
            raise UserError(str(error)) from error
        except AccessDeniedError:
            return

    def file(self, address: str) -> RemoteFile | None:
        """The object at an address; None if there is none, or a folder.

        Raises:
            UserError: The storage does not answer, or denies access.
            StorageError: It did so several times in a row.
        """
        path = split_address(address)[1]
        try:
            found = self._retried("read", address, lambda: self._files.info(path))
        except FileNotFoundError:
            return None
        return None if found["type"] != "file" else self._remote_file(found)

    def files_below(self, address: str, depth: int | None = None) -> list[RemoteFile]:
        """Objects in a folder at any depth, in no particular order; none if there is no such folder or bucket.

        Args:
            address: Address of the folder.
            depth: Number of levels that are needed; deeper ones may be left out.

        Raises:
            UserError: See `file`.
            StorageError: See `file`.
        """
        path = split_address(address)[1]
        try:
            found = self._retried("list", address, lambda: self._files.find(path, maxdepth=depth, detail=True))
        except FileNotFoundError:
            return []
        if not isinstance(found, dict):  # adlfs, if there is also an object of this name
            return []
        return [self._remote_file(info) for name, info in found.items() if _is_object(name, info)]

    def read(self, address: str, length: int | None = None) -> bytes | None:
        """Bytes of an object; None if there is no such object.

        Args:
            address: Address of the object.
            length: Number of bytes from its beginning; None: all.

        Raises:
            UserError: See `file`.
            StorageError: See `file`.
        """
        path = split_address(address)[1]

        def call() -> bytes:
            try:
                return bytes(self._files.cat_file(path, start=0 if length else None, end=length))
            except Exception as error:
                if length and "range" in str(error).lower() and not self._files.info(path)["size"]:
                    return b""  # of an empty object no range can be read
                raise

        try:
            return self._retried("read", address, call)
        except FileNotFoundError:
            return None

    def download(self, file: RemoteFile, path: Path) -> None:
        """Write the content of an object to a file.

        Raises:
            UserError: The object is gone, or see `file`.
            StorageError: See `file`.
            OSError: The disk is full.
        """
        source = split_address(file.url)[1]

        def call() -> None:
            self._files.get_file(source, str(path))
            found = path.stat().st_size
            if found != file.size:
                raise ConnectionError(f"{found} bytes came in place of {file.size}: it was cut off, or replaced")

        try:
            self._retried("read", file.url, call)
        except FileNotFoundError as error:
            raise UserError(f"{file.url}: no such object any more: it was removed while the command ran") from error

    def upload(self, path: Path, address: str) -> None:
        """Store a file as an object, which is replaced whole if it exists.

        Raises:
            UserError: See `file`.
            StorageError: There is no such bucket, or see `file`.
        """
        target = split_address(address)[1]
        options: dict[str, Any] = {"max_concurrency": 1} if self.scheme == "az" else {"chunksize": _chunk(path)}

        def call() -> None:
            try:
                self._files.put_file(str(path), target, **options)
            except FileNotFoundError as error:
                with suppress(PermissionError):
                    self._files.info(target.partition("/")[0])
                # the upload itself is gone: it had been completed, and the answer was lost
                raise ConnectionError(f"the upload was lost: {error}") from error

        try:
            self._retried("write", address, call)
        except FileNotFoundError as error:
            raise StorageError(f"{_bucket(address)}: no such bucket: create it, or choose another one") from error

    def remove(self, address: str) -> None:
        """Remove an object if it exists.

        Raises:
            UserError: See `file`.
            StorageError: See `file`.
        """
        path = split_address(address)[1]
        try:
            self._retried("remove", address, lambda: self._files.rm_file(path))
        except FileNotFoundError:
            return

    def _remote_file(self, info: dict[str, Any]) -> RemoteFile:
        names = ("ETag", "generation", "etag", "LastModified", "updated", "last_modified")
        version = next((str(info[name]) for name in names if info.get(name)), "")
        return RemoteFile(f"{self.scheme}://{info['name']}", int(info["size"]), version.strip('"').replace(" ", "_"))

    def _retried(self, verb: Verb, address: str, call: Callable[[], T]) -> T:
        place = verb, _bucket(address)
        try:
            found = retried(call, may_pass, ATTEMPTS[self.scheme], self._wait)
        except FileNotFoundError:  # which is an answer
            self._failures[place] = 0
            raise
        except Exception as error:
            if of_disk(error):
                raise
            told = explained(error, address, PAST[verb], ATTEMPTS[self.scheme])
            raise self._counted(verb, address, told) from error
        self._failures[place] = 0
        return found

    def _wait(self, seconds: float) -> bool:
        with self._lock:
            tell = seconds > 2 and not self._told
            self._told |= tell
        if tell:
            say(f"{self.scheme}://: requests fail, and are repeated for a minute or two")
        return self._interrupted.wait(seconds)

    def _counted(self, verb: Verb, address: str, error: UserError | StorageError) -> UserError | StorageError:
        """The error, or that the storage is lost, if too many requests of this kind have failed one after another."""
        if isinstance(error, StorageError) or (verb == "read" and isinstance(error, AccessDeniedError)):
            return error  # a few objects may be closed to us
        with self._lock:
            self._failures[verb, _bucket(address)] += 1
            failures = self._failures[verb, _bucket(address)]
        if failures < LOST:
            return error
        return StorageError(f"{error}, as {failures - 1} before it: repeat the command to continue from here")


def _bucket(address: str) -> str:
    scheme, path = split_address(address)
    return f"{scheme}://{path.partition('/')[0]}"


def _is_object(name: str, info: dict[str, Any]) -> bool:
    """Whether a listing names an object; one whose name ends with a slash stands for a folder."""
    return info.get("type") == "file" and not name.endswith("/")


def _chunk(path: Path) -> int:
    """Bytes of each part of an upload, a multiple of the 256 KiB that Google asks for."""
    return max(CHUNK, -(-path.stat().st_size // PARTS // (1 << 18)) << 18)


@lru_cache(maxsize=8)
def file_system(scheme: str, process: int) -> Any:
    """Fsspec's file system of a scheme, of the process with this number: connections do not survive a fork."""
    try:
        import_module(SCHEMES[scheme])  # here: it takes a second, and files need none of it
        import fsspec
        from fsspec.config import conf

        options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
        if scheme == "s3":
            given = conf.get("s3", {}).get("config_kwargs", {})
            options["config_kwargs"] = {"retries": {"total_max_attempts": 1}, **given}
            options["max_concurrency"] = 1  # ranges of a file that is replaced meanwhile would be mixed
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "GCS project not set")  # it is needed to create buckets only
            files = fsspec.filesystem(scheme, **options)
    except ImportError as error:
        raise UserError(
            f"{scheme}:// needs {SCHEMES[scheme]}, which is not installed: pip install 'seglight[remote]'"
        ) from error
    except Exception as error:
        raise UserError(f"{scheme}://: its settings are refused ({one_line(error)}): check them") from error
    if scheme == "s3":
        files.retries = 1  # attempts are counted here, and each reads the whole object again
    return files
