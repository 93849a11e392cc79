"""An HTTP server on 127.0.0.1 with range requests, which misbehaves as a test asks."""

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATE = "Fri, 11 May 2012 12:00:00 GMT"


@dataclass
class Request:
    """A request that came, and how many bytes of a file went out for it."""

    path: str
    range: str | None
    if_range: str | None
    status: int = 0
    sent: int = 0


@dataclass
class Behaviour:
    """What the server has, and what it does wrong."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str | None = '"v1"'
    last_modified: str | None = None
    ignores_if_range: bool = False
    tells_length: bool = True
    statuses: list[int] = field(default_factory=list)
    """Answers to the next requests, before anything else."""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off."""
    moved: dict[str, str] = field(default_factory=dict)
    hold_after: int | None = None
    """Bytes after which an answer stops until `go_on` is set."""
    go_on: threading.Event = field(default_factory=threading.Event)
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def sent(self) -> int:
        """Bytes of files that went out."""
        return sum(request.sent for request in self.requests)


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    behaviour: Behaviour

    def do_GET(self) -> None:
        told = self.behaviour
        request = Request(self.path, self.headers["Range"], self.headers["If-Range"])
        told.requests.append(request)
        request.status, headers, body = self.answer(request)
        self.send_response(request.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if request.status not in (200, 206):
            return
        end = min(told.cuts.pop(0) if told.cuts else len(body), len(body))
        hold = len(body) if told.hold_after is None else told.hold_after
        try:
            for begin, stop in ((0, min(hold, end)), (min(hold, end), end)):
                if begin == hold and stop > begin:
                    told.go_on.wait(30)
                request.sent += stop - begin  # before: the client may be done first
                self.wfile.write(body[begin:stop])
                self.wfile.flush()
        except OSError:
            return

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        told = self.behaviour
        if told.statuses and (status := told.statuses.pop(0)) != 200:
            return status, {}, b""
        if self.path in told.moved:
            return 302, {"Location": told.moved[self.path]}, b""
        if self.path not in told.files:
            return 404, {}, b""
        body = told.files[self.path]
        headers = {name: value for name, value in (("ETag", told.etag), ("Last-Modified", told.last_modified)) if value}
        fresh = told.ignores_if_range or request.if_range in (None, told.etag, told.last_modified)
        begin, status = 0, 200
        if told.ranges and request.range and fresh:
            begin, status = int(re.fullmatch(r"bytes=(\d+)-", request.range)[1]), 206
            if begin >= len(body):
                return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
        if told.tells_length:
            headers["Content-Length"] = str(len(body) - begin)
        return status, headers, body[begin:]

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


def serve(behaviour: Behaviour) -> ThreadingHTTPServer:
    """Start a server in a thread; its address goes to `behaviour.url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Told", (Handler,), {"behaviour": behaviour}))
    behaviour.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server
