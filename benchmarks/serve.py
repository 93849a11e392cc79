"""Images per second and latencies of `seglight serve` under load, beside LitServe and the net without a server.

Clients send JPEGs over connections that stay open, each one request after the other, and get label maps as PNGs. Both
servers have as many model processes and threads, and answers are compared first; then they alternate. "net alone" is
the same work in as many processes without a server: decoded, predicted, encoded. LitServe runs by another Python
(--peer), which has litserve, or is left out.
"""

import argparse
import http.client
import io
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks._record import PROJECT, Parser, write_record
from benchmarks._street import scene

BOUNDARY = "an-image-follows"


class Load(NamedTuple):
    """What clients measured: seconds in total, and of each request in order."""

    seconds: float
    latencies: list[float]

    def figures(self) -> dict[str, float]:
        """Images per second, and quantiles of the latencies in seconds."""
        cuts = statistics.quantiles(self.latencies, n=100, method="inclusive")
        return {
            "per_second": len(self.latencies) / self.seconds,
            "median_seconds": cuts[49],
            "p95_seconds": cuts[94],
            "p99_seconds": cuts[98],
        }


class Server(NamedTuple):
    """A server on this machine.

    Args:
        port: Its port.
        path: Path of the requests.
        packed: Function that makes headers and body of a request from a JPEG.
    """

    port: int
    path: str
    packed: Callable[[bytes], tuple[dict[str, str], bytes]]

    def ask(self, connection: http.client.HTTPConnection, jpeg: bytes) -> bytes:
        """Send an image and return the answer."""
        headers, body = self.packed(jpeg)
        connection.request("POST", self.path, body, {**headers, "Accept-Encoding": "identity"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {content[:200]!r}")
        return content


def as_body(jpeg: bytes) -> tuple[dict[str, str], bytes]:
    """The image as the body of a request."""
    return {"Content-Type": "image/jpeg"}, jpeg


def as_form(jpeg: bytes) -> tuple[dict[str, str], bytes]:
    """The image as the field `image` of a form."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'.encode()
    return {
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"
    }, head + jpeg + f"\r\n--{BOUNDARY}--\r\n".encode()


def loaded(server: Server, jpegs: Sequence[bytes], clients: int, requests: int) -> Load:
    """Let clients send requests at the same time, so many in total."""
    latencies: list[float] = []
    errors: list[BaseException] = []
    start = threading.Barrier(clients + 1)

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        try:
            start.wait()
            for k in range(number, requests, clients):
                begun = time.perf_counter()
                server.ask(connection, jpegs[k % len(jpegs)])
                latencies.append(time.perf_counter() - begun)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    start.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - begun
    if errors:
        raise errors[0]
    return Load(taken, latencies)


def alone(model: str, jpegs: Sequence[bytes], images: int, threads: int) -> tuple[float, float]:
    """Predict images in this process, without a server; return the times of its start and end."""
    import seglight
    from seglight.images.decode import decode_image
    from seglight.images.draw import palette_image

    net = seglight.load(model, device="cpu", threads=threads)

    def once(jpeg: bytes) -> None:
        palette_image(net.predict(decode_image(jpeg, "image")).astype(np.uint8), net.palette).save(io.BytesIO(), "PNG")

    once(jpegs[0])
    start = time.monotonic()
    for k in range(images):
        once(jpegs[k % len(jpegs)])
    return start, time.monotonic()


def alone_per_second(options: argparse.Namespace, jpegs: Sequence[bytes]) -> float:
    """Images per second of the net alone, in as many processes as the servers have."""
    each = max(1, options.requests // options.workers)
    with environment(options.threads), ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        runs = [pool.submit(alone, options.model, jpegs, each, options.threads) for _ in range(options.workers)]
        times = [run.result() for run in runs]
    seconds: float = max(end for _, end in times) - min(start for start, _ in times)
    images: int = len(times) * each
    return images / seconds


@contextmanager
def environment(threads: int) -> Iterator[None]:
    """Threads of the libraries in child processes."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


@contextmanager
def running(command: Sequence[str], server: Server, jpeg: bytes, threads: int) -> Iterator[Server]:
    """Start a server and wait until it answers; end it afterwards."""
    paths = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": paths})
    try:
        deadline = time.monotonic() + 120
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            try:
                server.ask(connection, jpeg)
                break
            except (OSError, http.client.HTTPException, RuntimeError):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            finally:
                connection.close()
        yield server
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def sides(options: argparse.Namespace) -> dict[str, tuple[list[str], Server]]:
    """Command and address of each server."""
    ours, theirs = free_port(), free_port()
    wait_s = float(options.wait.removesuffix("ms")) / 1000
    found = {
        "seglight serve": (
            [
                *(sys.executable, "-m", "seglight", "serve", f"net={options.model}", "--port", str(ours)),
                *("--workers", str(options.workers), "--batch", str(options.batch), "--wait", options.wait),
            ],
            Server(ours, "/predict?format=png", as_body),
        )
    }
    if options.peer is not None:
        settings = (theirs, options.workers, options.batch, wait_s, options.threads)
        found["LitServe"] = (
            [str(options.peer), "-m", "benchmarks._serve_peer", str(options.model), *map(str, settings)],
            Server(theirs, "/predict", as_form),
        )
    return found


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = Parser("serve", __doc__)
    parser.add_argument("--model", required=True, help="a file of seglight export, or a checkpoint")
    parser.add_argument("--peer", type=Path, help="Python of an environment with litserve")
    parser.add_argument("--clients", type=int, nargs="+", default=(1, 2, 4, 8, 16))
    parser.add_argument("--requests", type=int, default=200, help="number of requests of all clients in a run")
    parser.add_argument("--rounds", type=int, default=3, help="number of alternating runs of each server")
    parser.add_argument("--workers", type=int, default=1, help="number of model processes")
    parser.add_argument("--threads", type=int, default=1, help="number of threads of each of them")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--wait", default="5ms")
    parser.add_argument("--size", type=int, nargs=2, default=(360, 480), help="height and width")
    options = parser.parse_args(args)
    height, width = options.size
    images = [scene(seed, height, width, 11, 6.0)[0] for seed in range(8)]
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
    jpegs = [cv2.imencode(".jpg", image[..., ::-1], quality)[1].tobytes() for image in images]
    rows = {"net alone": {"per_second": alone_per_second(options, jpegs)}}
    print(
        f"net alone, {options.workers} processes: {rows['net alone']['per_second']:.1f} images per second", flush=True
    )
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(running(command, server, jpegs[0], options.threads))
            for name, (command, server) in sides(options).items()
        }
        check(servers, jpegs)
        for clients in options.clients:
            for name, figures in measured(servers, jpegs, clients, options).items():
                rows[f"{name}, {clients} clients"] = figures
                print(
                    f"{name:16} {clients:3} clients {figures['per_second']:7.1f} per second   "
                    f"median {1e3 * figures['median_seconds']:7.1f} ms, 95 % {1e3 * figures['p95_seconds']:7.1f} ms, "
                    f"99 % {1e3 * figures['p99_seconds']:7.1f} ms",
                    flush=True,
                )
    write_record(options, rows)


def check(servers: dict[str, Server], jpegs: Sequence[bytes]) -> None:
    """Check that all servers answer with the same label maps."""
    for jpeg in jpegs:
        answers = set()
        for server in servers.values():
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            answers.add(server.ask(connection, jpeg))
            connection.close()
        assert len(answers) == 1, "the servers answer differently"


def measured(
    servers: dict[str, Server], jpegs: Sequence[bytes], clients: int, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Figures of each server: the medians of alternating runs."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
    for _ in range(options.rounds):
        for name, server in servers.items():
            runs[name].append(loaded(server, jpegs, clients, options.requests).figures())
    return {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]} for name, found in runs.items()
    }
