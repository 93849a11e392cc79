"""By which model outputs are, and where they may lie."""

from pathlib import Path

import pytest

from seglight.checkpoints.release import DESCRIPTION, README, WEIGHTS
from seglight.commands.predict.destination import LocalFolder
from seglight.commands.predict.inputs import Source
from seglight.commands.predict.jobs import check_outputs, checksum
from seglight.errors import UserError
from seglight.system.remote import RemoteFile


def test_a_release_is_its_description(tmp_path: Path) -> None:
    for name in (DESCRIPTION, WEIGHTS, README):
        (tmp_path / name).write_text(name)
    before = checksum(tmp_path)
    (tmp_path / README).write_text("licence: MIT")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.png").write_text("a mask")
    assert checksum(tmp_path) == before
    (tmp_path / DESCRIPTION).write_text("other weights")
    assert checksum(tmp_path) != before


def test_keys_of_objects_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    """An object may have any name; with `..` in it, outputs would lie anywhere."""
    file = RemoteFile("s3://bucket/in/../../../x.png", 1, "1")
    path = Path(file.url)
    source = Source(path, path.relative_to(Path("s3://bucket/in")).with_suffix(""), file)
    with pytest.raises(UserError, match=rf"^{file.url}: .* is outside of --out"):
        check_outputs([source], LocalFolder(tmp_path / "out"), [])


def test_two_objects_with_one_path(tmp_path: Path) -> None:
    files = [RemoteFile(f"s3://bucket/in/{name}", 1, "1") for name in ("a/b.png", "a//b.png")]
    sources = [Source(Path(file.url), Path("a/b"), file) for file in files]
    with pytest.raises(UserError, match=f"^{files[1].url} and {files[0].url} have the same output {tmp_path}/a/b.png:"):
        check_outputs(sources, LocalFolder(tmp_path), [])
