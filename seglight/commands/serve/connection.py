"""Connections of clients: how many there are, and how long one may take to send a header or to read an answer."""

import asyncio
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 400
"""Largest number of connections: below the 1,024 files that a process usually may open."""

HEADER_S = 10.0
"""Seconds within which the header of a request has to arrive."""

REST_S = 5.0
"""Seconds for which the rest of a body is read and dropped after the answer: closing at once could lose the answer."""

READING_S = 20.0
"""Seconds within which a client has to read a part of its answer."""

SLOWEST = 8_192
"""Bytes of it in a second."""


def _closing(status: str, reason: str, *headers: str) -> bytes:
    """An answer after which the connection is closed, in the form that all other errors have."""
    body = json.dumps({"error": reason})
    fixed = ("Connection: close", "Content-Type: application/json", f"Content-Length: {len(body)}")
    return "\r\n".join((f"HTTP/1.1 {status}", *fixed, *headers, "", body)).encode()


NOT_HTTP = _closing("400 Bad Request", "the request is not HTTP")
TOO_SLOW = _closing("408 Request Timeout", f"the header of the request did not arrive within {HEADER_S:.0f} s")
TOO_MANY = _closing("503 Service Unavailable", "too many connections: repeat the request later", "Retry-After: 1")


class Connection(H11Protocol):
    """A connection of uvicorn with bounds on what uvicorn waits for without one.

    If there are too many connections, one on which no request is under way, and no answer, is closed for a new one.
    """

    _timer: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # whatever its client has not read pauses an answer, and is watched
        if len(self.connections) > MOST and not self._make_room():
            transport.write(TOO_MANY)
            transport.close()
        else:
            self._timer = self.loop.call_later(HEADER_S, self._header_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_timer()
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle a part of a request."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:  # in the middle of a header
            if self._timer is None:
                self._timer = self.loop.call_later(HEADER_S, self._header_is_late)
        elif self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP. If it follows a request that is under way, that one is not answered any more."""
        started = False
        if not self.is_idle:
            started = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not started:
            self.transport.write(NOT_HTTP)
        self.transport.close()

    def on_response_complete(self) -> None:
        """Handle the end of an answer."""
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._stop_timer()
            self._timer = self.loop.call_later(REST_S, self.transport.close)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Handle that more is to be sent than the client has read."""
        super().pause_writing()
        self._reading = self.loop.call_later(READING_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Handle that the client has read all of it."""
        super().resume_writing()
        self._stop_watching()

    def _make_room(self) -> bool:
        """Close a connection on which no request is under way, and no answer; return whether there was one."""
        for other in self.connections:
            is_free = other is not self and isinstance(other, Connection) and other.is_idle
            if is_free and not other.transport.get_write_buffer_size():
                other.transport.abort()
                return True
        return False

    def _header_is_late(self) -> None:
        self._timer = None
        if self.is_idle and not self.transport.is_closing():
            self.transport.write(TOO_SLOW)
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_watching(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
