"""Routes of an ML backend for Label Studio, below `/label-studio` and `/label-studio/MODEL`.

Label Studio adds `/predict`, `/setup`, `/webhook`, `/health` and `/metrics` to the address that a user gives it.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from seglight.commands.serve.label_studio.backend import Backend
from seglight.commands.serve.service import Service
from seglight.commands.serve.settings import Settings

PREFIX = "/label-studio"


def router(service: Service, settings: Settings) -> APIRouter:
    """Make the routes.

    Args:
        service: Models.
        settings: Settings of the server.

    Raises:
        UserError: A host that images may be fetched from, or Label Studio's key, is not one.
    """
    backend = Backend(service, settings)
    routes = APIRouter(prefix=PREFIX, tags=["Label Studio"])

    async def health(request: Request) -> dict[str, Any]:
        """Whether the model is there."""
        return backend.health(_model(request))

    async def setup(request: Request) -> dict[str, Any]:
        """Check that the project has labels for the classes of the model; the answer states the model's version."""
        return backend.setup(await request.body(), _model(request))

    async def predict(request: Request) -> Response:
        """Predict the images of tasks, as brush strokes or polygons."""
        return Response(await backend.predict(await request.body(), _model(request)), media_type="application/json")

    async def webhook(request: Request) -> JSONResponse:
        """Take notice of an event of a project."""
        backend.health(_model(request))
        status, answer = backend.webhook(await request.body())
        return JSONResponse(answer, status)

    async def metrics() -> dict[str, Any]:
        """Nothing: the server's metrics are under `/metrics`."""
        return {}

    for path, shown in (("", True), ("/{model}", False)):
        routes.get(f"{path}/health", include_in_schema=shown)(health)
        routes.get(f"{path}/metrics", include_in_schema=shown)(metrics)
        routes.post(f"{path}/setup", include_in_schema=shown)(setup)
        routes.post(f"{path}/predict", include_in_schema=shown)(predict)
        routes.post(f"{path}/webhook", include_in_schema=shown)(webhook)
    for path in ("", "/{model}"):
        routes.get(path, include_in_schema=False)(health)
    return routes


def _model(request: Request) -> str | None:
    """Name of the model in a path; as a parameter of the handler, FastAPI would describe errors that do not occur."""
    return request.path_params.get("model")
