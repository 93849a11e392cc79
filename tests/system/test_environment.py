"""Environment variables for other libraries."""

import os
from contextlib import suppress

import pytest

from seglight.system.environment import environment_default

NAME = "SEGLIGHT_TEST_VARIABLE"


def test_set_within_the_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    with suppress(KeyError), environment_default(NAME, "1"):
        assert os.environ[NAME] == "1"
        raise KeyError
    assert NAME not in os.environ


def test_the_value_of_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "theirs")
    with environment_default(NAME, "1"):
        assert os.environ[NAME] == "theirs"
    assert os.environ[NAME] == "theirs"
