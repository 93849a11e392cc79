"""One request to a web server and its answer, bounded in bytes. Whoever calls bounds the time."""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from io import BytesIO
from typing import NamedTuple

import h11

from seglight.commands.serve.label_studio.addresses import addresses_of
from seglight.commands.serve.label_studio.origins import Origin
from seglight.commands.serve.refusals import Refused

CHUNK = 1 << 16


class Reply(NamedTuple):
    """An answer.

    Args:
        status: HTTP status.
        headers: Headers by their name in lower case.
        body: Body; empty if the status is not 200.
    """

    status: int
    headers: dict[str, str]
    body: bytes


async def exchange(
    origin: Origin, method: str, target: str, headers: Mapping[str, str], limit: int, body: bytes = b""
) -> Reply:
    """Send a request on a connection of its own.

    Args:
        origin: Server.
        method: "GET" or "POST".
        target: Path and query.
        headers: Headers beside those of the connection.
        limit: Largest number of bytes of the answer's body.
        body: Body of the request.

    Raises:
        Refused: There is no connection, the answer is not HTTP or is cut off, or it is larger than the limit.
    """
    reader, writer = await _connect(origin)
    try:
        return await _talk(reader, writer, _request(origin, method, target, headers, body), body, limit, origin)
    except (h11.ProtocolError, OSError) as error:
        raise Refused(502, f"{origin}: its answer is cut off, or not HTTP") from error
    finally:
        writer.transport.abort()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _connect(origin: Origin) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reason = ""
    for address in await addresses_of(origin):
        try:
            if origin.scheme == "http":
                return await asyncio.open_connection(address, origin.port)
            return await asyncio.open_connection(address, origin.port, ssl=_tls(), server_hostname=origin.host)
        except ssl.SSLCertVerificationError as error:
            reason = f" (its certificate: {error.verify_message})"
        except OSError:
            reason = ""
    raise Refused(502, f"{origin}: no connection to it{reason}")


def _request(origin: Origin, method: str, target: str, headers: Mapping[str, str], body: bytes) -> h11.Request:
    fields = {
        "Host": origin.authority,
        "User-Agent": "seglight",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    if body:
        fields["Content-Length"] = str(len(body))
    return h11.Request(method=method, target=target, headers=list(fields.items()))


async def _talk(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: h11.Request,
    body: bytes,
    limit: int,
    origin: Origin,
) -> Reply:
    connection = h11.Connection(h11.CLIENT)
    for part in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(connection.send(part) or b"")
    await writer.drain()
    reply = None
    received = BytesIO()  # gives its bytes without a copy of them, as a bytearray does not
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
        elif isinstance(event, h11.Response):
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
            reply = Reply(event.status_code, headers, b"")
            if reply.status != 200:
                return reply
        elif isinstance(event, h11.Data):
            received.write(event.data)
            if received.tell() > limit:
                raise Refused(413, f"{origin}: its answer has more than {limit} bytes")
        elif isinstance(event, h11.EndOfMessage) and reply is not None:
            return reply._replace(body=received.getvalue())
        elif not isinstance(event, h11.InformationalResponse):
            raise Refused(502, f"{origin}: its answer is cut off")
