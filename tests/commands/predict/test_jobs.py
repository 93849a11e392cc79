"""By which model outputs are."""

from pathlib import Path

from seglight.checkpoints.release import DESCRIPTION, README, WEIGHTS
from seglight.commands.predict.jobs import checksum


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
