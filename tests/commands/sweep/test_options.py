"""SWEEP.yaml: what it accepts and refuses, the dry run of its space, and the shipped sweeps.

Covers: commands.sweep.dry_run.
"""

from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from lightning.pytorch import Callback

from seglight.commands.sweep.dry_run import dry_run, recipe_of
from seglight.commands.sweep.options import read_sweep
from seglight.commands.sweep.space import corners
from seglight.errors import UserError
from tests.support.small_sweeps import LR, written

ROOT = Path(__file__).parents[3]


def test_sampler_and_pruner_are_optunas_with_their_own_arguments(tmp_path: Path) -> None:
    sampler = {"class_path": "optuna.samplers.CmaEsSampler", "init_args": {"n_startup_trials": 3}}
    pruner = {"class_path": "optuna.pruners.HyperbandPruner", "init_args": {"min_resource": 2}}
    sweep = read_sweep(written(tmp_path, sampler=sampler, pruner=pruner, running={"parallel": 3, "seeds": [1, 2]}))
    assert isinstance(sweep.sampler(seed=3), optuna.samplers.CmaEsSampler)
    assert isinstance(sweep.pruner(), optuna.pruners.HyperbandPruner)
    assert (sweep.running.parallel, sweep.running.seeds, sweep.seed) == (3, [1, 2], 0)


def test_a_grid_consists_of_the_choices_of_the_space(tmp_path: Path) -> None:
    space = {LR: {"choice": [0.1, 0.2, 0.3]}, "data.init_args.augmentation.scale": {"choice": [[1.0, 1.0], [0.5, 2.0]]}}
    sweep = read_sweep(written(tmp_path, space=space, sampler={"class_path": "optuna.samplers.GridSampler"}, trials=99))
    assert sweep.trials == 6
    with pytest.raises(UserError, match="a grid takes only choices"):
        read_sweep(written(tmp_path, sampler={"class_path": "optuna.samplers.GridSampler"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trails": 3}, "trails"),
        ({"trials": None}, "trials"),
        ({"trials": 0}, "trials: 0: give at least 1"),
        ({"space": None}, "describes no sweep"),
        ({"space": {LR: {"lgo": [1, 2]}}}, "give one of"),
        ({"configs": []}, "at least one entry"),
        ({"objectives": {"val/miou": "most"}}, "objectives"),
        ({"sampler": {"class_path": "optuna.samplers.TPESamplr"}}, "TPESamplr does not exist: did you mean"),
        ({"sampler": {"class_path": "optuna.samplers.TPESampler", "init_args": {"n_startup": 1}}}, "n_startup"),
        ({"sampler": {"class_path": "optuna.samplers.QMCSampler"}}, "use RandomSampler"),
        ({"running": {"parallel": 0}}, "running.parallel: 0"),
        (
            {
                "objectives": {"val/miou": "maximize", "latency": "minimize"},
                "pruner": {"class_path": "optuna.pruners.MedianPruner"},
            },
            "prunes only with one objective",
        ),
    ],
)
def test_wrong_keys_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_sweep(written(tmp_path, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"pruner": {"class_path": "optuna.pruners.SuccessiveHalvingPruner", "init_args": {"reduction_factor": 1}}},
        {"sampler": {"class_path": "optuna.samplers.NSGAIISampler", "init_args": {"population_size": 1}}},
    ],
    ids=["pruner", "sampler"],
)
def test_arguments_that_optuna_refuses_are_reported_at_once(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="sampler or pruner: "):
        read_sweep(written(tmp_path, **changes))


def test_the_dry_run_builds_all_corners(tmp_path: Path) -> None:
    space = {LR: {"log": [1e-4, 1e-2]}, "data.init_args.batch_size": {"choice": [1, 2, 4]}}
    assert dry_run(read_sweep(written(tmp_path, space=space)), tmp_path / "out") == 3


def test_a_choice_of_classes_with_their_arguments(tmp_path: Path) -> None:
    choice = [{"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}, {"class_path": "torch.optim.AdamW"}]
    sweep = read_sweep(written(tmp_path, space={"model.optimizer": {"choice": choice}}))
    assert dry_run(sweep, tmp_path / "out") == 2
    optimizers = [yaml.safe_load(recipe_of(sweep, one))["model"]["optimizer"] for one in corners(sweep.parameters)]
    assert [one["class_path"] for one in optimizers] == ["torch.optim.SGD", "torch.optim.AdamW"]
    assert optimizers[0]["init_args"]["lr"] == 0.1


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ({"val/mIoU": "maximize"}, "val/mIoU: .*: give one of val/miou, val/acc, val/loss, val/iou/ground, "),
        ({"val/miou": "maximize", "latncy": "minimize"}, "latncy: .* latency"),
    ],
)
def test_an_objective_that_is_not_logged(tmp_path: Path, objectives: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        dry_run(read_sweep(written(tmp_path, objectives=objectives)), tmp_path / "out")


class Logger(Callback):
    """Callback of a user."""


def test_an_objective_may_be_logged_by_a_users_callback(tmp_path: Path) -> None:
    path = written(tmp_path, objectives={"my/score": "maximize"})
    with pytest.raises(UserError, match="my/score"):
        dry_run(read_sweep(path), tmp_path / "out")
    own = tmp_path / "own.yaml"
    own.write_text("trainer: {callbacks+: [{class_path: tests.commands.sweep.test_options.Logger}]}\n")
    configs = [str(tmp_path / "recipe.yaml"), str(own)]
    assert (
        dry_run(read_sweep(written(tmp_path, objectives={"my/score": "maximize"}, configs=configs)), tmp_path / "out")
        == 2
    )


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"model.optimizer.init_args.lrr": {"log": [1e-4, 1e-2]}}, "lrr"),
        ({"data.init_args.batch_size": {"choice": [2, "two"]}}, "batch_size=two: .*batch_size"),
        ({"model.net.class_path": {"choice": ["tests.support.resumable.Net", "tests.support.resumable.Nett"]}}, "Nett"),
        ({"data.init_args.size": {"integers": [-64, 64]}}, "size"),
        ({"net": {"configs": ["not_there.yaml"]}}, "not_there.yaml: No such file"),
    ],
)
def test_the_dry_run_finds_keys_and_values_that_no_trial_accepts(
    tmp_path: Path, space: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        dry_run(read_sweep(written(tmp_path, space=space)), tmp_path / "out")


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_sweeps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They give recipes; the nets are not built, as some of their encoders load weights from a hub."""
    monkeypatch.chdir(ROOT)
    sweep = read_sweep(path)
    candidate = list(corners(sweep.parameters))[-1]
    recipe = yaml.safe_load(recipe_of(sweep, candidate))
    for key, value in candidate.items():
        found = recipe if "." in key else None  # the name of config files is not a key
        for name in key.split(".") if found else ():
            found = found[name]
        assert found is None or found == value or str(found) == str(value)
