"""How long copies of remote inputs stay on the disk, and what is said when it is full; files stand in for objects."""

import errno
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.predict import downloads, remote_folder
from seglight.commands.predict.destination import LocalFolder
from seglight.commands.predict.downloads import Downloads
from seglight.commands.predict.inputs import Source, single
from seglight.commands.predict.outputs import disk_errors
from seglight.commands.predict.remote_folder import RemoteFolder
from seglight.commands.predict.run import Run
from seglight.errors import UserError
from seglight.images.types import LabelMap
from seglight.system.remote import RemoteFile
from tests.support.stand_in import Reds

FULL = OSError(errno.ENOSPC, "No space left on device")
TOLD = (
    "the folder for temporary files: [Errno 28] No space left on device: free some space, or let TMPDIR name a folder "
    "of another disk"
)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


class Objects:
    """A storage whose objects are files of a folder; uploads wait for a sign."""

    folder = Path()
    go_on = threading.Event()

    def __init__(self, address: str) -> None:
        pass

    def download(self, file: RemoteFile, path: Path) -> None:
        shutil.copyfile(self.folder / Path(file.url).name, path)

    def upload(self, path: Path, address: str) -> None:
        self.go_on.wait(20)

    def interrupt(self) -> None:
        pass


@pytest.fixture
def sources(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    """Three remote images."""
    monkeypatch.setattr(Objects, "folder", tmp_path)
    monkeypatch.setattr(Objects, "go_on", threading.Event())
    monkeypatch.setattr(downloads, "Storage", Objects)
    monkeypatch.setattr(remote_folder, "Storage", Objects)
    found = []
    for name in "abc":
        Image.new("RGB", (6, 4)).save(tmp_path / f"{name}.png")
        url = f"s3://bucket/{name}.png"
        found.append(Source(Path(url), Path(name), RemoteFile(url, 100, "1")))
    return found


def copies(temporary: Path) -> list[Path]:
    return sorted(temporary.rglob("0*.png"))


def test_a_copy_is_removed_once_its_image_is_decoded(sources: list[Source], temporary: Path, tmp_path: Path) -> None:
    """Not when its batch is predicted, of which each image may have been any size."""
    left: list[list[Path]] = []

    class Watched(Reds):
        def predict_batch(self, images: Sequence[NDArray[np.uint8]]) -> list[LabelMap]:
            deadline = time.monotonic() + 0.5
            while copies(temporary) and time.monotonic() < deadline:  # the last one is passed by another thread
                time.sleep(0.001)
            left.append(copies(temporary))
            return super().predict_batch(images)

    run = Run(Watched(), LocalFolder(tmp_path / "out"), {}, "model")
    run.predict(sources, 3, lambda number: None)
    assert (run.written, run.failures) == (3, [])
    assert left == [[]]


def test_an_upload_that_waits_keeps_no_copy(sources: list[Source], temporary: Path) -> None:
    with Downloads() as fetched:
        folder = RemoteFolder("s3://bucket/masks")
        try:
            for source in sources:
                copy = fetched.fetch(source)
                assert copies(temporary) == [copy.path]
                folder.publish(single(copy), [folder.folder / f"{source.key}.png"])
                del copy
            assert not copies(temporary)
        finally:
            Objects.go_on.set()
            folder.finish()
            folder.__exit__(None, None, None)


def test_a_full_disk_of_temporary_files(
    sources: list[Source], temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output folder is not the one to blame, neither for downloads nor if outputs wait for their upload."""

    def full(*_: object, **__: object) -> None:
        raise FULL

    monkeypatch.setattr(Objects, "download", full)
    run = Run(Reds(), LocalFolder(tmp_path / "out"), {}, "model")
    with pytest.raises(UserError) as caught, disk_errors("out"):
        run.predict(sources, 1, lambda number: None)
    assert str(caught.value) == TOLD
    with pytest.raises(UserError) as caught, disk_errors("s3://bucket/masks"):
        raise FULL
    assert str(caught.value) == TOLD
    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(UserError) as caught:
        RemoteFolder("s3://bucket/masks")
    assert str(caught.value) == TOLD


def test_a_full_disk_of_an_output_folder() -> None:
    with pytest.raises(UserError) as caught, disk_errors("masks"):
        raise FULL
    assert str(caught.value) == f"--out masks: {FULL}: free some space, or choose another folder"
