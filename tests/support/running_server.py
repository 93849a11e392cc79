"""`seglight serve` as a process of its own, on a free port of this machine."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

TIMEOUT = 120
"""Seconds until it is ready, on a machine that is busy."""


class Server:
    """A server that is started and ended any number of times, always on the same port.

    Args:
        log: File of what it prints.
        arguments: Its command line, without the port.
        token: Its token, if it has one.
    """

    def __init__(self, log: Path, *arguments: str, token: str = "") -> None:
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.log = log
        self.arguments = arguments
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until its models are loaded."""
        command = [sys.executable, "-m", "seglight", "serve", *self.arguments, "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"}
            )
        deadline = time.monotonic() + TIMEOUT
        while not self._is_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """End it, and wait until it has."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process = None

    def _is_ready(self) -> bool:
        try:
            with urlopen(Request(f"{self.address}health/ready", headers=self.headers), timeout=10) as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError, TimeoutError):
            return False


@contextmanager
def running(log: Path, *arguments: str, token: str = "") -> Iterator[Server]:
    """A server that is ended at the end of the block."""
    server = Server(log, *arguments, token=token)
    try:
        server.start()
        yield server
    finally:
        server.stop()
