"""Garbage collection while a command starts."""

import gc
import sys
from importlib import import_module
from pathlib import Path

import pytest

from seglight.system.collector import command_imports, no_collections


def test_the_collector_is_off_within_the_block_and_as_it_was_behind_it() -> None:
    assert gc.isenabled()
    with no_collections():
        assert not gc.isenabled()
        with no_collections():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="within"), command_imports():
        raise ValueError("within")
    assert gc.isenabled()


def test_only_a_block_that_imports_exempts_its_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "module_of_a_command.py").write_text("MANY = [[number] for number in range(1000)]\n")
    frozen = gc.get_freeze_count()
    try:
        with command_imports():
            pass
        assert gc.get_freeze_count() == frozen
        with command_imports():
            import_module("module_of_a_command")
        assert gc.get_freeze_count() >= frozen + 1000
    finally:
        gc.unfreeze()
        del sys.modules["module_of_a_command"]
