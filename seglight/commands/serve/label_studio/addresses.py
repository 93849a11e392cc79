"""IP addresses of hosts that images are fetched from.

A name is resolved once, its addresses are checked, and one of these is connected to: whoever owns the name can't point
it at this machine or at a metadata service between the check and the connection.
"""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from seglight.commands.serve.label_studio.origins import Origin
from seglight.commands.serve.refusals import Refused

NAT64 = IPv6Network("64:ff9b::/96")
"""IPv6 addresses whose last 32 bits are the IPv4 address that is reached."""


async def addresses_of(origin: Origin) -> list[str]:
    """Resolve a host.

    Args:
        origin: Server to connect to.

    Returns:
        Its addresses, in the order in which they are to be tried.

    Raises:
        Refused: The host is not found, or is a name with an address that only this machine or its link has.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Refused(502, f"{origin}: the host is not found") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if _names_an_address(origin.host):
        return addresses
    inner = next((address for address in addresses if is_inner(address)), None)
    if inner is not None:
        raise Refused(
            422,
            f"{origin}: this name has the address {inner}, which is of this machine or its link: if it is meant, give "
            "the address in --allow_hosts",
        )
    return addresses


def _names_an_address(host: str) -> bool:
    """Whether the user has named the address itself: a literal, or localhost."""
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def is_inner(address: str) -> bool:
    """Whether an IP address is of this machine, of its link, or of no single machine at all."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        ip = _within(ip) or ip
    return ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved


def _within(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address contains."""
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
