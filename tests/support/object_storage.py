"""An S3 server on 127.0.0.1 (moto), and a proxy in front of it that fails as a test asks."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from urllib.parse import unquote

import pytest

SERVER = """
import sys
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()  # until the process that has started this one closes the pipe, or ends
"""

CODES = {403: "AccessDenied", 500: "InternalError", 503: "SlowDown"}
HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "server", "date")
KINDS = ("500", "503", "drop", "lost", "cut")


@dataclass
class Fault:
    """What goes wrong with the next requests of a kind.

    Args:
        kind: A status; "drop": no answer; "lost": it is done, and the answer is lost; "cut": the answer ends in the
            middle; "cut request": the connection ends in the middle of the request; "delay": the answer comes late.
        method: Method of the requests.
        part: Part of their paths.
        times: Number of requests.
    """

    kind: str
    method: str
    part: str = ""
    times: int = 1


@dataclass
class Request:
    """A request that came to the proxy."""

    method: str
    path: str
    range: str | None
    fault: str | None


@dataclass
class Faults:
    """What goes wrong, and what came."""

    planned: list[Fault] = field(default_factory=list)
    chance: float = 0.0
    delay: float = 0.0
    random: Random = field(default_factory=lambda: Random(0))
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, request: Request) -> str | None:
        """What goes wrong with a request."""
        with self.lock:
            self.requests.append(request)
            for fault in self.planned:
                if fault.times and fault.method == request.method and fault.part in request.path:
                    fault.times -= 1
                    request.fault = fault.kind
                    return fault.kind
            if self.random.random() < self.chance:
                request.fault = self.random.choice(KINDS)
            return request.fault

    def count(self, method: str, part: str = "") -> int:
        """Number of requests of a method whose path has a part."""
        return sum(request.method == method and part in request.path for request in self.requests)


class Handler(BaseHTTPRequestHandler):
    """Passes requests on to the server."""

    protocol_version = "HTTP/1.1"
    upstream: int
    faults: Faults

    def pass_on(self) -> None:
        request = Request(self.command, unquote(self.path), self.headers["Range"], None)
        fault = self.faults.of(request)
        length = int(self.headers.get("Content-Length", 0))
        assert "Transfer-Encoding" not in self.headers, "the length of every body is known"
        body = self.rfile.read(length // 2 if fault == "cut request" else length)
        if fault in ("drop", "cut request"):
            self.end()
            return
        if fault == "delay":
            time.sleep(self.faults.delay)
        if fault is not None and fault.isdigit():
            status = int(fault)
            text = f"<Error><Code>{CODES[status]}</Code><Message>as the test asks</Message></Error>".encode()
            self.answer(status, [("Content-Type", "application/xml")], len(text), text)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("expect", "connection")}
        with closing(HTTPConnection("127.0.0.1", self.upstream, timeout=60)) as connection:
            connection.request(self.command, self.path, body, headers)
            found = connection.getresponse()
            content = found.read()
        kept = [(name, value) for name, value in found.getheaders() if name.lower() not in HOP_BY_HOP]
        total = int(found.headers.get("Content-Length", len(content)))
        if fault == "lost" or (fault == "cut" and not content):
            self.end()
            return
        self.answer(found.status, kept, total, content[: len(content) // 2] if fault == "cut" else content)
        if fault == "cut":
            self.end()

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = pass_on  # noqa: N815

    def answer(self, status: int, headers: list[tuple[str, str]], length: int, content: bytes) -> None:
        """Send an answer, or a part of one."""
        try:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            self.wfile.flush()
        except OSError:  # the client has gone
            self.close_connection = True

    def end(self) -> None:
        """End the connection as a broken network does."""
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


class Proxy(ThreadingHTTPServer):
    """Serves each connection in a thread."""

    def handle_error(self, *_: object) -> None:
        """Nothing on stderr: clients that have been killed, or have given up, close their connections."""


class ObjectStorage:
    """A bucket on a server of its own, which clients reach through the proxy.

    Attributes:
        client: Client of boto3 that talks to the server itself.
        bucket: Name of the bucket.
        faults: What goes wrong on the way through the proxy.
        environment: What a client needs to find the proxy.
    """

    def __init__(self, client: Any, bucket: str, port: int, faults: Faults) -> None:
        self.client = client
        self.bucket = bucket
        self.faults = faults
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def url(self) -> str:
        """Address of the bucket."""
        return f"s3://{self.bucket}"

    def put(self, key: str, data: bytes) -> None:
        """Store an object."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        """Bytes of an object."""
        return bytes(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def keys(self, prefix: str = "") -> list[str]:
        """Keys of the objects with a prefix, sorted."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))


@contextmanager
def s3_server() -> Iterator[int]:
    """The port of a server that runs within the block."""
    pytest.importorskip("moto", reason="moto[server] is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.stdin.close()
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()


@contextmanager
def object_storage(port: int, bucket: str) -> Iterator[ObjectStorage]:
    """A new bucket of a server, and a proxy that runs within the block.

    Args:
        port: Port of the server.
        bucket: Name of the bucket.
    """
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.create_bucket(Bucket=bucket)
    faults = Faults()
    proxy = Proxy(("127.0.0.1", 0), type("Told", (Handler,), {"upstream": port, "faults": faults}))
    threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield ObjectStorage(client, bucket, proxy.server_address[1], faults)
    finally:
        proxy.shutdown()
        proxy.server_close()
        client.close()


def reach(storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch, timeout: float = 20.0) -> None:
    """Let this process talk to the proxy, with short waits."""
    from fsspec.config import conf

    from seglight.system.remote import file_system

    for name, value in storage.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(conf, "s3", {"config_kwargs": {"connect_timeout": timeout, "read_timeout": timeout}})
    monkeypatch.setattr("seglight.system.retries.FIRST_WAIT", 0.01)
    monkeypatch.setattr("seglight.system.retries.LONGEST_WAIT", 0.02)
    file_system.cache_clear()
