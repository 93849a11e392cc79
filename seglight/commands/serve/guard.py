"""ASGI middleware around everything: headers of answers, answers while models are loaded, and errors of the code."""

import logging

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seglight.commands.serve.models import LOADING, RETRY_S
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.responses import refusal_response
from seglight.commands.serve.service import Service
from seglight.errors import terminal, traceback_of

HEADERS = {
    # answers are made from images of users
    "Cache-Control": "no-store",
    # the page loads nothing from elsewhere, and contains neither scripts nor styles itself
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer whose handler has not set them."""

WITHOUT_MODELS = ("/health/", "/v2/health/", "/page/")
"""Beginnings of the paths that are answered while models are being loaded, as is the page itself."""

LOG = logging.getLogger(__name__)


class Guard:
    """Middleware that sets the headers of answers, and turns an error of the code into an answer of one line.

    Args:
        app: Application that is called.
        service: The service, which has no models until they have been loaded.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self.app if self._is_ready_for(scope["path"]) else refusal_response(Refused(503, LOADING, RETRY_S))
        try:
            await app(scope, receive, send_with_headers)
        except Exception as error:
            if started:
                raise  # the server closes the connection, which shows the client that the answer is not complete
            request = terminal(f"{scope['method']} {scope['path']}")
            LOG.error("%s\n%s", request, traceback_of(error))  # noqa: TRY400  # it would print the message as it is
            await refusal_response(BROKEN)(scope, receive, send_with_headers)

    def _is_ready_for(self, path: str) -> bool:
        return bool(self.service.models) or path == "/" or path.startswith(WITHOUT_MODELS)


BROKEN = Refused(500, "an error of the server, which its log describes")
