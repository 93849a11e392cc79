import asyncio
import socket
from typing import Any

import pytest

from seglight.commands.serve.label_studio.addresses import addresses_of, is_inner
from seglight.commands.serve.label_studio.origins import Origin
from seglight.commands.serve.refusals import Refused


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%lo",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
def test_addresses_of_this_machine_and_its_link(address: str) -> None:
    assert is_inner(address)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.7", "93.184.216.34", "2606:2800::1", "fd00::1", "64:ff9b::5db8:d822"]
)
def test_other_addresses(address: str) -> None:
    assert not is_inner(address)


def resolved(host: str, answers: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a host is resolved to, where the system's resolver gives these addresses."""

    def getaddrinfo(name: str, port: int, *_: Any, **__: Any) -> list[Any]:
        assert (name, port) == (host, 80)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asyncio.run(addresses_of(Origin("http", host, 80)))


def test_a_name_is_resolved_to_all_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["93.184.216.34", "10.0.0.1", "93.184.216.34"]
    assert resolved("a.org", answers, monkeypatch) == ["93.184.216.34", "10.0.0.1"]


@pytest.mark.parametrize("inner", ["127.0.0.1", "169.254.169.254", "::1"])
def test_a_name_does_not_lead_to_this_machine(inner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match=f"http://a.org: this name has the address {inner}") as refused:
        resolved("a.org", ["93.184.216.34", inner], monkeypatch)
    assert refused.value.status == 422


@pytest.mark.parametrize(("host", "address"), [("localhost", "127.0.0.1"), ("169.254.0.9", "169.254.0.9")])
def test_an_address_that_the_user_named_is_allowed(host: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolved(host, [address], monkeypatch) == [address]


def test_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match=r"http://a\.org: the host is not found") as refused:
        resolved("a.org", [], monkeypatch)
    assert refused.value.status == 502
