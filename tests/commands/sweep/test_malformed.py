"""Malformed SWEEP.yaml files: each one is refused in one line that names the key."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seglight.commands.sweep.options import read_sweep

GOOD = {
    "configs": "[base.yaml]",
    "objectives": "{val/miou: maximize}",
    "space": "{x: {range: [0.0, 1.0]}}",
    "trials": "2",
}
TWO = "a: {choice: [1, 2]}, "
TPE = "class_path: optuna.samplers.TPESampler"
GRID = "{class_path: optuna.samplers.GridSampler}"

WHOLE = {
    "": "describes no sweep",
    "7": "describes no sweep",
    "[configs, space]": "describes no sweep",
    "space: [": "not valid YAML",
    "\0": "not valid YAML",
    "? [a]\n: b": "not valid YAML",
    "!!python/object/apply:os.getcwd []": "not valid YAML",
}

CHANGED = [
    ("configs", "base.yaml", "configs: expected"),
    ("configs", "[1]", "configs: expected"),
    ("configs", "null", "required: configs"),
    ("objectives", "val/miou", "objectives: expected"),
    ("objectives", "{val/miou: up}", "objectives: "),
    ("objectives", "{1: maximize}", "objectives: 1"),
    ("objectives", "{val/miou: null}", "objectives: "),
    ("space", "[x]", "describes no sweep"),
    ("space", "{x: 1}", "space: "),
    ("space", "{x: [0, 1]}", "space: "),
    ("space", "{1: {range: [0, 1]}}", "space: 1"),
    ("space", "{x: {range: {a: 1}}}", "x: range: .*give a list"),
    ("space", "{x: {range: [null, 1]}}", "x: range: .*two numbers"),
    ("space", "{x: {range: [0, .inf]}}", "x: range: .*at most"),
    ("space", "{x: {range: [.nan, 1]}}", "x: range: "),
    ("space", "{x: {integers: [1, 99999999999999999999999]}}", "x: integers: .*at most"),
    ("space", "{x: {choice: [.nan, 1]}}", "x: choice: .*finite"),
    ("space", "{x: {choice: [2026-01-01]}}", "x: choice: "),
    ("space", "{x: {choice: [[2026-01-01]]}}", "x: choice: "),
    ("space", "{x: {choice: [1, true]}}", "x: choice: .*twice"),
    ("space", "{x: {choice: ['[1]', [1]]}}", "x: choice: .*twice"),
    ("space", "{x: {configs: [a.yaml, 3]}}", "x: configs: .*paths"),
    ("space", f"{{{TWO}x: {{range: [0, 1], when: a}}}}", "x: when: a"),
    ("space", f"{{{TWO}x: {{range: [0, 1], when: [a]}}}}", "x: when: "),
    ("space", f"{{{TWO}x: {{range: [0, 1], when: 3}}}}", "x: when: 3"),
    ("space", f"{{{TWO}x: {{range: [0, 1], when: {{a: []}}}}}}", "x: when: "),
    ("space", f"{{{TWO}x: {{range: [0, 1], when: {{a: {{}}}}}}}}", "x: when: "),
    ("trials", "many", "trials: "),
    ("trials", "2.5", "trials: "),
    ("trials", "true", "trials: "),
    ("seed", "-1", "[Ss]eed"),
    ("seed", "x", "seed: "),
    ("sampler", "7", "sampler: 7"),
    ("sampler", "{class_path: 7}", "sampler: "),
    ("sampler", f"{{{TPE}, init_args: 3}}", "sampler: "),
    ("sampler", f"{{{TPE}, init_args: {{seed: 4}}}}", "sampler: .*seed"),
    ("sampler", "{class_path: optuna.pruners.NopPruner}", "sampler: "),
    ("sampler", GRID, "x: a grid takes only choices"),
    ("pruner", "median", "pruner: "),
    ("pruner", "{class_path: optuna.pruners.PatientPruner, init_args: {patience: -1}}", "pruner: "),
    ("running", "3", "running: 3"),
    ("running", "[1]", "running: "),
    ("running", "{parallel: two}", "running.parallel: "),
    ("running", "{paralel: 2}", "running.paralel"),
    ("running", "{seeds: [1, 1]}", "running.seeds: .*twice"),
    ("running", "{seeds: [-1]}", "running.seeds: -1"),
    ("running", "{hours: .nan}", "running.hours: "),
    ("running", "{pause: .inf}", "running.pause: "),
    ("running", "{slurm: [gpu]}", "running.slurm: "),
]


def refused(path: Path, text: str, seglight_cli: Callable[..., Any]) -> str:
    path.write_text(text)
    ran = seglight_cli("sweep", "--config", path, "--out", path.parent / "out")
    assert (ran.rc, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert str(path) in ran.err
    assert not (path.parent / "out" / "trials").exists()
    line: str = ran.err
    return line


@pytest.mark.parametrize(("text", "message"), WHOLE.items(), ids=range(len(WHOLE)))
def test_a_file_without_a_sweep(tmp_path: Path, seglight_cli: Callable[..., Any], text: str, message: str) -> None:
    assert message in refused(tmp_path / "s.yaml", text, seglight_cli)


@pytest.mark.parametrize(("key", "value", "message"), CHANGED, ids=lambda value: str(value)[:40])
def test_one_key_is_wrong(tmp_path: Path, seglight_cli: Callable[..., Any], key: str, value: str, message: str) -> None:
    text = "".join(f"{name}: {text}\n" for name, text in (GOOD | {key: value}).items())
    line = refused(tmp_path / "s.yaml", text, seglight_cli)
    assert re.search(message, line), line


@pytest.mark.parametrize("key", ["seed", "sampler", "pruner", "running"])
def test_a_key_without_a_value_counts_as_not_given(tmp_path: Path, key: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("".join(f"{name}: {text}\n" for name, text in (GOOD | {key: ""}).items()))
    assert read_sweep(path).seed == 0
