"""`seglight serve` beside LitServe, and beside the net without a server: latency of one client, and many clients.

Clients send JPEGs of drawn scenes over connections that stay open, each one request after the other, and get label maps
as PNGs. Both servers run on the same processors, with as many model processes and threads, the same file and the same
functions for decoding and encoding; all answers are compared with those of the net in this process. "ONNX Runtime" is a
loop over pixels in memory, "net" one from JPEG to PNG: what the servers add to them is their price. LitServe runs by
another Python (--peer), which has litserve, or is left out. The memory of a server is that of all of its processes,
sampled each second; it is flat if it stays the same after the first 10 seconds.
"""

import argparse
import io
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import seglight
from benchmarks._clients import Server, as_body, as_form, loaded, quantiles
from benchmarks._record import PROJECT, Parser, write_record
from benchmarks._street import scene
from seglight.images.decode import decode_image
from seglight.images.draw import palette_image
from seglight.inference.exported.runtimes import OnnxPredictor
from seglight.inference.predictor import Predictor
from seglight.system.memory import resident_bytes_of

START_S = 120.0
"""Longest time for which a server is waited for."""

SETTLED_S = 10.0
"""Seconds after which the memory should stay as it is."""

OVER_ROUNDS: Mapping[str, Callable[[Iterable[Any]], Any]] = {"lost": sum, "wrong": sum, "bytes": max, "growth": max}
"""How figures of several runs are put together where a median would hide a run."""


def jpegs_of(height: int, width: int) -> list[bytes]:
    """Files of eight drawn scenes."""
    images = [scene(seed, height, width, 11, 6.0)[0] for seed in range(8)]
    return [cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes() for image in images]


def label_png(net: Predictor, jpeg: bytes) -> bytes:
    """From the bytes of a JPEG to those of a PNG, as both servers do it."""
    file = io.BytesIO()
    palette_image(net.predict(decode_image(jpeg, "image")).astype(np.uint8), net.palette).save(file, "PNG")
    return file.getvalue()


def timed(step: Callable[[int], object], seconds: float) -> list[float]:
    """Seconds of each of the calls that fit into a time; the first one is not counted."""
    step(0)
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        step(len(taken))
        taken.append(time.perf_counter() - begun)
    return taken


def without_server(options: argparse.Namespace, jpegs: Sequence[bytes]) -> dict[str, dict[str, float]]:
    """Latencies of the net in this process: of ONNX Runtime alone, and from JPEG to PNG."""
    session = OnnxPredictor(options.model, options.threads).session
    arrays: list[NDArray[Any]] = [
        np.ascontiguousarray(decode_image(jpeg, "image").transpose(2, 0, 1))[None] for jpeg in jpegs
    ]
    net = seglight.load(options.model, device="cpu", threads=options.threads)
    bare = timed(lambda k: session.run(["labels"], {"image": arrays[k % len(arrays)]}), options.seconds)
    whole = timed(lambda k: label_png(net, jpegs[k % len(jpegs)]), options.seconds)
    return {
        name: {**quantiles(taken), "per_second": len(taken) / sum(taken)}
        for name, taken in (("ONNX Runtime", bare), ("net", whole))
    }


