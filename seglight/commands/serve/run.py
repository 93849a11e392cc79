"""From the options of `serve` to its exit code. Imports what needs the extra `serve` once it is known to be there."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec

from jsonargparse import Namespace

from seglight.commands.serve.models import named_models
from seglight.commands.serve.options import settings_of
from seglight.errors import STOPPED, UserError, say

PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "python_multipart")
"""Packages of the extra `serve`."""


EVERY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
"""Hosts that stand for all addresses of the machine, and the one that it reaches itself at."""


def run(options: Namespace) -> int:
    """Serve until a signal ends the server, and return the exit code.

    Raises:
        UserError: An option is wrong, a package is missing, the port is taken, or a model can't be loaded.
    """
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise UserError(f'serve: the package {missing[0]} is missing: pip install "seglight[serve]"')
    models = named_models(options.models)
    settings = settings_of(options)
    from seglight.commands.serve.access import is_loopback
    from seglight.commands.serve.app import create_app
    from seglight.commands.serve.server import Server, bound
    from seglight.commands.serve.service import Service

    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each damaged form, which is answered
    service = Service(models, settings, device=options.device, trust=options.trust)
    with bound(settings.host, settings.port) as listener:
        host, port = listener.getsockname()[:2]
        server = Server(create_app(service, settings), service, _ready(models, host, port))
        if settings.token is None and not is_loopback(settings.host):
            reached = f"--host {settings.host}: whoever reaches this address can use the models"
            say(f"{reached}: give --token FILE to prevent it")
        say(f"loading {', '.join(models)}")
        asyncio.run(server.run_service(listener))
    return STOPPED if server.received == signal.SIGINT else 0


def url(host: str, port: int) -> str:
    """Address of the page, as it is typed into a browser."""
    name = EVERY.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/"


def _ready(models: Iterable[str], host: str, port: int) -> Callable[[], None]:
    """What is said once the models are loaded, which begins now."""
    start = time.monotonic()

    def ready() -> None:
        say(f"loaded within {time.monotonic() - start:.0f} s: serving {', '.join(models)} at {url(host, port)}")
        if host in EVERY:
            say(f"other machines reach it at http://ADDRESS:{port}/, where ADDRESS is an IP address of this machine")

    return ready
