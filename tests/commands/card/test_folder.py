"""The folder of a card, without a net."""

import json
import os
from pathlib import Path

import pytest

from seglight.commands.card.folder import CARD, UNFINISHED, CardFolder, check_folder
from seglight.errors import UserError


def test_new_and_empty_folders_are_accepted(tmp_path: Path) -> None:
    check_folder(tmp_path)
    check_folder(tmp_path / "new" / "card")
    (tmp_path / f".card.0123abcd-{os.getpid()}.part.json").touch()  # of a process that was killed
    check_folder(tmp_path)
    assert CardFolder(tmp_path, {"split": "val"}).finished is None


def test_what_is_finished_is_kept_until_the_card_is(tmp_path: Path) -> None:
    out = tmp_path / "card"
    folder = CardFolder(out, {"split": "val"})
    folder.keep(None)
    assert CardFolder(out, {"split": "val"}).finished is None
    folder.keep({"images": 3})
    again = CardFolder(out, {"split": "val"})
    assert again.finished == {"images": 3}
    again.finish({"images": 3, "robustness": None})
    assert json.loads((out / CARD).read_text()) == {"images": 3, "robustness": None}
    assert not (out / UNFINISHED).exists()
    with pytest.raises(UserError, match="it holds a finished card"):
        CardFolder(out, {"split": "val"})


def test_another_identity_is_named(tmp_path: Path) -> None:
    CardFolder(tmp_path, {"split": "val", "groups": None}).keep({})
    with pytest.raises(
        UserError, match="an unfinished card with groups none in place of x, split val in place of test: name"
    ):
        CardFolder(tmp_path, {"split": "test", "groups": "x"})
    with pytest.raises(UserError, match="an unfinished card with another split: name a new folder"):
        CardFolder(tmp_path, {"split": "x" * 100, "groups": None})


def test_a_file_that_no_card_has_is_refused(tmp_path: Path) -> None:
    CardFolder(tmp_path, {}).keep(None)
    own = ["card.html", "image_scores.npz", "calibrated/weights.bin", "pictures/worst_01.png"]
    own += ["attacks/pgd_8-255/00000.npz", "corruptions/fog-1.npz", f"corruptions/.fog.0123abcd-{os.getpid()}.part.npz"]
    for name in own:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    check_folder(tmp_path)
    for name in ("foreign.txt", "attacks/note.txt", "pictures/me.png", "other/card.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        with pytest.raises(UserError, match=f"and {name.removesuffix('/card.json')}, which is no file of a card"):
            check_folder(tmp_path)
        (tmp_path / name).unlink()


def test_what_is_finished_is_measured_again_if_a_file_of_it_has_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = CardFolder(tmp_path, {})
    picture = tmp_path / "pictures" / "worst_01.png"
    picture.parent.mkdir()
    picture.write_text("pixels")
    folder.keep({"images": 3})
    assert CardFolder(tmp_path, {}).finished == {"images": 3}
    picture.write_text("others")
    assert CardFolder(tmp_path, {}).finished is None
    assert "has been changed or removed: the images are measured again" in capsys.readouterr().err
    picture.write_text("pixels")
    folder.path.write_text(folder.path.read_text().replace('"images": 3', '"images": 4'))
    assert CardFolder(tmp_path, {}).finished is None
    folder.keep({"images": 3})
    picture.unlink()
    assert CardFolder(tmp_path, {}).finished is None


def test_content_is_named_where_the_options_are_the_same(tmp_path: Path) -> None:
    CardFolder(tmp_path, {"split": "val", "content of the masks": "a"}).keep({})
    with pytest.raises(UserError, match="with another content of the masks: name a new folder, or bring back"):
        CardFolder(tmp_path, {"split": "val", "content of the masks": "b"})
    with pytest.raises(UserError, match="with split val in place of test: name a new folder, or repeat the command"):
        CardFolder(tmp_path, {"split": "test", "content of the masks": "b"})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity": 3}', '{"identity": {}}'])
def test_a_damaged_file_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / UNFINISHED).write_text(text)
    with pytest.raises(UserError, match="not readable"):
        CardFolder(tmp_path, {})


def test_values_that_json_has_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        CardFolder(tmp_path, {}).finish({"miou": float("nan")})
    assert not (tmp_path / CARD).exists()
