"""Download one URL to one file: after each interruption, the next request asks for the missing bytes only."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from seglight import __version__
from seglight.errors import UserError

Report = Callable[[int, str], None]
"""Function of the number of bytes that are present, and a note about the state."""

CHUNK = 1 << 20
"""Bytes that are read at a time."""

TRIES = 3
"""Requests in a row without a new byte after which a URL is given up."""

BACK_OFF = 1.0
"""Seconds before the second of them; doubled before the third."""

TIMEOUT = 20.0
"""Seconds without a byte after which a connection is given up."""

WORTH_A_RETRY = (408, 425, 429, 500, 502, 503, 504)
"""HTTP status codes that may go away."""


class MirrorError(Exception):
    """A URL does not provide the file; the message is the reason."""


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Turn errors of the file system into a UserError, so that they are not taken for errors of the network.

    Raises:
        UserError: The disk is full, read-only, or the like.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{path}: {reason}: free some space, check that the path is writable, and run this again"
        ) from error


class Part:
    """The bytes of FILE that have been received, in FILE.part; FILE.part.json holds their URL and its version."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    def size(self) -> int:
        """Number of bytes that have been received."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def origin(self) -> tuple[str, str]:
        """URL and validator (ETag or Last-Modified) of the first response, or empty strings."""
        try:
            url, validator = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return "", ""
        return str(url), str(validator)

    def begin(self, url: str, validator: str) -> None:
        """Start again without any bytes."""
        self.clear()
        with on_disk(self.note):
            self.note.write_text(json.dumps([url, validator]), encoding="utf-8")

    def add(self, chunk: bytes) -> None:
        """Append bytes. The file is closed after each chunk, so that a killed process loses none of those before."""
        with on_disk(self.path), self.path.open("ab") as file:
            file.write(chunk)

    def clear(self) -> None:
        """Remove the received bytes, and then the note: a killed process must not leave them under another note."""
        with on_disk(self.path):
            self.path.unlink(missing_ok=True)
            self.note.unlink(missing_ok=True)


def transfer(url: str, part: Part, size: int, exact: bool, report: Report) -> None:
    """Request the rest of a file until it is complete, as long as requests bring new bytes.

    Args:
        url: URL of the file.
        part: Partial file; bytes that it holds already are not fetched again.
        size: Size of the file in bytes.
        exact: Whether the size is exact and a checksum detects parts that do not belong together; otherwise the size
            is an upper bound, and a partial file is resumed only with the URL and version of its first response.
        report: Function called with the progress.

    Raises:
        MirrorError: The URL brings no more bytes, or a file of another size.
        UserError: The disk is full.
    """
    host = urlsplit(url).netloc
    most = part.size()
    failures = 0
    while not (exact and part.size() == size):
        try:
            _request_rest(url, part, size, exact, lambda done: report(done, host))
        except (OSError, HTTPException) as error:
            if isinstance(error, HTTPError) and error.code not in WORTH_A_RETRY:
                raise MirrorError(f"HTTP {error.code} {error.reason}") from error
            reason = str(getattr(error, "reason", "") or error or type(error).__name__)
            failures = 1 if part.size() > most else failures + 1
            most = max(most, part.size())
            if failures == TRIES:
                raise MirrorError(reason) from error
            report(part.size(), f"{host}: {reason}; trying again")
            time.sleep(BACK_OFF * 2 ** (failures - 1))
        else:
            return


def _request_rest(url: str, part: Part, size: int, exact: bool, report: Callable[[int], None]) -> None:
    """Make one request and append its bytes; errors of the network are raised."""
    done = part.size()
    headers = {"User-Agent": f"seglight/{__version__}", "Accept-Encoding": "identity"}
    first_url, validator = part.origin()
    if done and first_url == url and validator:
        headers |= {"Range": f"bytes={done}-", "If-Range": validator}
    elif exact and 0 < done < size:
        headers |= {"Range": f"bytes={done}-"}
    try:
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as answer:
            done, total = _beginning(answer, url, part, size, exact)
            while chunk := answer.read1(CHUNK):
                done += len(chunk)
                if done > size:
                    part.clear()
                    raise MirrorError(f"it sends more than {size} bytes")
                part.add(chunk)
                report(done)
    except HTTPError as error:
        error.close()
        if error.code != 416:
            raise
        if error.headers.get("Content-Range", "").endswith(f"/{done}"):
            return
        part.clear()
        raise ConnectionError("the server has fewer bytes than were received before") from error
    if done < (total or 1):  # no bytes at all are not the whole file
        raise ConnectionError(f"the connection broke after {done} of {total or '?'} bytes")


def _beginning(answer: HTTPResponse, url: str, part: Part, size: int, exact: bool) -> tuple[int, int | None]:
    """Offset of a response in the file, and the size of the file if the server states it; clears a stale part."""
    validator = answer.headers.get("ETag", "")
    if not validator or validator.startswith("W/"):  # If-Range does not accept weak ones
        validator = answer.headers.get("Last-Modified", "")
    length = answer.headers.get("Content-Length", "")
    begin, total = 0, int(length) if length.isdigit() else None
    if answer.status == 206:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        begin, total = (int(span[1]), int(span[2])) if span else (-1, None)
        first_url, first_validator = part.origin()
        if begin != part.size() or (first_url == url and first_validator != validator):
            part.clear()
            raise ConnectionError("the file changed on the server, or it sent another range than requested")
    if total is not None and (total > size or (exact and total != size)):
        raise MirrorError(f"its file has {total} bytes in place of {size}")
    if not begin:
        part.begin(url, validator)
    return begin, total
