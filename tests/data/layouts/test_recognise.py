"""Covers: data.layouts.layout."""

from pathlib import Path

import pytest

from seglight.data.layouts.layout import Choices
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        recognise(tmp_path / "nowhere", Choices())


def test_a_folder_of_no_known_layout(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UserError, match="no labelled data set of a known layout"):
        recognise(tmp_path, Choices())
