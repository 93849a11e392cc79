"""ASGI middleware that decides who is answered: by the token, the name of the server in a request, and the website."""

import hmac
from base64 import b64decode
from hashlib import sha256
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.responses import refusal_response
from seglight.commands.serve.settings import Settings

LIVENESS = ("/health/live", "/v2/health/live")
"""Paths that are answered without the token, for whatever restarts the server if it does not answer."""

READING = ("GET", "HEAD", "OPTIONS")
"""Methods that only read."""


class Access:
    """Middleware that refuses requests without the token, and those that a website makes in the browser of a user.

    Any website can let a browser send requests to a server on the user's own machine. Those that a browser marks as
    sent by another site are refused unless they only read, for which the browser keeps the answer from that site. By
    a name in the domain name system that a website points at this machine (DNS rebinding) it could read the answer as
    its own: a server without a token that listens on this machine only is called by its address, or as localhost.

    Args:
        app: Application that is called.
        settings: Settings of the server.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.token = None if settings.token is None else sha256(settings.token).digest()
        self.only_addresses = settings.token is None and is_loopback(settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        refused = None
        if scope["type"] == "http" and not (scope["method"] in READING and scope["path"] in LIVENESS):
            refused = self._refused(scope["method"], Headers(scope=scope))
        app = self.app if refused is None else refusal_response(refused)
        await app(scope, receive, send)

    def _refused(self, method: str, headers: Headers) -> Refused | None:
        host = headers.get("host", "")
        if self.only_addresses and not _is_address(host):
            return Refused(
                403, "without a token, this server is called by its address or as localhost only: start it with --token"
            )
        if method not in READING and _is_of_another_site(headers, host):
            return Refused(403, "the request was sent by the page of another website")
        if self.token is not None and not self._has_token(headers.get("authorization", "")):
            return Refused(401, "the token is missing or wrong: send the header `Authorization: Bearer TOKEN`")
        return None

    def _has_token(self, authorization: str) -> bool:
        """Compare the token in a time that depends on neither of both: their checksums have the same length."""
        assert self.token is not None
        stated = sha256(_credentials(authorization)).digest()
        return hmac.compare_digest(stated, self.token)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(authorization: str) -> bytes:
    """The token that a header states, as a bearer token or as the password of any user; empty if there is none."""
    scheme, _, value = authorization.strip().partition(" ")
    stated = value.strip().encode("latin-1", "replace")
    if scheme.lower() == "bearer":
        return stated
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(stated, validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _is_address(host: str) -> bool:
    """Whether the header Host is an IP address or localhost, with or without a port; requests of HTTP 1.0 have none."""
    try:
        name = urlsplit(f"//{host}").hostname
        return name is None or name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False


def _is_of_another_site(headers: Headers, host: str) -> bool:
    """Whether a browser marks a request as sent by the page of another site.

    Browsers state the relation of both sites where the connection is safe. Elsewhere the page's origin is compared,
    which behind a proxy can differ in the port.
    """
    relation = headers.get("sec-fetch-site")
    if relation is not None:
        return relation not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != host
