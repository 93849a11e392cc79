"""Fabricated data sets, the real CamVid where there is one, and the command line in this process."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from seglight.__main__ import main
from tests.support import fabricate
from tests.support.command import Ran


def pytest_configure() -> None:
    """Two workers of one thread each: threads of several that share the cores wait for one another."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
    # Autograd takes stock of the devices at its first backward pass; where it finds one, forks have no autograd, and
    # torch.export pretends that there is a GPU. Tests fork trainings: so the first pass is now.
    import torch

    torch.ones(1, requires_grad=True).sum().backward()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes; a test that is named runs in this one, where a debugger and `-s` work."""
    return 0 if any("::" in arg for arg in config.args) else 2


@pytest.fixture(scope="session")
def _imported() -> None:
    """Loggers keep the stderr that they find at import, and that of a single test is closed after it."""
    import_module("seglight.commands.fit.cli")
    import_module("seglight.commands.predict.command")


@pytest.fixture
def seglight_cli(_imported: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`python -m seglight ...` without a new process; arguments may be paths and numbers."""

    def run(*args: object) -> Ran:
        capsys.readouterr()
        rc = main([str(arg) for arg in args])
        return Ran(rc, *capsys.readouterr())

    return run


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return fabricate.voc(tmp_path / "VOC2012")


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    return fabricate.cityscapes(tmp_path / "cityscapes")


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    return fabricate.camvid(tmp_path / "CamVid")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fabricate.folder(tmp_path / "folder")


@pytest.fixture(scope="session")
def camvid_root() -> Path:
    """The real CamVid."""
    root = os.environ.get("CAMVID_ROOT")
    if not root:
        pytest.skip("CAMVID_ROOT is not set: it names the folder of the real CamVid")
    return Path(root)