def processes_of(pid: int) -> set[int]:
    """A process and all of its descendants."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(errors="replace")
        except OSError:  # it has ended
            continue
        parents[int(path.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = {pid}
    while further := {child for child, parent in parents.items() if parent in found} - found:
        found |= further
    return found


def resident(pid: int) -> int:
    """Resident bytes of a process and its descendants."""
    return sum(map(resident_bytes_of, processes_of(pid)))


@contextmanager
def sampled(pid: int) -> Iterator[list[int]]:
    """A list that gets the resident bytes of a server every second."""
    samples: list[int] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(1.0):
            samples.append(resident(pid))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def growth(samples: Sequence[int]) -> float:
    """Largest change of the memory after the first 10 seconds, as a fraction of what it was then."""
    settled = samples[int(SETTLED_S) - 1 :]
    if not settled or not settled[0]:  # the run was shorter, or the server has ended, which its lost requests tell
        return 0.0
    return max(abs(one / settled[0] - 1) for one in settled)


@contextmanager
def running(command: Sequence[str], server: Server, jpeg: bytes, options: argparse.Namespace) -> Iterator[int]:
    """Start a server, wait until it answers, and yield the number of its process; end it with all that it started."""
    paths = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "PYTHONPATH": paths}
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[: options.cpus])  # which the process inherits
    try:
        process = subprocess.Popen(command, env=environment, start_new_session=True)
    finally:
        os.sched_setaffinity(0, allowed)
    try:
        deadline = time.monotonic() + START_S
        while True:
            connection = server.connection()
            try:
                server.ask(connection, jpeg)
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            finally:
                connection.close()
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def sides(options: argparse.Namespace) -> dict[str, tuple[list[str], Server]]:
    """Command and address of each server."""
    ours = free_port()
    found = {
        "seglight serve": (
            [
                *(sys.executable, "-m", "seglight", "serve", f"net={options.model}", "--port", str(ours)),
                *("--workers", str(options.workers), "--batch", str(options.batch), "--wait", f"{options.wait_ms}ms"),
            ],
            Server(ours, "/predict?format=png", as_body),
        )
    }
    if options.peer is not None:
        theirs = free_port()
        settings = (theirs, options.workers, options.batch, options.wait_ms / 1000, options.threads)
        found["LitServe"] = (
            [str(options.peer), "-m", "benchmarks._serve_peer", str(options.model), *map(str, settings)],
            Server(theirs, "/predict", as_form),
        )
    return found


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = Parser("serve", __doc__)
    parser.add_argument("--model", required=True, help="an ONNX file of seglight export")
    parser.add_argument("--peer", type=Path, help="Python of an environment with litserve")
    parser.add_argument("--clients", type=int, nargs="+", default=(1, 100), help="numbers of clients at a time")
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of a run")
    parser.add_argument("--rounds", type=int, default=1, help="number of alternating runs of each server")
    parser.add_argument("--cpus", type=int, default=1, help="number of processors that a server may use")
    parser.add_argument("--workers", type=int, default=1, help="number of model processes")
    parser.add_argument("--threads", type=int, default=1, help="number of threads of each of them")
    parser.add_argument("--batch", type=int, default=1, help="largest number of images of a batch")
    parser.add_argument("--wait_ms", type=float, default=5.0, help="longest time that an image waits for others")
    parser.add_argument("--size", type=int, nargs=2, default=(360, 480), help="height and width")
    options = parser.parse_args(args)
    height, width = options.size
    jpegs = jpegs_of(height, width)
    net = seglight.load(options.model, device="cpu", threads=options.threads)
    expected = [label_png(net, jpeg) for jpeg in jpegs]
    rows: dict[str, dict[str, Any]] = dict(without_server(options, jpegs))
    for name, figures in rows.items():
        print(f"{name:30} {line(figures)}", flush=True)
    with ExitStack() as stack:
        servers = {
            name: (server, stack.enter_context(running(command, server, jpegs[0], options)))
            for name, (command, server) in sides(options).items()
        }
        for clients in options.clients:
            for name, figures in measured(servers, jpegs, expected, clients, options).items():
                row = f"{name}, {clients} client{'' if clients == 1 else 's'}"
                figures["added_median_seconds"] = figures["median_seconds"] - rows["net"]["median_seconds"]
                figures["added_p99_seconds"] = figures["p99_seconds"] - rows["net"]["p99_seconds"]
                rows[row] = figures
                print(f"{row:30} {line(figures)}", flush=True)
    write_record(options, rows)


def line(figures: dict[str, Any]) -> str:
    """Figures as text."""
    shown = (
        f"{figures['per_second']:7.2f} per second   median {1e3 * figures['median_seconds']:8.1f} ms   "
        f"99 % {1e3 * figures['p99_seconds']:8.1f} ms"
    )
    if "lost" in figures:
        shown += (
            f"   lost {figures['lost']}, wrong {figures['wrong']}   "
            f"{figures['bytes'] / 1e6:.0f} MB, changed by {100 * figures['growth']:.1f} %"
        )
    return shown


def measured(
    servers: dict[str, tuple[Server, int]],
    jpegs: Sequence[bytes],
    expected: Sequence[bytes],
    clients: int,
    options: argparse.Namespace,
) -> dict[str, dict[str, Any]]:
    """Figures of each server over alternating runs."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in servers}
    for _ in range(options.rounds):
        for name, (server, pid) in servers.items():
            with sampled(pid) as samples:
                figures = loaded(server, jpegs, expected, clients, options.seconds).figures()
            figures["bytes"] = max(samples, default=0)
            figures["growth"] = growth(samples)
            runs[name].append(figures)
    return {name: over_rounds(found) for name, found in runs.items()}


def over_rounds(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of times, the sum of what was lost or wrong, and the most memory and its largest change."""
    return {key: OVER_ROUNDS.get(key, statistics.median)(run[key] for run in runs) for key in runs[0]}
