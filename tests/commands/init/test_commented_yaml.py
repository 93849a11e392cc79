"""YAML with comments holds the values that were given."""

import pytest
import yaml

from seglight.commands.init.commented_yaml import WIDTH, commented_yaml

CONTENT = {
    "seed": 0,
    "trainer": {"precision": "32-true", "callbacks": [{"class_path": "a.B", "init_args": {"decay": 0.98}}], "x": None},
    "model": {
        "loss": {"losses": [{"class_path": "c.D", "init_args": {"weights": [0.1] * 60}}, {"class_path": "e.F"}]},
        "name": "yes",
        "empty": {},
    },
}
COMMENTS = {
    "seed": "the usual one",
    "trainer.callbacks.0": "an average",
    "model.loss.losses.0.init_args.weights": "word " * 60,
    "model.loss.losses.1": "the second",
}


def test_values_are_kept_and_each_comment_is_there() -> None:
    text = commented_yaml(CONTENT, COMMENTS)
    assert yaml.safe_load(text) == CONTENT
    assert "seed: 0 # the usual one\n" in text
    assert "# an average" in text
    assert "- {class_path: e.F} # the second\n" in text
    comments = [line for line in text.splitlines() if line.lstrip().startswith("# word")]
    assert len(comments) > 1
    assert max(map(len, comments)) <= WIDTH


def test_values_alone() -> None:
    assert yaml.safe_load(commented_yaml(CONTENT, {})) == CONTENT


@pytest.mark.parametrize("end", ["\n", "\r", "\x85", "\u2028"])
def test_line_ends_in_comments_add_no_keys(end: str) -> None:
    """Names of classes and folders come from files of any origin."""
    text = commented_yaml(CONTENT, {"seed": f"a class{end}trainer: 1", "model.loss": f"b{end}name: x {'word ' * 60}"})
    assert yaml.safe_load(text) == CONTENT
    assert text.count("trainer: 1") == 1
