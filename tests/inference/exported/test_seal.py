"""A byte that is another than was written is reported when the file is loaded, whichever it is.

Covers: inference.exported.runtimes.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.commands.export.graph import Deployed, program_of
from seglight.errors import UserError
from seglight.inference.exported.runtimes import PROGRAM, load_exported
from tests.support.export_parity import WRITERS
from tests.support.exported import METADATA, red
from tests.support.tiny import TinyNet

FILES = ["model.bin", "model.onnx", "model.pt2", "model.xml"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    program = program_of(Deployed(TinyNet(2).eval()), (64, 64))
    for name, write in WRITERS.items():
        write(program, METADATA, folder / name)
    return folder


def complaint(path: Path) -> str:
    try:
        load_exported(path.with_suffix(".xml") if path.suffix == ".bin" else path, trust=(PROGRAM,))
    except UserError as error:
        return str(error)
    return ""


def weights_within(path: Path) -> NDArray[np.int64]:
    """Where the entries of a .pt2 stand: the blanks between them, which align them, mean nothing."""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entries = [archive.read(name) for name in archive.namelist()]
    return np.concatenate([content.index(entry) + np.arange(len(entry)) for entry in entries])


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_bit(name: str, exported: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(exported, tmp_path / "copy")) / name
    assert complaint(path) == ""
    content, rng = path.read_bytes(), np.random.default_rng(0)
    places = np.arange(len(content)) if name != "model.pt2" else weights_within(path)
    for place in rng.choice(places, 40):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        assert complaint(path).startswith(f"{path.parent}/model."), place


def test_the_checksum_by_hand(exported: Path, tmp_path: Path) -> None:
    """Of the file with its 64 digits as zeros, and of OpenVINO's weights after it."""
    for name, further in (("model.onnx", b""), ("model.xml", (exported / "model.bin").read_bytes())):
        content = (exported / name).read_bytes()
        before, _, after = content.partition(b"SHA-256 of all bytes: ")
        zeroed = before + b"SHA-256 of all bytes: " + b"0" * 64 + after[64:]
        assert after[:64].decode() == hashlib.sha256(zeroed + further).hexdigest()


def test_weights_of_another_export(exported: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(exported, tmp_path / "copy")) / "model.xml"
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[::-1])
    assert "its .bin is that of another export" in complaint(path)
    weights.unlink()
    told = f"{weights}: not readable: No such file or directory, and {path} has its weights there: copy it again"
    assert complaint(path) == told


def test_one_file_may_be_moved_alone(exported: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(exported / "model.onnx", tmp_path / "elsewhere.onnx"))
    assert complaint(path) == ""
    with pytest.raises(UserError, match="takes images of 64x64 only"):
        load_exported(path).predict(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.slow
def test_onnx_runtime_writes_nothing(tmp_path: Path) -> None:
    """Imported as usual, it keeps an identifier of the device and a data base of what it would report."""
    model = red(tmp_path / "red.onnx")
    (tmp_path / "home").mkdir()
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "home")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    code = "import sys; from seglight.inference.load import load; load(sys.argv[1])"
    subprocess.run([sys.executable, "-B", "-c", code, model], env=environment, check=True, timeout=100)
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []
