"""Attack a server, and look at what it answers and what it leaves.

    python -m tests.fuzz.server_attacks SEED COUNT [FIRST] [--clients N] [--patience S]

COUNT malformed requests, senders and readers that are slow, floods of connections, requests and bodies, and model
processes that are killed under load. A line for each attack, and one for each thing that is wrong; exit code 1 if there
is one. A request is made of the seed and its number alone: what it found is repeated by COUNT 1. Without a patience,
requests without an end are left to the time-outs of the server, and each is to be answered.
"""

import argparse
import os
import random
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np

from tests.fuzz.http_requests import Reply, is_one_line, reply, request
from tests.fuzz.observed_server import Observed, observed
from tests.fuzz.protocol_requests import sound_image
from tests.support.served import decoded, png

DESCRIPTORS = 50
"""Those of a server to which nobody is connected are fewer."""

Found = list[str]
Statuses = Counter[int | None]


def posted(image: bytes, path: str = "/predict", lines: str = "") -> bytes:
    """A sound request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: {len(image)}\r\n"
    return f"{head}{lines}\r\n".encode() + image


LARGE = posted(png(np.tile(sound_image(), (40, 25, 1))), "/predict?format=labels")
"""A sound request whose answer has 2.4 MB, more than the system takes for a client that does not read."""


def is_right(found: Reply, pixels: np.ndarray) -> bool:  # type: ignore[type-arg]
    """Whether an answer is the label map of an image."""
    return found.status == 200 and bool((decoded(found.body) == (pixels[..., 0] > 127)).all())


def malformed(server: Observed, seed: int, numbers: Sequence[int], clients: int, patience: float | None) -> Found:
    """Send requests from several clients at a time."""
    statuses, wrong = Statuses(), Found()

    def send(number: int) -> None:
        try:
            found = reply(server.port, request(seed, number), patience_s=patience)
        except Exception as error:
            wrong.append(f"request {number} of seed {seed}: {error!r}")
            return
        statuses[found.status] += 1
        tells = str(server.folder).encode() in found.body or b"/site-packages/" in found.body
        is_silent = found.status is None and patience is None
        is_error = found.status is not None and found.status >= 400
        if tells or is_silent or found.status == 500 or (is_error and not is_one_line(found)):
            wrong.append(f"request {number} of seed {seed}: {found.status} {found.body[:200]!r}")

    request(seed, 0)  # makes the images that all of them share
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(send, numbers))
    say(f"{len(numbers)} malformed requests: {dict(sorted(statuses.items(), key=str))}")
    return wrong


def slow_senders(server: Observed, count: int, seconds: float) -> Found:
    """A byte of a header, or of a body, in each half second: all are ended by the server, and others are served."""
    statuses, wrong, worst = Statuses(), Found(), 0.0
    image = png(sound_image())
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 60)) for _ in range(count)]
        for client in clients[count // 2 :]:
            client.sendall(posted(b"")[:-2].replace(b"Content-Length: 0", b"Content-Length: 99999") + b"\r\n")
        waiting = set(clients)
        deadline = time.monotonic() + seconds
        while waiting and time.monotonic() < deadline:
            for client in list(waiting):
                if select.select([client], [], [], 0)[0]:
                    answer = _first(client)
                    statuses[answer] += 1
                    waiting.discard(client)
                else:
                    with suppress(OSError):
                        client.sendall(b"P")
            start = time.monotonic()
            if not is_right(reply(server.port, posted(image)), sound_image()):
                wrong.append("a sound request beside slow ones has no right answer")
            worst = max(worst, time.monotonic() - start)
            time.sleep(0.5)
    say(f"{count} slow senders: {dict(statuses)}; the slowest sound answer beside them took {worst:.2f} s")
    if statuses != {408: count}:
        wrong.append(f"slow senders: {dict(statuses)} of {count}")
    return wrong


def slow_readers(server: Observed, count: int, seconds: float) -> Found:
    """Nobody reads the answers: the server gives them up."""
    before = server.held().descriptors
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            stack.enter_context(client).sendall(LARGE)
            clients.append(client)
        time.sleep(seconds)
        left = server.held().descriptors - before
        right = is_right(reply(server.port, posted(png(sound_image()))), sound_image())
    say(f"{count} slow readers: the server holds {left} of their connections after {seconds:.0f} s")
    wrong = [] if right else ["no right answer beside slow readers"]
    return wrong + ["slow readers are still connected"] * (left > 2)


def _first(client: socket.socket) -> int | None:
    """Status of what has come."""
    with suppress(OSError):
        answer = client.recv(4096)
        if answer.startswith(b"HTTP/1.1 "):
            return int(answer[9:12])
    return None


def many_connections(server: Observed, count: int) -> Found:
    """More connections than the server takes, most of them idle."""
    statuses = Statuses()
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 60)) for _ in range(count)]
        for client in clients:
            with suppress(OSError):
                client.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        for client in clients:
            client.settimeout(30)
            statuses[_first(client)] += 1
        right = is_right(reply(server.port, posted(png(sound_image()))), sound_image())
    say(f"{count} connections at once: {dict(statuses)}")
    wrong = [] if right else ["no right answer among many connections"]
    return wrong + [f"a connection was answered by {status}" for status in statuses.keys() - {200, 503, None}]


def pipelined(server: Observed, count: int) -> Found:
    """Requests that do not wait for answers, in one connection."""
    one = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    image = posted(png(sound_image()))
    last = posted(png(sound_image()), lines="Connection: close\r\n")
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        sender = threading.Thread(target=client.sendall, args=(one * count + image * (count // 20) + last,))
        sender.start()
        data = bytearray()
        while part := client.recv(1 << 16):
            data += part
        sender.join()
    answers = data.count(b"HTTP/1.1 200 OK")
    say(f"{count + count // 20 + 1} pipelined requests: {answers} answers")
    return [] if answers == count + count // 20 + 1 else [f"{answers} answers to pipelined requests"]


def huge_bodies(server: Observed, count: int, size: int) -> Found:
    """Bodies beyond the limit, stated or not, sent as far as the server reads them."""
    statuses, wrong = Statuses(), Found()

    def send(number: int) -> None:
        head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
        part = bytes(1 << 20)
        is_stated = number % 4 == 0
        with socket.create_connection(("127.0.0.1", server.port), 60) as client:
            lines = b"Content-Length: %d\r\n\r\n" % size if is_stated else b"Transfer-Encoding: chunked\r\n\r\n"
            with suppress(OSError):
                client.sendall(head + lines)
                for _ in range(size >> 20):
                    if select.select([client], [], [], 0)[0]:
                        break
                    client.sendall(part if is_stated else b"%x\r\n%b\r\n" % (len(part), part))
            status = _first(client)
        statuses[status] += 1
        if status not in (413, 503):
            wrong.append(f"a huge body was answered by {status}")

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(send, range(count)))
    say(f"{count} bodies of {size >> 20} MiB at once: {dict(statuses)}")
    return wrong


def killed(server: Observed, count: int, clients: int) -> Found:
    """Kill -9 of model processes while they predict: the others are answered, and there is another process soon."""
    statuses, wrong, over = Statuses(), Found(), threading.Event()
    before = server.log.count("another one is started")
    pixels = [sound_image(seed, 300, 400) for seed in range(clients)]
    chance = random.Random(3)

    def ask(number: int) -> None:
        data = posted(png(pixels[number]))
        while not over.is_set():
            found = reply(server.port, data)
            statuses[found.status] += 1
            if not (is_right(found, pixels[number]) or (found.status in (429, 500, 503) and is_one_line(found))):
                wrong.append(f"while processes are killed: {found.status} {found.body[:200]!r}")

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask, number) for number in range(clients)]
        for _ in range(count):
            time.sleep(chance.uniform(0.2, 1.0))
            deadline = time.monotonic() + 60
            while not (workers := server.workers()) and time.monotonic() < deadline:
                time.sleep(0.1)
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
        over.set()
        for one in asking:
            one.result()
    deadline = time.monotonic() + 60
    while len(server.workers()) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    started = server.log.count("another one is started") - before
    say(f"{count} processes killed: {dict(statuses)}, {started} noted in the log")
    if len(server.workers()) != 2:
        wrong.append(f"{len(server.workers())} model processes are left")
    return wrong


def attacks(server: Observed, seed: int, numbers: Sequence[int], clients: int, patience: float | None) -> Found:
    """All attacks in turn; gives what is wrong. With a patience, those that time-outs would end are left out."""
    is_whole = patience is None
    wrong = malformed(server, seed, range(10**6, 10**6 + 100), clients, 1.0)  # threads and pools exist from here on
    killed(server, 1, 4)
    many_connections(server, 300)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: reply(server.port, LARGE), range(40)))
    half = len(numbers) // 2
    wrong += malformed(server, seed, numbers[:half], clients, patience)
    server.settled(server.held()._replace(descriptors=DESCRIPTORS))
    before = server.held()
    workers = server.workers()
    say(f"before: {before}")
    turns: list[Callable[[], Found]] = [lambda: malformed(server, seed, numbers[half:], clients, patience)]
    if is_whole:
        turns += [lambda: slow_senders(server, 200, 60), lambda: slow_readers(server, 20, 75)]
    turns += [
        lambda: many_connections(server, 900 if is_whole else 500),
        lambda: pipelined(server, 3000 if is_whole else 300),
        lambda: huge_bodies(server, 32 if is_whole else 6, 300 << 20 if is_whole else 100 << 20),
    ]
    for turn in turns:
        wrong += turn()
        wrong += server.settled(before)
        say(f"  {server.held()}")
    if server.workers() != workers:
        wrong.append(f"model processes have died: {workers} before, {server.workers()} now")
    wrong += killed(server, 10 if is_whole else 1, 6)
    wrong += server.settled(before)
    say(f"after: {server.held()}")
    if not is_right(reply(server.port, posted(png(sound_image()))), sound_image()):
        wrong.append("no right answer after all of it")
    if server.process.poll() is not None:
        wrong.append("the server has ended")
    wrong += [f"the server has done: {line}" for line in server.done]
    wrong += ["there is a traceback in the log"] * ("Traceback" in server.log)
    return wrong


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.server_attacks", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("--clients", type=int, default=48)
    parser.add_argument("--patience", type=float)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, observed(Path(place), png(sound_image())) as running:
        asked = range(options.first, options.first + options.count)
        mistakes = attacks(running, options.seed, asked, options.clients, options.patience)
        log = running.log
    for mistake in mistakes:
        say(f"WRONG: {mistake}")
    if mistakes:
        say(log[-3000:])
    say(f"{options.count} requests from {options.first} of seed {options.seed}: {len(mistakes)} mistakes")
    sys.exit(bool(mistakes))
