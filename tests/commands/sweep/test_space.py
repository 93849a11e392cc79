"""The space: candidates, their arguments on the command line, corners, and malformed entries."""

import json
from random import Random
from typing import Any

import optuna
import pytest

from seglight.commands.sweep.space import arguments, corners, parse_space, propose
from seglight.errors import UserError

SPACE: dict[str, dict[str, Any]] = {
    "net": {"configs": ["a.yaml", "b.yaml"]},
    "lr": {"log": [1e-5, 1e-2]},
    "batch": {"integers": [2, 16]},
    "scale": {"choice": [[1.0, 1.0], [0.5, 2.0], [0.7, 1.4]]},
    "width": {"range": [0.5, 1.0], "when": {"net": "b.yaml"}},
    "name": {"choice": ["x", "1e3"], "when": {"net": ["a.yaml", "b.yaml"]}},
}


def test_candidates_respect_ranges_and_conditions() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = parse_space(SPACE)
    candidates = [propose(space, study.ask()) for _ in range(200)]
    assert {c["net"] for c in candidates} == {"a.yaml", "b.yaml"}
    assert all(("width" in c) == (c["net"] == "b.yaml") and "name" in c for c in candidates)
    assert all(1e-5 <= c["lr"] <= 1e-2 for c in candidates)
    # uniform in the logarithm: a third of the draws per decade
    assert 0.2 < sum(c["lr"] < 1e-4 for c in candidates) / 200 < 0.47
    assert {c["batch"] for c in candidates} == set(range(2, 17))
    assert {c["scale"] for c in candidates} == {"[1.0, 1.0]", "[0.5, 2.0]", "[0.7, 1.4]"}


def test_arguments_give_files_before_keys_and_keep_the_text_of_values() -> None:
    candidate = {"lr": 1e-5, "scale": json.dumps([0.5, 2.0]), "net": "b.yaml", "name": "1e3"}
    assert arguments(parse_space(SPACE), candidate) == [
        "--config", "b.yaml", "--lr=1e-05", "--scale=[0.5, 2.0]", "--name=1e3",
    ]  # fmt: skip


def test_corners_combine_each_value_with_each_file() -> None:
    found = list(corners(parse_space(SPACE)))
    assert len(found) == 6, "three scales for each of the two files"
    for key in ("lr", "batch", "scale", "name"):
        values = parse_space({key: {k: v for k, v in SPACE[key].items() if k != "when"}})[0].labels
        for file in SPACE["net"]["configs"]:
            assert [c[key] for c in found if c["net"] == file and c[key] in values]
            assert {c[key] for c in found if c["net"] == file} == set(values)
    assert {c.get("width") for c in found if c["net"] == "a.yaml"} == {None}
    assert {c["width"] for c in found if c["net"] == "b.yaml"} == {0.5, 1.0}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"lgo": [1, 2]}, "x: .*give one of log, range"),
        ({"log": [1, 2], "range": [1, 2]}, "give one of"),
        ({"log": [0, 1]}, "and positive"),
        ({"log": ["1e-5", 1]}, "write 1.0e-5"),
        ({"range": [2, 1]}, "less than the second"),
        ({"range": [1]}, "two numbers"),
        ({"integers": [1, 2.5]}, "two integers"),
        ({"choice": "resnet18"}, "give a list"),
        ({"choice": [1, 1]}, "twice"),
        ({"configs": [1, 2]}, "paths"),
        ({"choice": [1, 2], "when": {"later": 1}}, "no choice with this key comes before it"),
        ({"choice": [1, 2], "when": {"number": 0.5}}, "no choice with this key"),
        ({"choice": [1, 2], "when": {"first": "c"}}, "c is not one of"),
    ],
)
def test_malformed_entries_are_refused(entry: dict[str, Any], message: str) -> None:
    around = {"first": {"choice": ["a", "b"]}, "number": {"range": [0, 1]}}
    with pytest.raises(UserError, match=message):
        parse_space({**around, "x": entry, "later": {"choice": [1]}})


@pytest.mark.parametrize("seed", range(20))
def test_corners_cover_each_value_with_each_switch(seed: int) -> None:
    """Compared with all combinations of a random space, no pair of a value and a switch is missing."""
    random = Random(seed)
    space: dict[str, dict[str, Any]] = {}
    for index in range(5):
        kind = random.choice(["configs", "choice", "choice", "range"])
        values = [0, 1] if kind == "range" else [f"{index}{letter}" for letter in "abc"[: random.randint(1, 3)]]
        space[f"p{index}"] = {kind: values}
        above = [key for key, entry in space.items() if "range" not in entry and key != f"p{index}"]
        if above and random.random() < 0.6:
            key = random.choice(above)
            space[f"p{index}"]["when"] = {key: random.choice(next(iter(space[key].values())))}
    conditions = {key for entry in space.values() for key in entry.get("when", {})}
    switches = {key for key, entry in space.items() if "configs" in entry} | conditions

    everything: list[dict[str, Any]] = [{}]
    for key, entry in space.items():
        (values,) = (listed for kind, listed in entry.items() if kind != "when")
        ((on, value),) = entry.get("when", {None: None}).items()
        extended = [c for c in everything if on is None or c.get(on) == value]
        everything = [c for c in everything if c not in extended] + [c | {key: v} for c in extended for v in values]

    def pairs(candidates: list[dict[str, Any]]) -> set[Any]:
        return {
            (one, c[one], other, c[other]) for c in candidates for one in c for other in c if other in switches | {one}
        }

    found = list(corners(parse_space(space)))
    assert pairs(found) == pairs(everything)
    assert len(found) <= len(everything)
