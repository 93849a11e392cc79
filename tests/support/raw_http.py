"""A web server that sends bytes as they are given, within the event loop of a test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class RawServer:
    """A server on 127.0.0.1, which answers each connection with what `answer` makes of the request's head.

    Attributes:
        heads: Heads of the requests that came, as text.
        bodies: Their bodies.
        url: Its address.
    """

    def __init__(self, answer: Callable[[str], bytes | None]) -> None:
        self.answer = answer
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.url = ""
        self._open: set[asyncio.StreamWriter] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; None: never, until the client has left."""
        self._open.add(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next((int(line[16:]) for line in head.split("\r\n") if line.lower().startswith("content-length: ")), 0)
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(length))
        answer = self.answer(head)
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    async def close(self) -> None:
        """End all connections."""
        for writer in self._open:
            if not writer.transport.is_closing():
                writer.transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def raw_server(answer: Callable[[str], bytes | None]) -> AsyncIterator[RawServer]:
    """Start a server, and stop it in the end."""
    server = RawServer(answer)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        async with listening:
            yield server
    finally:
        await server.close()


def reply(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """An answer with its length."""
    fields = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body
