"""Errors of requests as responses: a status, and one line as JSON."""

import math

from fastapi.responses import JSONResponse

from seglight.commands.serve.refusals import Refused
from seglight.errors import terminal

CHALLENGES = ('Basic realm="seglight", charset="UTF-8"', 'Bearer realm="seglight"')
"""Ways to state the token. Browsers ask for it by the first one, in a dialogue of their own."""


def refusal_response(refused: Refused) -> JSONResponse:
    """The response to a request that was refused."""
    line = terminal(refused.reason).encode(errors="backslashreplace").decode()  # names may hold bytes that aren't UTF-8
    response = JSONResponse({"error": line}, refused.status)
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(refused.retry_after)))
    if refused.status == 401:
        for challenge in CHALLENGES:
            response.headers.append("WWW-Authenticate", challenge)
    return response
