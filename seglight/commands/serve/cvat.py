"""CVAT's protocol of serverless functions, so that its automatic annotation uses the models of this server.

CVAT asks the dashboard of Nuclio for its functions and calls them by it (`cvat/apps/lambda_manager/views.py` of CVAT
2.80, invocation method "dashboard"). These routes take the place of the dashboard: each model is a function.
"""

import asyncio
import binascii
import json
import re
from typing import Any

from fastapi import APIRouter, Request, Response

from seglight.commands.serve.cvat_answer import cvat_detections
from seglight.commands.serve.models import ServedModel, served
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.service import Service
from seglight.commands.serve.settings import Settings

NAME = "x-nuclio-function-name"
"""Header that names the function."""

JSON = "application/json"

IMAGE = re.compile(rb'"image"\s*:\s*"([^"]*)"')
"""An image in the body of a call. Read as JSON, it would be in memory three times more."""

MOST_BESIDE = 1 << 16
"""Bytes of a body beside the image; JSON of small values takes twenty times its size in memory."""

BODY = {
    "required": True,
    "content": {
        JSON: {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": {"type": "string", "contentEncoding": "base64"}},
            }
        }
    },
}
"""Description of the body of a call."""


def router(service: Service, settings: Settings) -> APIRouter:
    """The routes of CVAT.

    Args:
        service: The models.
        settings: Those of the server.
    """
    routes = APIRouter(tags=["CVAT"])

    @routes.get("/api/functions")
    async def functions() -> dict[str, dict[str, Any]]:
        """Models as CVAT lists serverless functions."""
        return {name: described(model) for name, model in service.models.items()}

    @routes.get("/api/functions/{name}", openapi_extra={"parameters": [parameter("name", "path")]})
    async def function(request: Request) -> dict[str, Any]:
        """A model as CVAT describes a serverless function."""
        return described(served(service.models, request.path_params["name"]))

    @routes.post(
        "/api/function_invocations",
        response_class=Response,
        responses={200: {"content": {JSON: {"schema": {"type": "array", "items": {"type": "object"}}}}}},
        openapi_extra={"parameters": [parameter(NAME, "header")], "requestBody": BODY},
    )
    async def invoke(request: Request) -> Response:
        """Objects of an image, which is sent in base64, by the model that the header `x-nuclio-function-name` names."""
        name = request.headers.get(NAME)
        if not name:
            raise Refused(400, f"the header {NAME} is missing: it names the function")
        model = served(service.models, name)
        image = await asyncio.to_thread(decoded, await request.body())
        found = await service.predict(image, cvat_detections, model.name)
        return Response(found, media_type=JSON)

    return routes


def parameter(name: str, place: str) -> dict[str, Any]:
    """Description of a parameter that names a model.

    Args:
        name: Name of the parameter.
        place: Where it is: "path" or "header".
    """
    about = "name of a model, as /models lists it"
    return {"name": name, "in": place, "required": True, "description": about, "schema": {"type": "string"}}


def described(model: ServedModel) -> dict[str, Any]:
    """A model as a serverless function of type "detector", in the form of Nuclio's dashboard.

    Args:
        model: The model.
    """
    labels = [{"id": index, "name": name, "type": "mask"} for index, name in enumerate(model.classes)]
    about = {"name": model.name, "type": "detector", "framework": "seglight", "spec": json.dumps(labels)}
    return {
        "metadata": {"name": model.name, "annotations": about},
        "spec": {"description": f"Semantic segmentation into {len(labels)} classes, version {model.version}"},
        "status": {"state": "ready" if model.ready else "building"},
    }


def decoded(body: bytes) -> bytes:
    """The image file in the body of a call.

    Args:
        body: JSON with the file in base64 under `image`.

    Raises:
        Refused: The body is something else.
    """
    found = IMAGE.search(body)
    start, end = found.span(1) if found else (0, 0)
    rest = body[:start] + body[end:]
    if len(rest) > MOST_BESIDE:
        beside = f"{len(rest)} bytes beside the `image`, and {MOST_BESIDE} are read"
        raise Refused(413, f"{beside}: CVAT sends an object with an `image` in base64")
    try:
        content = json.loads(rest)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "the body is not JSON: CVAT sends an object with an `image` in base64") from error
    if not isinstance(content, dict) or content.get("image") != "":
        raise Refused(400, "the body has no `image`: CVAT sends an object with an `image` in base64")
    try:
        return binascii.a2b_base64(memoryview(body)[start:end], strict_mode=True)
    except ValueError as error:
        raise Refused(400, "the `image` in the body is not base64") from error
