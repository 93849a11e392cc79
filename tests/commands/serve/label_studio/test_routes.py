import asyncio
import json
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from seglight.commands.serve.label_studio.routes import router
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.responses import refusal_response
from seglight.commands.serve.settings import Settings
from seglight.errors import UserError
from tests.support.known_labels import OneModel, StandInService
from tests.support.raw_http import raw_server, reply

CONFIG = """<View><Image name="photo" value="$image"/>
<BrushLabels name="tag" toName="photo"><Label value="road"/></BrushLabels></View>"""

MODELS = {name: OneModel(name, "0123456789ab", ("background", "road")) for name in ("net", "health")}


def answers(method: str, path: str, content: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Status and JSON of an answer; files of Label Studio are one pixel of road."""

    async def ask() -> httpx.Response:
        async with raw_server(lambda _: reply(b"pixels")) as studio:
            service: Any = StandInService(MODELS, lambda _: np.ones((1, 1), np.uint8))
            app = FastAPI()
            app.include_router(router(service, Settings(label_studio_hosts=(studio.url,))))
            app.add_exception_handler(Refused, lambda _, error: refusal_response(error))
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.request(method, path, content=json.dumps(content) if content is not None else None)

    response = asyncio.run(ask())
    return response.status_code, response.json()


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/label-studio", "net"),
        ("/label-studio/health", "net"),
        ("/label-studio/net", "net"),
        ("/label-studio/net/health", "net"),
        ("/label-studio/health/health", "health"),
    ],
)
def test_health(path: str, model: str) -> None:
    assert answers("GET", path) == (200, {"status": "UP", "model_class": model})


@pytest.mark.parametrize("at", ["/label-studio", "/label-studio/health"])
def test_the_address_of_a_model(at: str) -> None:
    model = "health" if at.endswith("health") else "net"
    assert answers("POST", f"{at}/setup", {"schema": CONFIG}) == (200, {"model_version": f"{model}-0123456789ab"})
    tasks = [{"id": 1, "data": {"image": "/data/upload/1/a.png"}}]
    status, found = answers("POST", f"{at}/predict", {"tasks": tasks, "label_config": CONFIG})
    assert status == 200
    assert found["results"][0]["model_version"] == f"{model}-0123456789ab"
    assert [region["to_name"] for region in found["results"][0]["result"]] == ["photo"]
    assert answers("POST", f"{at}/webhook", {"action": "ANNOTATION_CREATED"})[0] == 201
    assert answers("GET", f"{at}/metrics") == (200, {})


def test_refused_requests() -> None:
    assert answers("GET", "/label-studio/third/health") == (
        404,
        {"error": "there is no such model: the models are net, health"},
    )
    assert answers("POST", "/label-studio/third/webhook", {})[0] == 404
    assert answers("POST", "/label-studio/predict") == (400, {"error": "the request is not JSON"})
    assert answers("POST", "/label-studio/webhook", {"action": "START_TRAINING"})[0] == 501


def test_hosts_are_checked_when_the_routes_are_made() -> None:
    service: Any = StandInService(MODELS, lambda _: np.ones((1, 1), np.uint8))
    with pytest.raises(UserError, match="--allow_hosts"):
        router(service, Settings(label_studio_hosts=("ftp://a.org",)))
