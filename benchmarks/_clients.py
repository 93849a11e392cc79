"""Clients of an HTTP server: how long each request took, what was lost and what was wrong."""

import http.client
import math
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

BOUNDARY = "an-image-follows"

LONGEST_S = 120.0
"""Seconds after which a request counts as lost."""


class Server(NamedTuple):
    """A server on this machine.

    Args:
        port: Its port.
        path: Path of the requests.
        packed: Function that makes headers and body of a request from an image file.
    """

    port: int
    path: str
    packed: Callable[[bytes], tuple[Mapping[str, str], bytes]]

    def connection(self) -> http.client.HTTPConnection:
        """A connection, which stays open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST_S)

    def ask(self, connection: http.client.HTTPConnection, image: bytes) -> bytes:
        """Send an image and return the answer; where the server asks for it, try again later.

        Raises:
            RuntimeError: The server refuses the image.
        """
        headers, body = self.packed(image)
        while True:
            connection.request("POST", self.path, body, {**headers, "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status == 200:
                return content
            if answer.status not in (429, 503):
                raise RuntimeError(f"{answer.status}: {content[:200]!r}")
            time.sleep(float(answer.headers.get("Retry-After", 1)))


def as_body(image: bytes) -> tuple[Mapping[str, str], bytes]:
    """The image as the body of a request."""
    return {"Content-Type": "image/jpeg"}, image


def as_form(image: bytes) -> tuple[Mapping[str, str], bytes]:
    """The image as the field `image` of a form."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'.encode()
    body = head + image + f"\r\n--{BOUNDARY}--\r\n".encode()
    return {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}, body


@dataclass
class Load:
    """What clients have seen.

    Attributes:
        seconds: From the first request to the last answer.
        latencies: Seconds of each request that was answered.
        lost: Number of requests without an answer.
        wrong: Number of answers that were not the expected ones.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    lost: int = 0
    wrong: int = 0

    def figures(self) -> dict[str, Any]:
        """Answers per second, quantiles of the latencies in seconds, and what went wrong."""
        return {
            "per_second": len(self.latencies) / self.seconds,
            **quantiles(self.latencies),
            "lost": self.lost,
            "wrong": self.wrong,
        }


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile; both are infinite if there was no answer."""
    if len(seconds) < 2:
        return dict.fromkeys(("median_seconds", "p99_seconds"), seconds[0] if seconds else math.inf)
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"median_seconds": cuts[49], "p99_seconds": cuts[98]}


def loaded(server: Server, images: Sequence[bytes], expected: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Let clients send requests for some time, each one after the other.

    Args:
        server: The server.
        images: Image files, which are sent in turn.
        expected: The answer for each of them.
        clients: Number of clients at a time.
        seconds: Time after which no further request is sent.
    """
    load = Load()
    lock = threading.Lock()
    start = threading.Barrier(clients + 1)

    def client(number: int) -> None:
        connection = server.connection()
        start.wait()
        end = time.perf_counter() + seconds
        place = number
        while (begun := time.perf_counter()) < end:
            place = (place + 1) % len(images)
            try:
                answer = server.ask(connection, images[place])
            except (OSError, http.client.HTTPException, RuntimeError):
                connection.close()
                with lock:
                    load.lost += 1
                continue
            taken = time.perf_counter() - begun
            with lock:
                load.latencies.append(taken)
                load.wrong += answer != expected[place]
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    start.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - begun
    return load
