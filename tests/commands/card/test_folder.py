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
    with pytest.raises(UserError, match="an unfinished card with another groups, split: name a new folder"):
        CardFolder(tmp_path, {"split": "test", "groups": "x"})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity": 3}', '{"identity": {}}'])
def test_a_damaged_file_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / UNFINISHED).write_text(text)
    with pytest.raises(UserError, match="not readable"):
        CardFolder(tmp_path, {})


def test_values_that_json_has_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        CardFolder(tmp_path, {}).finish({"miou": float("nan")})
    assert not (tmp_path / CARD).exists()
