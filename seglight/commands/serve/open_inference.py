"""Open Inference Protocol, version 2, over HTTP: that of KServe and Triton, whose clients work with it.

A model has the input `image`, uint8 (B, 3, H, W) in RGB, or (B, bands, H, W) of the type and bands that it reads, and
the output `labels`, uint8 (B, H, W), or int32 of more than 255 classes, as files of `seglight export` have; and
`probabilities`, float32 (B, C, H, W), where it has them.
"""

import asyncio
import math
from collections.abc import Awaitable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from numpy.typing import NDArray

from seglight import __version__
from seglight.commands.serve.models import Answered, ServedModel, served
from seglight.commands.serve.prediction import Answer
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.service import Service
from seglight.commands.serve.settings import Settings
from seglight.commands.serve.tensors import (
    DATATYPES,
    HEADER_LENGTH,
    INPUT,
    JSON_VALUES,
    LABELS,
    PROBABILITIES,
    Inference,
    inference_body,
    read_inference,
    tensors,
)
from seglight.ops.label_types import IGNORE_INDEX

T = TypeVar("T")

PLATFORMS = {".onnx": "onnxruntime_onnx", ".xml": "openvino_ir", ".pt2": "pytorch_export"}
"""Names of formats, by the suffixes of files; the first is Triton's."""

EXAMPLE = {
    "inputs": [{"name": INPUT, "shape": [1, 3, 2, 2], "datatype": "UINT8", "data": [*range(0, 240, 20)]}],
    "outputs": [{"name": LABELS}],
}
"""An inference for the description of the interface."""

BODY = {
    "requestBody": {
        "required": True,
        "description": f"The request as JSON; bytes of the tensor may follow, with the header {HEADER_LENGTH}.",
        "content": {"application/json": {"schema": {"type": "object"}, "example": EXAMPLE}},
    }
}


OUTPUTS: dict[str, Any] = {"application/json": {}, "application/octet-stream": {}}
"""Media types of an answer: JSON, or JSON and bytes."""

REFUSED: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "What is asked for is not there, or refused.",
        "content": {"application/json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}}},
    }
}
"""Answers of routes with parameters, for the description of the interface."""


def router(service: Service, settings: Settings) -> APIRouter:
    """The routes of the protocol.

    Args:
        service: Service that predicts.
        settings: Settings of the server.
    """
    routes = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
    protocol = OpenInference(service, settings)
    routes.add_api_route("", protocol.server, summary="The server")
    routes.add_api_route("/", protocol.server, include_in_schema=False)
    routes.add_api_route("/health/live", protocol.live, summary="Whether the web process answers; needs no token")
    routes.add_api_route("/health/ready", protocol.ready, summary="Whether all models answer")
    model, version = "/models/{name}", "/models/{name}/versions/{version}"
    for path, handler, summary in (
        (model, protocol.model, "Inputs and outputs of a model"),
        (version, protocol.model_version, "Inputs and outputs of a version"),
        (f"{model}/ready", protocol.model_ready, "Whether a model answers"),
        (f"{version}/ready", protocol.version_ready, "Whether a version answers"),
    ):
        routes.add_api_route(path, handler, summary=summary, responses=REFUSED)
    more: dict[str, Any] = {
        "methods": ["POST"],
        "openapi_extra": BODY,
        "response_class": Response,
        "responses": {**REFUSED, 200: {"description": "The outputs.", "content": OUTPUTS}},
    }
    routes.add_api_route(f"{model}/infer", protocol.infer, summary="Label maps of a batch of images", **more)
    routes.add_api_route(f"{version}/infer", protocol.infer_version, summary="Label maps by a version", **more)
    return routes


