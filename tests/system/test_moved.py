import subprocess
import sys
from importlib import import_module

import pytest

from seglight.system.moved import MOVED


@pytest.mark.parametrize("former", MOVED)
def test_a_former_name_gives_the_present_module(former: str) -> None:
    assert import_module(former) is import_module(MOVED[former])


@pytest.mark.slow
def test_import_statements_of_scripts_keep_working() -> None:
    script = """
from seglight.module import SegmentationModule
from seglight.data.voc import VOCDataModule
import seglight.running.sharding
from seglight.training.semantic import SegmentationModule as same
assert SegmentationModule is same
assert seglight.running.sharding.FSDP is seglight.training.FSDP
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_other_names_are_still_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"seglight\.nowhere"):
        import_module("seglight.nowhere")
