"""One URL to one file, however often the connection is cut: each request asks for what is still missing."""

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
"""Told how many bytes are there, and what goes on."""

CHUNK = 1 << 20
TRIES = 3
"""Requests in a row that bring nothing new before a URL is given up."""
BACK_OFF = 1.0
"""Seconds before the second of them; doubled before the third."""
TIMEOUT = 20.0
"""Seconds without a byte."""
WORTH_A_RETRY = (408, 425, 429, 500, 502, 503, 504)


class MirrorError(Exception):
    """A URL can't give the file; the message is the reason."""


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Errors of the file system as the user's, lest they pass for errors of the network.

    Raises:
        UserError: The disk is full, read-only, or the like.
    """
    try:
        yield
    except OSError as error:
        says = error.strerror or str(error)
        raise UserError(f"{path}: {says}: make room and see that it can be written to, then run this again") from error


class Part:
    """What has come of FILE so far, in FILE.part; FILE.part.json says of which URL and which version of it."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def origin(self) -> tuple[str, str]:
        """The URL that it was begun from and the validator of that answer; empty where there is none."""
        try:
            url, validator = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return "", ""
        return str(url), str(validator)

    def begin(self, url: str, validator: str) -> None:
        """Begin again from nothing."""
        self.clear()
        with on_disk(self.note):
            self.note.write_text(json.dumps([url, validator]), encoding="utf-8")

    def add(self, chunk: bytes) -> None:
        """Append bytes. The file is closed after each chunk, so that a kill loses none that came before it."""
        with on_disk(self.path), self.path.open("ab") as file:
            file.write(chunk)

    def clear(self) -> None:
        """Throw away what is there; the bytes first, lest a kill leave them under another file's note."""
        with on_disk(self.path):
            self.path.unlink(missing_ok=True)
            self.note.unlink(missing_ok=True)


def transfer(url: str, part: Part, size: int, exact: bool, report: Report) -> None:
    """Request the rest of a file again and again, as long as that brings anything.

    Args:
        url: Of the file.
        part: Where it goes; what is there already is not fetched again.
        size: Bytes that the file has.
        exact: Whether it has just so many, and a checksum by which to tell halves that do not belong together;
            otherwise it has at most so many, and a part goes on only with the URL and version that began it.
        report: Told of the progress.

    Raises:
        MirrorError: The URL brings nothing any more, or a file of another size.
        UserError: The disk is full.
    """
    host, most, failures = urlsplit(url).netloc, part.size(), 0
    while not (exact and part.size() == size):
        try:
            _request_rest(url, part, size, exact, lambda done: report(done, host))
        except (OSError, HTTPException) as error:
            if isinstance(error, HTTPError) and error.code not in WORTH_A_RETRY:
                raise MirrorError(f"HTTP {error.code} {error.reason}") from error
            says = str(getattr(error, "reason", "") or error or type(error).__name__)
            failures = 1 if part.size() > most else failures + 1
            most = max(most, part.size())
            if failures == TRIES:
                raise MirrorError(says) from error
            report(part.size(), f"{host}: {says}; trying again")
            time.sleep(BACK_OFF * 2 ** (failures - 1))
        else:
            return


def _request_rest(url: str, part: Part, size: int, exact: bool, report: Callable[[int], None]) -> None:
    """One request: append what comes to the part until the file is whole, or raise as the network does."""
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
                    raise MirrorError(f"it sends more than the {size} bytes that are due")
                part.add(chunk)
                report(done)
    except HTTPError as error:
        error.close()
        if error.code != 416:
            raise
        if error.headers.get("Content-Range", "").endswith(f"/{done}"):
            return
        part.clear()
        raise ConnectionError("the server has less of the file than came before") from error
    if done < (total or 1):  # nothing at all is not the whole either
        raise ConnectionError(f"the connection broke after {done} of {total or '?'} bytes")


def _beginning(answer: HTTPResponse, url: str, part: Part, size: int, exact: bool) -> tuple[int, int | None]:
    """Where in the file an answer begins, and how long the whole is if the server says so; clears a stale part."""
    validator = answer.headers.get("ETag", "")
    if not validator or validator.startswith("W/"):  # If-Range takes no weak ones
        validator = answer.headers.get("Last-Modified", "")
    length = answer.headers.get("Content-Length", "")
    begin, total = 0, int(length) if length.isdigit() else None
    if answer.status == 206:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        begin, total = (int(span[1]), int(span[2])) if span else (-1, None)
        first_url, first_validator = part.origin()
        if begin != part.size() or (first_url == url and first_validator != validator):
            part.clear()
            raise ConnectionError("the file changed on the server, or another range came than was asked for")
    if total is not None and (total > size or (exact and total != size)):
        raise MirrorError(f"its file has {total} bytes where {size} are due")
    if not begin:
        part.begin(url, validator)
    return begin, total
