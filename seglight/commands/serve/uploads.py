"""The image of a request, as its body or as a part of a form. Nothing of it is written to a file."""

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from seglight.commands.serve.refusals import Refused

FIELD = "image"
"""Name of the field that contains the image."""

FORM = "multipart/form-data"

PLAIN = ("", "application/octet-stream", "application/x-www-form-urlencoded")
"""Types of bodies that are images without saying so; the last one is what curl states for any `--data-binary`."""


class _InMemory(MultiPartParser):
    """A parser of forms that keeps files in memory, whatever their size: bodies are bounded."""

    spool_max_size = 0  # 0: no size from which on a file is written to the disk


async def image_of(request: Request) -> bytes:
    """The encoded image that a request contains.

    Raises:
        Refused: The body is empty, too large, not of a type of images, or a form without an image.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        image = await _field(request)
    elif kind.startswith("image/") or kind in PLAIN:
        image = await request.body()
    else:
        raise Refused(
            415, f"the type of the body is {kind}: send an image as the body, or as the field `{FIELD}` of a form"
        )
    if not image:
        raise Refused(400, "the request contains no image: send one as the body, or as the field `image` of a form")
    return image


async def _field(request: Request) -> bytes:
    try:
        form = await _InMemory(request.headers, request.stream(), max_files=1, max_fields=16).parse()
    except MultiPartException as error:
        raise Refused(400, f"the form is damaged: {error.message}") from error
    try:
        found = form.get(FIELD)
        if not isinstance(found, UploadFile):
            raise Refused(400, f"the form has no file in a field `{FIELD}`")
        return await found.read()
    finally:
        await form.close()
