"""Health of the server, for whatever restarts it or sends requests to it, and the models that it has."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from seglight.commands.serve.models import ServedModel
from seglight.commands.serve.service import Service


def router(service: Service) -> APIRouter:
    """The routes of the health and of the models."""
    routes = APIRouter(tags=["operation"])

    @routes.get("/health/live", summary="Whether the web process answers; needs no token")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @routes.get(
        "/health/ready",
        summary="Whether predictions are answered",
        responses={503: {"description": "Models are being loaded, or the server is ending."}},
    )
    async def ready() -> JSONResponse:
        status = service.status()
        models = {name: model.ready for name, model in service.models.items()}
        shown = "ready" if status.ready else "draining" if status.draining else "not ready"
        return JSONResponse({"status": shown, "models": models}, 200 if status.ready else 503)

    @routes.get("/models", summary="The models, with their classes and colours")
    async def models() -> dict[str, Any]:
        names = list(service.models)
        return {"default": names[0], "models": [described(model) for model in service.models.values()]}

    return routes


def described(model: ServedModel) -> dict[str, Any]:
    """What `/models` shows of a model."""
    classes = zip(model.classes, model.palette, strict=True)
    return {
        "name": model.name,
        "version": model.version,
        "classes": [{"name": name, "color": list(color)} for name, color in classes],
        "bands": list(model.card.pixels.names),
        "type": model.card.pixels.type,
        "size": model.size and list(model.size),
        "has_probabilities": model.has_probabilities,
        "ready": model.ready,
    }
