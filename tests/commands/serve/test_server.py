"""Start and end of a server: it answers while models are loaded, and what it has accepted before it ends."""

import asyncio
import signal
import threading

import httpx
import pytest

from seglight.commands.serve.app import create_app
from seglight.commands.serve.server import bound
from seglight.commands.serve.settings import Settings
from seglight.errors import UserError
from tests.support.served import StandIn, picture, png, serving, until


class Slow(StandIn):
    """A service whose start takes until it is let go, or fails."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.broken = False
        self.later, self.models = self.models, {}

    async def start(self) -> None:
        while not self.go.is_set():
            await asyncio.sleep(0.005)
        if self.broken:
            raise UserError("net.onnx: no such file")
        self.models = self.later


def test_it_answers_while_models_are_loaded() -> None:
    service = Slow()
    with serving(create_app(service, Settings()), service) as running:
        assert httpx.get(f"{running.url}/health/live").status_code == 200
        assert httpx.get(f"{running.url}/models").status_code == 503
        service.go.set()
        until(lambda: bool(service.models))
        assert httpx.get(f"{running.url}/models").status_code == 200
    assert service.events == ["close"]


def test_a_model_that_cannot_be_loaded_ends_it() -> None:
    service = Slow()
    service.broken = True
    with serving(create_app(service, Settings()), service) as running:
        service.go.set()
        running.thread.join(20)
        assert isinstance(running.error, UserError)
    assert service.events == ["close"]


def test_a_signal_while_models_are_loaded_ends_it_at_once() -> None:
    service = Slow()
    with serving(create_app(service, Settings()), service) as running:
        running.server.handle_exit(signal.SIGTERM, None)
        running.thread.join(20)
        assert running.error is None
    assert service.events == ["close"], "which also holds for processes that were being started"


def test_what_was_accepted_is_answered_before_it_ends() -> None:
    service = StandIn()
    service.held = True
    answers: list[httpx.Response] = []
    with serving(create_app(service, Settings()), service) as running:
        until(lambda: "start" in service.events)
        asking = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{running.url}/predict", content=png(picture()), timeout=20))
        )
        asking.start()
        until(lambda: service.waiting == 1)
        running.server.handle_exit(signal.SIGTERM, None)
        until(lambda: service.seen.draining)
        late = httpx.post(f"{running.url}/predict", content=png(picture()))
        assert (late.status_code, late.json()) == (503, {"error": "the server is ending"})
        ready = httpx.get(f"{running.url}/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        assert httpx.get(f"{running.url}/health/live").status_code == 200, "so that nothing kills it"
        service.held = False
        running.thread.join(20)
        asking.join(20)
    assert [found.status_code for found in answers] == [200]
    assert running.server.received == signal.SIGTERM
    assert service.events == ["start", "drain", "close"]


def test_a_second_signal_ends_it_at_once() -> None:
    service = StandIn()
    service.held = True
    with serving(create_app(service, Settings()), service) as running:
        until(lambda: "start" in service.events)
        running.server.handle_exit(signal.SIGINT, None)
        until(lambda: "drain" in service.events)
        assert running.thread.is_alive()
        running.server.handle_exit(signal.SIGINT, None)
        running.thread.join(20)
    assert service.events == ["start", "drain", "close"]


def test_addresses() -> None:
    with bound("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        first.listen()
        with pytest.raises(UserError, match=f"^--port {port} of 127.0.0.1: Address already in use: give another one"):
            bound("127.0.0.1", port).__enter__()
    with bound("localhost", port):
        pass
    with pytest.raises(UserError, match=r"^--port 0 of 192\.0\.2\.1: .*: give another"):  # of no machine (RFC 5737)
        bound("192.0.2.1", 0).__enter__()
    with pytest.raises(UserError, match=r"^--host nowhere\.invalid: .*: give an address of this machine"):
        bound("nowhere.invalid", 0).__enter__()