class OpenInference:
    """Handlers of the protocol.

    Args:
        service: Service that predicts.
        settings: Settings of the server.
    """

    def __init__(self, service: Service, settings: Settings) -> None:
        self.service = service
        self.settings = settings

    async def server(self) -> dict[str, Any]:
        """Name and version of the server."""
        return {"name": "seglight", "version": __version__, "extensions": ["binary_tensor_data"]}

    async def live(self) -> dict[str, bool]:
        """The web process answers."""
        return {"live": True}

    async def ready(self) -> JSONResponse:
        """Whether all models answer: status 200, else 503."""
        ready = self.service.status().ready
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def model(self, name: str) -> dict[str, Any]:
        """Inputs and outputs of a model."""
        return described(self._model(name))

    async def model_version(self, name: str, version: str) -> dict[str, Any]:
        """Inputs and outputs of a model, if this is its version."""
        return described(self._model(name, version))

    async def model_ready(self, name: str) -> JSONResponse:
        """Whether a model answers: status 200, else 503."""
        return _readiness(self._model(name))

    async def version_ready(self, name: str, version: str) -> JSONResponse:
        """Whether a version of a model answers: status 200, else 503."""
        return _readiness(self._model(name, version))

    async def infer(self, request: Request, name: str) -> Response:
        """Outputs of a model for a batch of images of one size."""
        return await self._inferred(request, name)

    async def infer_version(self, request: Request, name: str, version: str) -> Response:
        """Outputs of a version of a model for a batch of images of one size."""
        return await self._inferred(request, name, version)

    def _model(self, name: str, version: str | None = None) -> ServedModel:
        model = served(self.service.models, name)
        if version not in (None, model.version):
            raise Refused(404, f"there is no such version: that of {model.name} is {model.version}")
        return model

    async def _inferred(self, request: Request, name: str, version: str | None = None) -> Response:
        model = self._model(name, version)
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Refused(415, "compressed requests are not supported: send the body without Content-Encoding")
        inference = read_inference(
            await request.body(), request.headers.get(HEADER_LENGTH), outputs_of(model), model.card.pixels
        )
        self._check(inference, model)
        answer = partial(tensors, outputs=inference.outputs)
        images = await asyncio.to_thread(_interleaved, inference.pixels)
        answered = await self._answered(images, answer, model.name)
        classes, bands = model.classes, model.card.pixels  # the limits were checked for them
        model = answered[0].model
        if version not in (None, model.version) or model.classes != classes or model.card.pixels.difference(bands):
            raise Refused(503, f"{name} was replaced during the request: repeat it", 1.0)
        shape = inference.pixels.shape
        body, length = inference_body(
            {
                "model_name": model.name,
                "model_version": model.version,
                **({} if inference.id is None else {"id": inference.id}),
            },
            [_tensor(output.name, model, (shape[0], *shape[2:])) for output in inference.outputs],
            [output.binary for output in inference.outputs],
            [one.content for one in answered],
        )
        if length is None:
            return Response(body, media_type="application/json")
        return Response(body, headers={HEADER_LENGTH: str(length)}, media_type="application/octet-stream")

    async def _answered(self, images: Sequence[NDArray[Any]], answer: Answer, name: str) -> Sequence[Answered]:
        """Answers of one version: those that a version gave before it was replaced are asked for again.

        Raises:
            Refused: An image is refused, or the model was replaced twice.
        """
        answered = [*await _all(self.service.answered(image, answer, name) for image in images)]
        if len({one.model.version for one in answered}) > 1:
            newest = self._model(name).version
            former = [place for place, one in enumerate(answered) if one.model.version != newest]
            again = await _all(self.service.answered(images[place], answer, name) for place in former)
            for place, one in zip(former, again, strict=True):
                answered[place] = one
        if len({one.model.version for one in answered}) > 1:
            raise Refused(503, f"{name} was replaced during the request: repeat it", 1.0)
        return answered

    def _check(self, inference: Inference, model: ServedModel) -> None:
        """Check what is known before an image is predicted."""
        batch, _, height, width = inference.pixels.shape
        if batch > self.settings.queue:
            raise Refused(413, f"a batch of {batch} images: at most {self.settings.queue} can wait at a time")
        if model.size not in (None, (height, width)):
            fixed = "{}x{}".format(*model.size or ())
            raise Refused(400, f"{model.name} takes images of {fixed} only (height x width), not of {height}x{width}")
        values = sum(
            math.prod(_shape(output.name, model, (batch, height, width)))
            for output in inference.outputs
            if not output.binary
        )
        if values > JSON_VALUES:
            raise Refused(
                413, f"{values} values as JSON, at most {JSON_VALUES}: ask for bytes (binary_data), or for labels only"
            )


def outputs_of(model: ServedModel) -> tuple[str, ...]:
    """Names of the outputs of a model."""
    return (LABELS, PROBABILITIES) if model.has_probabilities else (LABELS,)


def described(model: ServedModel) -> dict[str, Any]:
    """Description of a model by the protocol; lengths that a request chooses are -1."""
    height, width = model.size or (-1, -1)
    bands = model.card.pixels
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": PLATFORMS.get(Path(model.path).suffix, "pytorch"),
        "inputs": [{"name": INPUT, "datatype": DATATYPES[bands.type], "shape": [-1, len(bands.names), height, width]}],
        "outputs": [_tensor(name, model, (-1, height, width)) for name in outputs_of(model)],
    }


def _tensor(name: str, model: ServedModel, shape: tuple[int, ...]) -> dict[str, Any]:
    """Description of an output for a batch of a shape (B, H, W)."""
    kind = "FP32"
    if name == LABELS:
        kind = "UINT8" if len(model.classes) <= IGNORE_INDEX else "INT32"
    return {"name": name, "datatype": kind, "shape": _shape(name, model, shape)}


def _shape(name: str, model: ServedModel, shape: tuple[int, ...]) -> list[int]:
    batch, height, width = shape
    return [batch, height, width] if name == LABELS else [batch, len(model.classes), height, width]


def _readiness(model: ServedModel) -> JSONResponse:
    return JSONResponse({"name": model.name, "ready": model.ready}, 200 if model.ready else 503)


def _interleaved(pixels: NDArray[Any]) -> list[NDArray[Any]]:
    """Images (H, W, bands) of a batch (B, bands, H, W)."""
    return [np.ascontiguousarray(image.transpose(1, 2, 0)) for image in pixels]


async def _all(calls: Iterable[Awaitable[T]]) -> Sequence[T]:
    """Results of all calls; if one fails, the others are cancelled."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
