"""A server process of which everything is noted that it writes, runs or connects to, and what it holds."""

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from tests.support.exported import red
from tests.support.running_server import Server

HOOK = """
import os, sys

place = os.open(os.environ["SEEN_BY_TEST"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
EVENTS = (
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate", "os.system",
    "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "socket.connect", "socket.bind",
)

def hook(event, args):
    writes = event == "open" and (
        any(letter in args[1] for letter in "wax+") if args[1] else args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    )
    if event in EVENTS or (writes and not isinstance(args[0], int) and not args[0].startswith(("/dev/null", "/proc/"))):
        os.write(place, (event + " " + ascii(args) + "\\n").encode())

sys.addaudithook(hook)
"""
"""Code that each Python process runs first: that of the server and those of its models."""

PAGE = os.sysconf("SC_PAGE_SIZE")

SETTLING_S = 60
"""Seconds after which what has been asked for is answered or given up: the longest time-out, and a margin."""


class Held(NamedTuple):
    """What the processes of a server hold.

    Args:
        web: Resident bytes of the web process.
        workers: Resident bytes of each model process, together.
        descriptors: Open files and connections of all processes.
        threads: Threads of all processes.
        files: Files below the folders that they may write to, with their sizes.
    """

    web: int
    workers: int
    descriptors: int
    threads: int
    files: frozenset[tuple[str, int]]

    def more_than(self, before: "Held") -> list[str]:
        """What has grown, or been left."""
        found = [str(path) for path in self.files ^ before.files]
        for name, margin in (("web", 25_000_000), ("workers", 50_000_000), ("descriptors", 2), ("threads", 4)):
            was = getattr(before, name)
            if getattr(self, name) > was + margin:
                found.append(f"{name}: {was} before, {getattr(self, name)} now")
        return found

    def __str__(self) -> str:
        memory = f"web {self.web / 1e6:.0f} MB, workers {self.workers / 1e6:.0f} MB"
        return f"{memory}, {self.descriptors} descriptors, {self.threads} threads, {len(self.files)} files"


class Observed:
    """A server with two model processes.

    Args:
        folder: Empty folder for its log, its model and its temporary files.
        server: The server, which is running.
    """

    def __init__(self, folder: Path, server: Server) -> None:
        assert server.process is not None
        self.folder = folder
        self.port = server.port
        self.pid = server.process.pid
        self.process = server.process
        self._seen = len(self._notes())

    def _notes(self) -> list[str]:
        return (self.folder / "seen.txt").read_text().splitlines()

    @property
    def done(self) -> list[str]:
        """What its processes have written, run, or connected to since it was ready, but for the host of images."""
        return [line for line in self._notes()[self._seen :] if f"'127.0.0.1', {self.image_port}" not in line]

    @property
    def image_port(self) -> int:
        """Port of the host of images."""
        return int((self.folder / "image_port.txt").read_text())

    @property
    def log(self) -> str:
        """What it has printed."""
        return (self.folder / "log.txt").read_text(errors="replace")

    def workers(self) -> list[int]:
        """Numbers of its model processes."""
        return [pid for pid in _children(self.pid) if b"spawn_main" in _command(pid)]

    def held(self) -> Held:
        """What it holds now."""
        pids = [self.pid, *_children(self.pid)]
        folders = [self.folder / name for name in ("temporary", "home")]
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return Held(
            _resident(self.pid),
            sum(map(_resident, self.workers())),
            sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),
            sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids),
            frozenset((str(path), path.stat().st_size) for path in files),
        )

    def settled(self, before: Held) -> list[str]:
        """What it still holds more than before, after everything has been answered or given up."""
        deadline = time.monotonic() + SETTLING_S
        while found := self.held().more_than(before):
            if time.monotonic() > deadline:
                return found
            time.sleep(0.2)
        return []


def _children(pid: int) -> list[int]:
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        found += [int(child) for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _resident(pid: int) -> int:
    found = re.match(r"\d+ (\d+)", Path(f"/proc/{pid}/statm").read_text())
    return PAGE * int(found[1]) if found else 0


class ImageHost(BaseHTTPRequestHandler):
    """A host of images that answers with images, and with what a hostile one has."""

    sound = b""

    def do_GET(self) -> None:
        """Answer by the last part of the path."""
        name = self.path.rpartition("/")[2]
        body, status, lines = self.sound, 200, {}
        if name == "damaged.png":
            body = self.sound[: len(self.sound) // 2]
        elif name == "away":
            status, lines = 302, {"Location": "http://169.254.169.254/latest"}
        elif name == "circle":
            status, lines = 302, {"Location": "/data/upload/circle"}
        elif name == "short":
            lines = {"Content-Length": str(len(body) + 9)}
        elif name == "packed":
            lines = {"Content-Encoding": "gzip"}
        elif name == "later":
            time.sleep(2)
        elif name != "sound.png":
            status, body = 404, b""
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | lines).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no log."""


@contextmanager
def image_host(sound: bytes) -> Iterator[int]:
    """The port of a host of images, which ends with the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Host", (ImageHost,), {"sound": sound})) as host:
        host.daemon_threads = True
        thread = threading.Thread(target=host.serve_forever, daemon=True)
        thread.start()
        try:
            yield host.server_port
        finally:
            host.shutdown()
            thread.join()


@contextmanager
def observed(folder: Path, image: bytes) -> Iterator[Observed]:
    """A server of a small net in an empty folder; it ends with the block.

    Args:
        folder: The folder.
        image: Image file on the host that it may fetch images from.
    """
    for name in ("temporary", "home", "hook"):
        (folder / name).mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(HOOK)
    paths = [str(folder / "hook"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    changes = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "SEEN_BY_TEST": str(folder / "seen.txt"),
        "TMPDIR": str(folder / "temporary"),
        "HOME": str(folder / "home"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    before = dict(os.environ)
    model = red(folder / "red.onnx", probabilities=True)
    with image_host(image) as port:
        (folder / "image_port.txt").write_text(str(port))
        hosts = ["--allow_hosts", f"http://127.0.0.1:{port}"]
        server = Server(folder / "log.txt", str(model), "--workers", "2", "--max_memory", "1GB", *hosts)
        os.environ |= changes
        try:
            server.start()
        finally:
            for name in changes:
                os.environ.pop(name)
            os.environ |= before
        try:
            yield Observed(folder, server)
        finally:
            server.stop()
