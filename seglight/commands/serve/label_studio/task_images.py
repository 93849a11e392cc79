"""Images of Label Studio's tasks, fetched from allowed hosts only."""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urljoin

from seglight.commands.serve.label_studio.exchange import Reply, exchange
from seglight.commands.serve.label_studio.origins import Origin, origins_of, split_address
from seglight.commands.serve.refusals import Refused
from seglight.errors import UserError

SECONDS = 30.0
"""Time within which an image has to be fetched, with all redirects."""

REDIRECTS = 5
REDIRECTING = (301, 302, 303, 307, 308)

CLOUD = ("s3:", "gs:", "azure-blob:")
"""Addresses that Label Studio itself translates, for one of its storages."""

TOKEN_BYTES = 1 << 16
SHOWN = 120
"""Characters of an address in a message."""


class TaskImages:
    """Fetches the images of tasks.

    Args:
        hosts: Values of `--allow_hosts`. The first is Label Studio: files without a host are fetched from there, and
            the key is sent there and nowhere else.
        key: Key of Label Studio's API, a personal access token or a legacy token; None: nothing is sent.
        max_bytes: Largest number of bytes of an image.

    Raises:
        UserError: A host is not the address of a server, or the key is not one.
    """

    def __init__(self, hosts: Sequence[str], key: str | None, max_bytes: int) -> None:
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            raise UserError("LABEL_STUDIO_API_KEY: a key consists of letters, digits and dots: copy it again")
        self._origins = origins_of(hosts)
        self._key = key
        self._max_bytes = max_bytes
        self._access = ""

    async def fetch(self, task: Mapping[str, Any], image_key: str) -> bytes:
        """The file of a task's image.

        Args:
            task: Task as Label Studio sends it, with `data` and `id`.
            image_key: Key of the image's address in the data.

        Raises:
            Refused: The address is not allowed, or the image can't be fetched, is too large, or takes too long.
        """
        if not self._origins:
            raise Refused(
                422, "no host of images is allowed: start the server with --allow_hosts and Label Studio's host"
            )
        address = self._address(task, image_key)
        try:
            async with asyncio.timeout(SECONDS):
                return await self._follow(address)
        except TimeoutError as error:
            raise Refused(504, f"{_shown(address)}: not fetched within {SECONDS:g} s") from error

    def _address(self, task: Mapping[str, Any], image_key: str) -> str:
        data = task.get("data")
        value = data.get(image_key) if isinstance(data, dict) else None
        if not isinstance(value, str) or not value:
            raise Refused(422, f"the task has no image under the key {image_key[:SHOWN]!r}")
        studio = str(self._origins[0])
        if value.lower().startswith(("http://", "https://")):
            return value
        if value.lower().startswith(CLOUD):
            number = task.get("id")
            if not isinstance(number, int):
                raise Refused(422, f"{_shown(value)}: the task has no number, which its storage is found by")
            return f"{studio}/tasks/{number}/presign/?fileuri={base64.urlsafe_b64encode(value.encode()).decode()}"
        if value.startswith("/"):
            return studio + value
        if value.startswith("upload/"):
            return f"{studio}/data/{value}"
        raise Refused(422, f"{_shown(value)}: neither a web address nor a file of Label Studio")

    async def _follow(self, address: str) -> bytes:
        """Fetch an address; every redirect is checked like an address of a task."""
        for _ in range(REDIRECTS + 1):
            origin, target = self._allowed(address)
            reply = await self._ask(origin, target)
            location = reply.headers.get("location")
            if reply.status == 200:
                return _content(reply, address)
            if reply.status not in REDIRECTING or location is None:
                raise Refused(502, f"{_shown(address)}: it answers with status {reply.status}{self._hint(reply)}")
            address = urljoin(f"{origin}{target}", location)
        raise Refused(502, f"{_shown(address)}: more than {REDIRECTS} redirects")

    def _allowed(self, address: str) -> tuple[Origin, str]:
        try:
            origin, target = split_address(address)
        except ValueError as error:
            raise Refused(422, f"{_shown(address)}: {error}") from error
        if origin not in self._origins:
            raise Refused(422, f"{origin}: images are fetched from the hosts of --allow_hosts only: add it there")
        return origin, target

    def _hint(self, reply: Reply) -> str:
        if reply.status not in (401, 403):
            return ""
        wanted = "check" if self._key else "state Label Studio's key in"
        return f": {wanted} the environment variable LABEL_STUDIO_API_KEY"

    async def _ask(self, origin: Origin, target: str) -> Reply:
        if self._key is None or origin != self._origins[0]:
            return await exchange(origin, "GET", target, {}, self._max_bytes)
        if self._key.count(".") != 2:
            return await self._ask_with(f"Token {self._key}", target)
        if self._access:
            reply = await self._ask_with(f"Bearer {self._access}", target)
            if reply.status != 401:
                return reply
        self._access = await self._new_access()
        return await self._ask_with(f"Bearer {self._access}", target)

    async def _ask_with(self, authorization: str, target: str) -> Reply:
        return await exchange(self._origins[0], "GET", target, {"Authorization": authorization}, self._max_bytes)

    async def _new_access(self) -> str:
        """A token of some minutes, which Label Studio gives for a personal access token (a JWT of three parts)."""
        headers = {"Content-Type": "application/json"}
        body = json.dumps({"refresh": self._key}).encode()
        studio = self._origins[0]
        reply = await exchange(studio, "POST", "/api/token/refresh/", headers, TOKEN_BYTES, body)
        try:
            access = json.loads(reply.body)["access"] if reply.status == 200 else None
        except (KeyError, RecursionError, TypeError, ValueError):
            access = None
        if not isinstance(access, str) or not (access.isascii() and access.isprintable()):
            raise Refused(502, f"{studio}: it does not accept the key in LABEL_STUDIO_API_KEY: create another one")
        return access


def _content(reply: Reply, address: str) -> bytes:
    encoding = reply.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise Refused(502, f"{_shown(address)}: its answer is encoded as {encoding[:SHOWN]}, which nobody asked for")
    return reply.body


def _shown(address: str) -> str:
    """An address without its query, which may hold a signature."""
    shown = address.partition("?")[0]
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
