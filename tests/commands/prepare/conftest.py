"""Servers on 127.0.0.1."""

from collections.abc import Iterator

import pytest

from seglight.commands.prepare import transfer
from tests.support.download_server import Behaviour, serve


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "BACK_OFF", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def _served() -> Iterator[Behaviour]:
    behaviour = Behaviour()
    server = serve(behaviour)
    yield behaviour
    behaviour.go_on.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def server() -> Iterator[Behaviour]:
    yield from _served()


@pytest.fixture
def other() -> Iterator[Behaviour]:
    """A second mirror."""
    yield from _served()
