"""The web server: it listens while models are loaded, and finishes what is under way before it ends."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from seglight.commands.serve.connection import Connection
from seglight.commands.serve.service import Service
from seglight.errors import UserError

KEEP_ALIVE_S = 30
"""Seconds after an answer within which the next request of a connection has to begin."""

ENDING_S = 60
"""Seconds that connections have to take their answers when the server ends."""

HEADER_BYTES = 16_384
"""Largest number of bytes of a request's header."""


class Server(uvicorn.Server):
    """A server that answers while its service starts, and that drains its service before it stops to listen.

    At the first signal the service refuses new images and finishes those that it has; at the second one, or while
    models are being loaded, the server ends at once.

    Args:
        app: Application that is served.
        service: Its service, which is started, drained and closed.
        ready: Function that is called once all models are ready.

    Attributes:
        received: The first signal that arrived, or None.
    """

    def __init__(self, app: FastAPI, service: Service, ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http=Connection,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=ENDING_S,
            h11_max_incomplete_event_size=HEADER_BYTES,
        )
        super().__init__(config)
        self.service = service
        self.ready = ready
        self.received: signal.Signals | None = None
        self._starting: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None

    async def run_service(self, listener: socket.socket) -> None:
        """Serve until a signal ends the server.

        Args:
            listener: Socket that is bound to the address.

        Raises:
            UserError: A model can't be loaded.
        """
        self._starting = asyncio.create_task(self._start())
        try:
            await self.serve(sockets=[listener])
            if self._starting.done():
                self._starting.result()
        finally:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
            await self.service.close()

    async def _start(self) -> None:
        await self.service.start()
        self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal. Unlike uvicorn's, this does not send it again after the end, which would skip what follows."""
        is_ready = self._starting is not None and self._starting.done()
        if self.received is not None or not is_ready:
            self.should_exit = True
            self.force_exit = True
        self.received = self.received or signal.Signals(sig)

    async def on_tick(self, counter: int) -> bool:
        """Look at what has changed, ten times a second; return whether to end."""
        if self._starting is not None and self._starting.done():
            failed = self._starting.cancelled() or self._starting.exception() is not None
            self.should_exit = self.should_exit or failed
        if self.received is not None and self._draining is None and not self.should_exit:
            self._draining = asyncio.create_task(self.service.drain())
        if self._draining is not None and self._draining.done():
            self._draining.result()
            self.should_exit = True
        return await super().on_tick(counter)


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound to an address, on which nothing listens yet.

    Args:
        host: Address or name of this machine.
        port: Port; 0: any that is free.

    Raises:
        UserError: The address is not one of this machine, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UserError(f"--host {host}: {error.strerror}: give an address of this machine") from error
    with found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # of a server that has just ended
        try:
            found.bind(address)
        except OSError as error:
            raise UserError(f"--port {port} of {host}: {error.strerror}: give another one") from error
        yield found
