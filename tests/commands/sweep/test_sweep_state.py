"""A sweep resumes as the one that was started, or is refused: what may change, and the message if more has."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from seglight.commands.sweep.options import read_sweep
from seglight.commands.sweep.sweep_state import check_unchanged, save_state, working_directory
from seglight.errors import UserError

CONTENT: dict[str, Any] = {
    "configs": ["base.yaml"],
    "objectives": {"val/miou": "maximize", "parameters": "minimize"},
    "space": {"net": {"configs": ["a.yaml", "b.yaml"]}, "lr": {"log": [1e-4, 1e-2]}},
    "trials": 4,
    "running": {"parallel": 2, "seeds": [0, 1]},
}


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a sweep that was started in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    for name, content in (("base", {"trainer": {"max_epochs": 3}}), ("a", {"model": 1}), ("b", {"model": 2})):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    resume(tmp_path / "out")
    return tmp_path / "out"


def resume(out: Path, **changes: Any) -> None:
    path = out.parent / "sweep.yaml"
    path.write_text(yaml.safe_dump(CONTENT | changes, sort_keys=False))
    sweep = read_sweep(path)
    check_unchanged(out, path, sweep)
    save_state(out, path.read_text(), sweep)


def test_how_trials_are_run_may_change(out: Path) -> None:
    resume(out, trials=9, running={"parallel": 8, "seeds": [0, 1], "hours": 2.0, "retries": 5, "slurm": {"time": 60}})
    assert yaml.safe_load((out / "sweep.yaml").read_text())["trials"] == 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"running": {"seeds": [0, 2]}}, r"running\.seeds: \[0, 1\] -> \[0, 2\]"),
        ({"running": {}}, r"running\.seeds: \[0, 1\] -> -"),
        ({"seed": 3}, "seed: - -> 3"),
        ({"objectives": {"val/miou": "minimize", "parameters": "minimize"}}, "val/miou: maximize -> minimize"),
        ({"objectives": {"parameters": "minimize", "val/miou": "maximize"}}, "order"),
        ({"space": {**CONTENT["space"], "lr": {"log": [1e-4, 1e-1]}}}, r"space\.lr\.log: .* -> \[0.0001, 0.1\]"),
        ({"space": {"lr": CONTENT["space"]["lr"], "net": CONTENT["space"]["net"]}}, "order"),
    ],
)  # fmt: skip
def test_what_determines_trials_or_scores_may_not(out: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        resume(out, **changes)
    assert yaml.safe_load((out / "sweep.yaml").read_text()) == CONTENT


def test_the_order_of_other_keys_does_not_matter(out: Path) -> None:
    path = out.parent / "sweep.yaml"
    path.write_text(yaml.safe_dump(dict(reversed(CONTENT.items())), sort_keys=False))
    check_unchanged(out, path, read_sweep(path))


@pytest.mark.parametrize(("file", "key"), [("base.yaml", "trainer.max_epochs"), ("b.yaml", "model")])
def test_config_files_may_not_change(out: Path, file: str, key: str) -> None:
    was = (out.parent / file).read_text()
    (out.parent / file).write_text(was.replace("3", "5").replace("2", "5"))
    with pytest.raises(UserError, match=rf"{file}\.{key}: . -> 5: choose another --out"):
        resume(out)
    (out.parent / file).write_text(f"# a comment\n{was}")
    resume(out)


def test_it_resumes_in_the_directory_that_it_was_started_in(out: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    assert working_directory(out) == tmp_path
    assert working_directory(tmp_path / "new") == tmp_path / "elsewhere"
    state = out / "begun.yaml"
    state.write_text(state.read_text().replace(str(tmp_path), "/not/there"))
    assert working_directory(out) == tmp_path / "elsewhere", "the sweep was moved"


def test_many_differences_are_shortened_to_one_line(out: Path) -> None:
    (out.parent / "base.yaml").write_text(yaml.safe_dump({f"key{number:02d}": number for number in range(30)}))
    with pytest.raises(UserError, match=r"base\.yaml\.key00: - -> 0; .* and 23 more: choose") as raised:
        resume(out)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["[1]", "a: ["])
def test_a_damaged_state_file(out: Path, text: str) -> None:
    (out / "begun.yaml").write_text(text)
    with pytest.raises(UserError, match=r"begun\.yaml: "):
        resume(out)
