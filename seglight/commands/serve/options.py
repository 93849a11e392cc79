"""Settings of a server from the options of its command."""

import os
import re
from pathlib import Path

from jsonargparse import Namespace

from seglight.commands.serve.settings import MAX_BYTES, Settings
from seglight.errors import UserError
from seglight.system.memory import parse_bytes

SHORTEST_TOKEN = 16
"""Smallest number of characters of a token."""

HIGHEST_PORT = 65_535

UPLOADED = 16
"""Part of the memory that the body of one request may take: 1 / 16."""

KEY = "LABEL_STUDIO_API_KEY"
"""Environment variable with the key of Label Studio's API."""

LONGEST_WAIT_S = 10.0


def settings_of(options: Namespace) -> Settings:
    """Settings from the options of `serve`.

    Raises:
        UserError: An option is wrong.
    """
    if options.port > HIGHEST_PORT:
        raise UserError(f"--port {options.port}: ports end at {HIGHEST_PORT}: give a smaller one")
    if not options.host:
        raise UserError("--host '': give an address of this machine, such as 127.0.0.1")
    memory = None if options.max_memory is None else parse_bytes(options.max_memory)
    return Settings(
        host=options.host,
        port=int(options.port),  # the parser gives a class of its own, which the system does not take
        token=None if options.token is None else token_of(Path(options.token)),
        max_bytes=MAX_BYTES if memory is None else min(MAX_BYTES, memory // UPLOADED),
        batch=int(options.batch),
        wait_s=seconds_of(options.wait),
        workers=int(options.workers),
        max_memory=memory,
        label_studio_hosts=tuple(options.allow_hosts),
        label_studio_key=os.environ.get(KEY) or None,
    )


def token_of(path: Path) -> bytes:
    """The token in a file, without white space around it.

    Raises:
        UserError: The file can't be read, or its content is too short or no token.
    """
    try:
        token = path.read_bytes().strip()
    except OSError as error:
        raise UserError(f"--token {path}: {error.strerror}: give a file with the token") from error
    if len(token) < SHORTEST_TOKEN:
        raise UserError(
            f"--token {path}: it contains {len(token)} characters, and a token has at least {SHORTEST_TOKEN}: "
            "write one with `openssl rand -hex 32`"
        )
    if not re.fullmatch(rb"[!-~]+", token):
        raise UserError(f"--token {path}: a token consists of visible ASCII characters: write one with `openssl rand`")
    return token


def seconds_of(text: str) -> float:
    """Seconds of a duration such as 5ms or 0.1s.

    Raises:
        UserError: The text is no duration, or a very long one.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", text)
    seconds = float(found[1]) * (0.001 if found[2] == "ms" else 1.0) if found else LONGEST_WAIT_S + 1
    if seconds > LONGEST_WAIT_S:
        raise UserError(f"--wait {text}: give at most {LONGEST_WAIT_S:.0f} seconds, with the unit, such as 5ms")
    return seconds
