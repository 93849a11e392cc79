"""Origins of web addresses: scheme, host and port, which say whether an image may be fetched from there."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from seglight.errors import UserError

PORTS = {"http": 80, "https": 443}

KEPT = "/%:@!$&'()*+,;=~"
"""Characters of paths and queries that are not escaped, beside letters, digits, and `_.-`."""


class Origin(NamedTuple):
    """A server that an address names.

    Args:
        scheme: "http" or "https".
        host: Name in lower case, or an IP address.
        port: Port.
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as in the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def split_address(address: str) -> tuple[Origin, str]:
    """Split an address into its origin and what is requested there: the path and the query.

    Raises:
        ValueError: It is not an address of a file on a web server, or states a user.
    """
    parts = urlsplit(address)
    if parts.scheme not in PORTS:
        raise ValueError("it does not begin with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("it states a user")
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    origin = Origin(parts.scheme, _host(parts.hostname or ""), port)
    query = f"?{quote(parts.query, KEPT + '?')}" if parts.query else ""
    return origin, (quote(parts.path, KEPT) or "/") + query


def _host(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        name = text.rstrip(".").encode("idna").decode("ascii").lower()
    if not name:
        raise ValueError("it has no host")
    return name


def origins_of(texts: Sequence[str]) -> tuple[Origin, ...]:
    """Read the values of `--allow_hosts`.

    Args:
        texts: Hosts, such as "labels.example.org", "labels.example.org:8443" or "http://127.0.0.1:8080"; without a
            scheme, https is meant.

    Raises:
        UserError: One of them is not the address of a server.
    """
    return tuple(_origin(text) for text in texts)


def _origin(text: str) -> Origin:
    try:
        origin, target = split_address(text if "://" in text else f"https://{text}")
    except ValueError as error:
        raise UserError(
            f"--allow_hosts {text}: {error}: give a host such as labels.example.org or http://127.0.0.1:8080"
        ) from error
    if target != "/":
        raise UserError(f"--allow_hosts {text}: a host has no path: give {origin}")
    return origin
