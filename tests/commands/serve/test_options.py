"""Options of `serve` as settings.

Covers: commands.serve.settings.
"""

from pathlib import Path
from typing import Any

import pytest
from jsonargparse import Namespace

from seglight.commands.serve.options import seconds_of, settings_of, token_of
from seglight.errors import UserError


def options(**given: Any) -> Namespace:
    """The options as they are parsed without any on the command line, but for those given."""
    default = {
        "host": "127.0.0.1", "port": 8000, "token": None, "workers": 1, "batch": 8, "wait": "5ms", "max_memory": None,
        "allow_hosts": [],
    }  # fmt: skip
    return Namespace(**{**default, **given})


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    found = settings_of(options())
    assert (found.host, found.port, found.token) == ("127.0.0.1", 8000, None)
    assert (found.max_bytes, found.max_pixels) == (256_000_000, 2**28)
    assert found.wait_s == 0.005
    assert found.label_studio_key is None


def test_memory_bounds_bodies() -> None:
    found = settings_of(options(max_memory="1GB", workers=2))
    assert found.max_memory == 10**9
    assert found.upload_bytes == 10**9 // 8
    assert settings_of(options(max_memory="64GB")).max_bytes == 256_000_000
    with pytest.raises(UserError, match="--max_memory much is not a size"):
        settings_of(options(max_memory="much"))


def test_label_studio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "the key")
    found = settings_of(options(allow_hosts=["labels.example"]))
    assert found.label_studio_hosts == ("labels.example",)
    assert found.label_studio_key == "the key"


def test_tokens(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f" {'x' * 16}\n")
    assert token_of(path) == b"x" * 16
    assert settings_of(options(token=str(path))).token == b"x" * 16
    for content, line in (
        ("x" * 15, "it contains 15 characters, and a token has at least 16"),
        ("", "it contains 0 characters"),
        ("two words of a token", "visible ASCII characters"),
        ("ein Schlüssel mit Umlaut", "visible ASCII characters"),
    ):
        path.write_text(content)
        with pytest.raises(UserError, match=line) as error:
            token_of(path)
        assert content == "" or content not in str(error.value), "a secret is not shown"
    with pytest.raises(UserError, match="missing: No such file or directory: give a file with the token"):
        token_of(tmp_path / "missing")


@pytest.mark.parametrize(("text", "seconds"), [("5ms", 0.005), ("0ms", 0), ("0.25s", 0.25), ("10s", 10)])
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["5", "ms", "-1ms", "11s", "1h", "nan", "1e3ms", ""])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(UserError, match=f"^--wait {text}: give at most 10 seconds, with the unit, such as 5ms"):
        seconds_of(text)


def test_wrong_ports() -> None:
    with pytest.raises(UserError, match="--port 65536: ports end at 65535"):
        settings_of(options(port=65536))
