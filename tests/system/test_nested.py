"""Nesting without an end, in each kind of file that is read."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from seglight.data import COCOPolygonsDataModule, FolderDataModule, LabelMeDataModule, VOCDataModule
from seglight.data.class_files import read_classes
from seglight.data.layouts.layout import Choices
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError
from seglight.system.nested import parse_json, parse_yaml
from seglight.system.recipe_files import read_recipe

DEEP = "[" * 100_000
YAML = "{a: " * 2_000


def test_what_is_not_deep_is_read() -> None:
    assert parse_json('{"a": [1, [2]]}') == parse_yaml("{a: [1, [2]]}") == {"a": [1, [2]]}


def test_what_is_deep_is_wrong() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(DEEP)
    with pytest.raises(yaml.YAMLError, match="nested too deeply"):
        parse_yaml(YAML)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"images": [{"file_name": "a.jpg"}], "annotations": ' + DEEP),
        ("a.json", '{"shapes": ' + DEEP),
        ("a.json", '[{"completed_by": ' + DEEP),
        ("data.yaml", f"names: {YAML}"),
        ("classes.yaml", f"classes: {YAML}"),
        ("b.csv/x", ""),
        ("data.yaml/x", ""),
        ("a.json/x", ""),
    ],
)
def test_data_sets(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError):
        recognise(tmp_path, Choices())


def test_recipes_and_class_tables(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(YAML)
    for read in (read_recipe, lambda file: read_classes(Path(file))):
        with pytest.raises(UserError, match=r"deep.yaml: .*nested too deeply"):
            read(str(path))


@pytest.mark.parametrize("module", [COCOPolygonsDataModule, FolderDataModule, LabelMeDataModule, VOCDataModule])
def test_a_folder_whose_name_is_too_long(module: Callable[[str], object]) -> None:
    with pytest.raises(UserError, match=r"set data\.root"):
        module("x" * 5000).setup("fit")  # type: ignore[attr-defined]
