"""The application: all protocols of the server, behind its limits."""

from http import HTTPStatus

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from seglight import __version__
from seglight.commands.serve import cvat, health, metrics, open_inference, page, rest
from seglight.commands.serve.access import Access
from seglight.commands.serve.bodies import BoundedBodies
from seglight.commands.serve.guard import Guard
from seglight.commands.serve.label_studio import routes as label_studio
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.responses import refusal_response
from seglight.commands.serve.service import Service
from seglight.commands.serve.settings import Settings

ABOUT = """Label maps of images, predicted by the models of this server.

A request that is refused is answered by its status and `{"error": "one line"}`. With a token, each request but
`/health/live` and `/v2/health/live` has the header `Authorization: Bearer TOKEN`.
"""


def create_app(service: Service, settings: Settings) -> FastAPI:
    """The application of a server.

    Args:
        service: Service that predicts; whoever runs the application starts and ends it.
        settings: Settings of the server.
    """
    app = FastAPI(
        title="seglight",
        version=__version__,
        description=ABOUT,
        docs_url=None,  # FastAPI's pages load their scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
        # it describes the token; the middleware checks it
        dependencies=[] if settings.token is None else [Depends(HTTPBearer(auto_error=False))],
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        exception_handlers={
            Refused: _refused,
            HTTPException: _unknown,
            RequestValidationError: _wrong_parameter,
        },
    )
    counts = metrics.Metrics(service)
    # the last one is called first
    app.add_middleware(BoundedBodies, settings=settings)
    app.add_middleware(Access, settings=settings)
    app.add_middleware(Guard, service=service)
    app.add_middleware(metrics.CountedRequests, metrics=counts)
    app.include_router(rest.router(service, settings))
    app.include_router(label_studio.router(service, settings))
    app.include_router(open_inference.router(service, settings))
    app.include_router(health.router(service))
    app.include_router(metrics.router(counts))
    app.include_router(cvat.router(service, settings))
    app.include_router(page.router(service, settings))
    return app


async def _refused(request: Request, error: Refused) -> JSONResponse:
    return refusal_response(error)


async def _unknown(request: Request, error: HTTPException) -> JSONResponse:
    """A path or a method that no route has; or what Starlette refuses."""
    response = refusal_response(Refused(error.status_code, f"{request.method}: {_phrase(error)}"))
    response.headers.update(error.headers or {})
    return response


def _phrase(error: HTTPException) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return "there is no such path: GET /openapi.json describes those that there are"
    return str(error.detail)


async def _wrong_parameter(request: Request, error: RequestValidationError) -> JSONResponse:
    found = error.errors()[0]
    return refusal_response(Refused(400, f"the parameter {found['loc'][-1]}: {found['msg']}"))
