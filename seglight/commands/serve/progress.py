"""Answers in lines of JSON, the progress of a large image first (github.com/ndjson/ndjson-spec)."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi.responses import StreamingResponse

from seglight.commands.serve.formats import LINES
from seglight.commands.serve.models import Answered
from seglight.commands.serve.refusals import Refused

Predict = Callable[[Callable[[float], None]], Awaitable[Answered]]
"""Function of a callback that gets the finished fraction of the image."""


async def in_lines(predict: Predict, media_type: str) -> StreamingResponse:
    """Answer with lines `{"progress": 0.25}`, and at the end one with "result", in base64, or with "error".

    Args:
        predict: Function that predicts the image.
        media_type: Media type of the result.

    Raises:
        Refused: The image was refused before there was any progress.
    """
    events = asyncio.Queue[float | None]()
    task = asyncio.ensure_future(predict(events.put_nowait))
    task.add_done_callback(lambda _: events.put_nowait(None))
    try:
        first = await events.get()
        if first is None:
            task.result()
    except BaseException:
        task.cancel()
        raise
    return StreamingResponse(_lines(first, events, task, media_type), media_type=LINES)


async def _lines(
    first: float | None, events: asyncio.Queue[float | None], task: asyncio.Future[Answered], media_type: str
) -> AsyncIterator[bytes]:
    try:
        progress = first
        while progress is not None:
            yield _line({"progress": round(progress, 4)})
            progress = await events.get()
        answered = await task
        yield b'{"media_type": %b, "model": %b, "version": %b, "result": "' % tuple(
            json.dumps(text).encode() for text in (media_type, answered.model.name, answered.model.version)
        )
        yield b64encode(answered.content)
        yield b'"}\n'
    except Refused as refused:
        yield _line({"error": refused.reason})
    finally:
        task.cancel()


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content).encode() + b"\n"
