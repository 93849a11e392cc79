"""The page on which a net is tried out: its files, which are those of this package, and the pictures that it needs."""

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePath
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from seglight.commands.serve.models import served
from seglight.commands.serve.pictures import EXAMPLES, example_png, picture_jpeg
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.service import Service
from seglight.commands.serve.settings import Settings
from seglight.commands.serve.uploads import image_of
from seglight.images.pixels import are_rgb

INDEX = "index.html"

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Media types of the page's files by their suffixes."""

ModelName = Annotated[str | None, Query()]


def router(service: Service, settings: Settings) -> APIRouter:
    """The routes of the page, which are no part of the interface for programs."""
    routes = APIRouter(include_in_schema=False)
    assets = read_assets()

    @routes.get("/")
    async def index(request: Request) -> Response:
        return assets[INDEX].response(request)

    @routes.get("/page/{name}")
    async def asset(name: str, request: Request) -> Response:
        if name not in assets:
            raise Refused(404, "the page has no such file")
        return assets[name].response(request)

    @routes.get("/page/examples/{name}")
    async def example(name: str, model: ModelName = None) -> Response:
        number = NUMBERS.get(name)
        if number is None:
            raise Refused(404, f"there are {len(NUMBERS)} examples: {', '.join(NUMBERS)}")
        found = served(service.models, model)
        if not are_rgb(found.card.pixels):
            raise Refused(404, f"{found.name} reads {found.card.pixels.line()}, and the examples are in 8-bit RGB")
        drawn = await asyncio.to_thread(example_png, number, found.size)
        return Response(drawn, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})

    @routes.post("/page/picture")
    async def picture(request: Request, model: ModelName = None) -> Response:
        drawn = await service.predict(await image_of(request), picture_jpeg, model)
        return Response(drawn, media_type="image/jpeg")

    return routes


NUMBERS = {f"{number}.png": number for number in range(1, EXAMPLES + 1)}
"""Numbers of the examples by the names in their addresses."""


@dataclass(frozen=True)
class Asset:
    """A file of the page.

    Attributes:
        content: Its bytes.
        media_type: Its media type.
        tag: Identifies the content, so that a browser need not load it again.
    """

    content: bytes
    media_type: str
    tag: str

    def response(self, request: Request) -> Response:
        """The file; or that it has not changed, if the browser has it already."""
        headers = {"ETag": self.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


def read_assets() -> dict[str, Asset]:
    """The page's files by name. They are read once, so that no name in a request reaches the disk."""
    found: dict[str, Asset] = {}
    for entry in (files("seglight.commands.serve") / "static").iterdir():
        content = entry.read_bytes()
        tag = f'"{sha256(content).hexdigest()[:16]}"'
        found[entry.name] = Asset(content, MEDIA_TYPES[PurePath(entry.name).suffix], tag)
    return found
