"""ASGI middleware that bounds the bodies of requests and answers, and ends the work for a client that has left."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seglight.commands.serve import connection
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.responses import refusal_response
from seglight.commands.serve.settings import Settings

SLOWEST = 32_768
"""Bytes of a body for which its deadline is moved by a second: a client that is slower is not served."""

RETRY_S = 2.0
"""Seconds after which a client may repeat a request that found too many bodies."""

PART = int(connection.SLOWEST * connection.READING_S)
"""Bytes of an answer that are sent at a time, and have to be read within `connection.READING_S`."""


@dataclass
class Bodies:
    """Bytes of all bodies of requests and answers that are held at a time."""

    held: int = 0


class BoundedBodies:
    """Middleware that refuses bodies that are too large or too slow, and too many of them at a time.

    A handler reads its body as usual: what exceeds a bound is raised from there as `Refused`. The handler is cancelled
    when the client has left before its answer was complete. An answer counts as well until its client has read it: it
    is sent whatever its size, and further bodies are refused meanwhile.

    Args:
        app: Application that is called.
        settings: Settings of the server.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif _is_above(Headers(scope=scope).get("content-length", ""), self.settings.max_bytes):
            await refusal_response(too_large(self.settings.max_bytes))(scope, receive, send)
        else:
            body = _Body(receive, send, self.settings, self.bodies)
            try:
                await _until_left(self.app(scope, body.receive, body.send), body)
            finally:
                self.bodies.held -= body.received + body.sent


class _Body:
    """The body of one request as it arrives, that of its answer, and whether its client is still there.

    Attributes:
        received: Number of bytes that have arrived.
        sent: Number of bytes of the answer.
    """

    def __init__(self, receive: Receive, send: Send, settings: Settings, bodies: Bodies) -> None:
        self.received = 0
        self.sent = 0
        self._receive = receive
        self._send = send
        self._settings = settings
        self._bodies = bodies
        self._deadline = time.monotonic() + settings.body_timeout_s
        self._complete = asyncio.Event()
        self._gone = asyncio.Event()
        self._answered = False

    @property
    def left(self) -> bool:
        """Whether the client has left before its answer was complete."""
        return self._gone.is_set() and not self._answered

    async def receive(self) -> Message:
        """The next part of the body, or that the client has left.

        Raises:
            Refused: The body is too large or too slow, or there are too many.
        """
        if self._complete.is_set():
            await self._gone.wait()
            return {"type": "http.disconnect"}
        message = await self._next()
        if message["type"] == "http.disconnect":
            self._gone.set()
        if not message.get("more_body", False):
            self._complete.set()
        self._count(len(message.get("body", b"")))
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer, as fast as the client reads it: uvicorn would take all of it at once."""
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        content, more = message.get("body", b""), message.get("more_body", False)
        self.sent += len(content)
        self._bodies.held += len(content)
        for start in range(0, len(content), PART) or (0,):
            is_last = start + PART >= len(content)
            self._answered = is_last and not more
            await self._send({**message, "body": content[start : start + PART], "more_body": more or not is_last})

    async def until_gone(self) -> None:
        """Wait until the client has left, or the answer is complete."""
        await self._complete.wait()  # only one of this and `receive` waits for messages
        while not self._gone.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone.set()

    async def _next(self) -> Message:
        remaining = self._deadline + self.received / SLOWEST - time.monotonic()
        try:
            async with asyncio.timeout(remaining):
                return await self._receive()
        except TimeoutError as error:
            so_far = f"{self.received} bytes of the body have arrived so far"
            raise Refused(408, f"the request is too slow, {so_far}: send a smaller image") from error

    def _count(self, size: int) -> None:
        self.received += size
        self._bodies.held += size
        if self.received > self._settings.max_bytes:
            raise too_large(self._settings.max_bytes)
        if self._bodies.held > self._settings.upload_bytes:
            raise Refused(503, "too many images and answers are being sent at once: repeat the request later", RETRY_S)


def too_large(max_bytes: int) -> Refused:
    """The refusal of a body of more bytes than are accepted."""
    return Refused(413, f"the body of the request has more than {max_bytes} bytes: send a smaller image")


def _is_above(stated: str, most: int) -> bool:
    """Whether a header states a number above another one; what is no number is refused by the server itself."""
    return stated.isascii() and stated.isdigit() and (len(stated) > 18 or int(stated) > most)


async def _until_left(handling: Awaitable[None], body: _Body) -> None:
    """Wait for the end of a handler, or cancel it when its client has left."""
    handler = asyncio.ensure_future(handling)
    watch = asyncio.ensure_future(body.until_gone())
    try:
        await asyncio.wait((handler, watch), return_when=asyncio.FIRST_COMPLETED)
        if not body.left:
            await handler
    finally:
        handler.cancel()
        watch.cancel()
        await asyncio.gather(handler, watch, return_exceptions=True)
