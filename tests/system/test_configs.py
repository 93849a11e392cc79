"""Parts, leaves and classes of a nested configuration."""

from typing import Any

from jsonargparse import Namespace

from seglight.system.configs import children, leaves, with_classes

INNER = {"class_path": "b.B", "init_args": {"size": 3}}
CONFIG: dict[str, Any] = {"class_path": "a.A", "init_args": {"parts": [INNER, "x"], "none": None}}


def test_children_of_each_kind() -> None:
    assert dict(children({"a": 1, "b": [2]})) == {"a": 1, "b": [2]}
    assert dict(children(Namespace(a=1))) == {"a": 1}
    assert list(children(["x", "y"])) == [("0", "x"), ("1", "y")]
    assert list(children("text")) == list(children(None)) == []


def test_leaves_have_dotted_keys() -> None:
    assert dict(leaves(CONFIG)) == {
        "class_path": "a.A",
        "init_args.parts.0.class_path": "b.B",
        "init_args.parts.0.init_args.size": 3,
        "init_args.parts.1": "x",
        "init_args.none": None,
    }
    assert list(leaves(Namespace(a=(1,)), "trainer")) == [("trainer.a.0", 1)]


def test_classes_are_replaced_from_the_inside_out_in_a_copy() -> None:
    seen = []

    def change(spec: dict[str, Any]) -> dict[str, Any]:
        seen.append(spec["class_path"])
        return {**spec, "class_path": spec["class_path"].upper()}

    changed = with_classes(CONFIG, change)
    assert seen == ["b.B", "a.A"]
    assert changed["class_path"] == "A.A"
    assert changed["init_args"]["parts"][0]["class_path"] == "B.B"
    assert CONFIG["init_args"]["parts"][0]["class_path"] == "b.B"
