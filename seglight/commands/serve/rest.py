"""`POST /predict`: an image in, its label map out, in the format that is asked for."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from seglight.commands.serve.formats import FORMATS, LINES, Name, requested_format
from seglight.commands.serve.models import served
from seglight.commands.serve.progress import in_lines
from seglight.commands.serve.service import Service
from seglight.commands.serve.settings import Settings
from seglight.commands.serve.uploads import FIELD, FORM, image_of

BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}
"""Schema of bytes (OpenAPI 3.1, section 4.8.14.3)."""

REFUSALS = {
    400: "No image, a damaged form, or a wrong parameter.",
    401: "The token is missing or wrong.",
    403: "The request was sent by another website, or to a name of the server that it does not answer to.",
    404: "There is no such model.",
    406: "No answer is of a type that the header Accept names.",
    408: "The body arrived too slowly.",
    413: "The body has too many bytes, or the image too many pixels.",
    415: "The format of the image is not read.",
    422: "The image is damaged, or the model does not take it.",
    429: "Too many images wait; Retry-After is a number of seconds.",
    500: "The process that predicted the image has ended.",
    503: "Models are being loaded, the server is ending, or too much is being sent at once.",
    504: "The prediction took too long.",
}
"""Statuses of refused requests, whose body is `{"error": "one line"}`."""

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
    "example": {"error": "the request contains no image: send one as the body, or as the field `image` of a form"},
}


def router(service: Service, settings: Settings) -> APIRouter:
    """The route of predictions."""
    routes = APIRouter(tags=["predictions"])

    @routes.post(
        "/predict",
        summary="Predict the label map of an image",
        description=_description(),
        response_class=Response,
        responses=_responses(),
        openapi_extra={"requestBody": _request_body(settings), "x-codeSamples": _samples()},
    )
    async def predict(
        request: Request,
        model: Annotated[str | None, Query(description="name of the model; default: the first of /models")] = None,
        format: Annotated[Name | None, Query(description="format of the answer")] = None,  # noqa: A002
    ) -> Response:
        requested = requested_format(format, request.headers.get("accept", ""))
        form = FORMATS[requested.format]
        served(service.models, model)  # before the image is read
        image = await image_of(request)
        if requested.in_lines:
            return await in_lines(
                lambda progress: service.answered(image, form.answer, model, progress), form.media_type
            )
        answered = await service.answered(image, form.answer, model)
        headers = {"X-Seglight-Model": answered.model.name, "X-Seglight-Version": answered.model.version}
        if requested.format == "labels":
            height, width = answered.size
            headers["X-Seglight-Size"] = f"{height}x{width}"
        return Response(answered.content, media_type=form.media_type, headers=headers)

    return routes


def _description() -> str:
    formats = "\n".join(f"- `{name}` ({form.media_type}): {form.about}" for name, form in FORMATS.items())
    return (
        f"The image is the body of the request, or the file in the field `{FIELD}` of a form. Its EXIF orientation "
        f"is applied, and the answer has the size of the image. Formats, by `format` or the header Accept:\n\n"
        f"{formats}\n\n"
        f'With `Accept: {LINES}` the answer is in lines of JSON: `{{"progress": 0.25}}`, and at the end '
        '`{"media_type": ..., "model": NAME, "version": ..., "result": BASE64}` or `{"error": "one line"}`.'
    )


def _request_body(settings: Settings) -> dict[str, Any]:
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: BINARY}}
    return {
        "required": True,
        "description": f"An image of at most {settings.max_bytes} bytes and {settings.max_pixels} pixels.",
        "content": {
            "image/*": {"schema": BINARY},
            "application/octet-stream": {"schema": BINARY},
            FORM: {"schema": form},
        },
    }


def _responses() -> dict[int | str, dict[str, Any]]:
    media_types = dict.fromkeys([*(form.media_type for form in FORMATS.values()), LINES])
    headers = {
        "X-Seglight-Model": {"description": "name of the model", "schema": {"type": "string"}},
        "X-Seglight-Version": {"description": "first 12 digits of its SHA-256", "schema": {"type": "string"}},
    }
    answered = {
        "description": "The answer in the format that was asked for.",
        "headers": headers,
        "content": {kind: {"schema": BINARY} for kind in media_types},
    }
    refused: dict[int | str, dict[str, Any]] = {
        status: {"description": about, "content": {"application/json": {"schema": ERROR}}}
        for status, about in REFUSALS.items()
    }
    return {200: answered, **refused}


def _samples() -> list[dict[str, str]]:
    """Command lines that run as they are, beside an image `street.jpg`, on the machine of the server."""
    url = "http://127.0.0.1:8000/predict"
    return [
        {"lang": "Shell", "label": "label map", "source": f"curl --data-binary @street.jpg {url} -o labels.png"},
        {
            "lang": "Shell",
            "label": "objects",
            "source": f"curl --data-binary @street.jpg '{url}?format=coco' -o objects.json",
        },
        {
            "lang": "Shell",
            "label": "a form",
            "source": f"curl -F {FIELD}=@street.jpg '{url}?format=overlay' -o overlay.png",
        },
        {
            "lang": "Shell",
            "label": "progress",
            "source": f"curl -H 'Accept: {LINES}' --data-binary @street.jpg {url} -o answer.ndjson",
        },
    ]
