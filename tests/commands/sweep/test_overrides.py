"""Keys of the recipe on the command line of `sweep`: accepted and refused keys, and which may change on --resume."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from seglight.commands.sweep.dry_run import check_overrides, dry_run, recipe_of
from seglight.commands.sweep.options import read_sweep
from seglight.commands.sweep.overrides import as_arguments, split, text_of
from seglight.commands.sweep.space import corners
from seglight.commands.sweep.sweep_state import free_overrides, merged_overrides, save_state
from seglight.commands.sweep.trial import trial_commands
from seglight.errors import UserError
from tests.support.small_sweeps import LR, small_sweep, written

DECODER = "model.net.init_args.decoder"


def test_options_and_keys_of_the_recipe_in_any_order() -> None:
    before = ["--a.b", "1", "-c", "S", "--out", "O", "--a.c=x=y", "--a.d", "-2", "--resume", "--executor=ray"]
    own, overrides = split([*before, "--a.e+", "p", "--a.e+=q", "--a.b", "3", "--config=T"])
    assert own == ["-c", "S", "--out", "O", "--resume", "--executor=ray", "--config=T"]
    assert as_arguments(overrides) == ["--a.c=x=y", "--a.d=-2", "--a.e+=p", "--a.e+=q", "--a.b=3"]
    assert text_of(overrides) == "--a.c x=y --a.d -2 --a.e+ p --a.e+ q --a.b 3"
    for words in (["--a.b"], ["--a.b", "--out", "O"]):
        with pytest.raises(UserError, match=r"--a\.b: the value is missing"):
            split(words)


def with_overrides(path: Path, *words: str) -> Any:
    sweep = read_sweep(path)
    sweep.overrides = split(words)[1]
    return sweep


def test_they_apply_to_every_candidate_and_to_the_dry_run(tmp_path: Path) -> None:
    words = ("--trainer.max_epochs", "7", "--data.size=48", "--trainer.callbacks+=seglight.callbacks.Throughput")
    sweep = with_overrides(written(tmp_path), *words)
    check_overrides(sweep)
    for candidate in corners(sweep.parameters):
        recipe = yaml.safe_load(recipe_of(sweep, candidate))
        assert recipe["trainer"]["max_epochs"] == 7
        assert recipe["data"]["init_args"]["size"] == 48
        assert recipe["trainer"]["callbacks"][-1] == {"class_path": "seglight.callbacks.Throughput"}
        assert recipe["model"]["optimizer"]["init_args"]["lr"] == candidate[LR]
    sweep = with_overrides(written(tmp_path), "--data.init_args.size=-64")
    check_overrides(sweep)
    with pytest.raises(UserError, match="size"):
        dry_run(sweep, tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--trainer.max_epoks=3"],
            "--trainer.max_epoks: .* no such key: did you mean --trainer.max_epochs?",
        ),
        (["--modle.loss=x"], "--modle.loss: a recipe of this sweep has no such key: did you mean --model.loss?"),
        (["--data.sise=3", "--trainer.max_epochs=3"], "--data.sise: .* did you mean --data.init_args.size?"),
        (["--exectuor=ray"], "--exectuor: .* did you mean --executor?"),
        (["--qqqqqqqq=1"], "--qqqqqqqq: .* `seglight fit --help` lists all keys"),
        (["--trainer.max_epochs=x"], "^--trainer.max_epochs=x: trainer.max_epochs: expected int or null, got 'x'"),
        (["--model.optimizer.init_args.lr=1"], "--model.optimizer.init_args.lr: the sweep searches " + LR),
        (["--model.optimizer.lr=1"], "the sweep searches " + LR),
        (["--model.opt.lr=1"], "--model.opt.lr: a recipe of this sweep has no such key"),
        (["--model.optimizer=torch.optim.SGD"], "--model.optimizer: the sweep searches " + LR),
        (["--model.optimizer.class_path=torch.optim.SGD"], "the sweep searches " + LR),
        (["--run_dir=x"], "--run_dir: the trials of a sweep do not take this key"),
        (["--seeds=1,2"], "running.seeds"),
        (["--ckpt_path=x"], "model.weights"),
        (["--print_config=yes"], "--print_config: sweep has no such option"),
    ],
)
def test_refused_overrides(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        check_overrides(with_overrides(written(tmp_path), *words))
    assert "\n" not in str(raised.value)


def test_a_seed_is_refused_if_the_trainings_have_theirs(tmp_path: Path) -> None:
    path = written(tmp_path, running={"seeds": [1, 2]})
    with pytest.raises(UserError, match=r"running\.seeds sets the seed of each training"):
        check_overrides(with_overrides(path, "--seed_everything=3"))
    check_overrides(with_overrides(written(tmp_path), "--seed_everything=3"))


def test_arguments_that_the_classes_of_the_space_do_not_set_may_be_overridden(tmp_path: Path) -> None:
    """The choices set the learning rate, but not the momentum."""
    classes = [{"class_path": "torch.optim.SGD", "init_args": {"lr": lr}} for lr in (0.1, 0.2)]
    path = written(tmp_path, space={"model.optimizer": {"choice": classes}})
    sweep = with_overrides(path, "--model.optimizer.init_args.momentum=0.8")
    check_overrides(sweep)
    for candidate in corners(sweep.parameters):
        assert yaml.safe_load(recipe_of(sweep, candidate))["model"]["optimizer"]["init_args"]["momentum"] == 0.8
    with pytest.raises(UserError, match=r"the sweep searches model\.optimizer"):
        check_overrides(with_overrides(path, "--model.optimizer.init_args.lr=0.3"))


def test_a_required_key_may_come_from_the_command_line(tmp_path: Path) -> None:
    """Without it, the recipe lacks the root of the data."""
    recipe = tmp_path / "recipe.yaml"
    path = written(tmp_path)
    content = yaml.safe_load(recipe.read_text())
    content["data"] = {"class_path": "seglight.data.CamVidDataModule", "init_args": {"augmentation": {"crop_size": 32}}}
    recipe.write_text(yaml.safe_dump(content))
    sweep = with_overrides(path, "--data.init_args.root=/somewhere")
    check_overrides(sweep)
    assert yaml.safe_load(recipe_of(sweep, {LR: 0.1}))["data"]["init_args"]["root"] == "/somewhere"
    with pytest.raises(UserError, match=r"--trainer\.max_epoks: .* no such key: .* --trainer\.max_epochs"):
        check_overrides(with_overrides(path, "--data.init_args.root=/somewhere", "--trainer.max_epoks=3"))


def started(tmp_path: Path, *words: str) -> Path:
    path, out = written(tmp_path), tmp_path / "out"
    save_state(out, path.read_text(), with_overrides(path, *words))
    return out


def test_a_sweep_keeps_the_overrides_that_it_was_started_with(tmp_path: Path) -> None:
    words = ("--trainer.max_epochs=2", "--data.init_args.root=/a", "--trainer.callbacks+=p", "--trainer.callbacks+=q")
    out = started(tmp_path, *words)
    kept = split(words)[1]
    assert merged_overrides(out, {}) == merged_overrides(out, kept) == kept
    assert merged_overrides(out, split(["--trainer.max_epochs", "2"])[1]) == kept
    moved = merged_overrides(out, split(["--data.root=/b", "--data.init_args.num_workers=3", "--trainer.devices=1"])[1])
    assert moved["trainer.max_epochs"] == ["2"]
    assert free_overrides(moved).keys() == {
        "data.init_args.root", "data.root", "data.init_args.num_workers", "trainer.devices",
    }  # fmt: skip
    for word, message in (
        ("--trainer.max_epochs=3", "trainer.max_epochs: 2 -> 3"),
        ("--model.loss=x", "model.loss: - -> x"),
        ("--trainer.callbacks+=p", r"trainer.callbacks\+: \['p', 'q'\] -> \['p'\]"),
        ("--trainer.strategy=seglight.training.fsdp.FSDP", "trainer.strategy: - -> "),
    ):
        with pytest.raises(UserError, match=f"started with other overrides: {message}.*choose another --out"):
            merged_overrides(out, split([word])[1])


def test_texts_are_compared_by_their_values(tmp_path: Path) -> None:
    out = started(tmp_path, "--model.aux_weight=1e-3")
    assert merged_overrides(out, {"model.aux_weight": ["0.001"]})
    with pytest.raises(UserError, match=r"model\.aux_weight: 0\.001 -> 0\.002"):
        merged_overrides(out, {"model.aux_weight": ["2e-3"]})


def test_a_sweep_that_was_killed_before_it_was_saved_has_none(tmp_path: Path) -> None:
    """`sweep.yaml` is written last: without it, the folder holds no sweep."""
    out = started(tmp_path, "--trainer.max_epochs=2")
    (out / "sweep.yaml").unlink()
    assert merged_overrides(out, {}) == {}
    path = written(tmp_path)
    save_state(out, path.read_text(), with_overrides(path, "--trainer.max_epochs=5"))
    assert merged_overrides(out, {}) == {"trainer.max_epochs": ["5"]}


def test_overrides_that_may_change_are_passed_to_existing_trials(tmp_path: Path) -> None:
    sweep = small_sweep(objectives={"val/miou": "maximize", "parameters": "minimize"}, running={"seeds": [0, 1]})
    (fit, _), (costs, _) = trial_commands(sweep, tmp_path, ["s"], ["--data.init_args.root=/b", "--trainer.devices=2"])
    assert fit[-2:] == ["--data.init_args.root=/b", "--trainer.devices=2"]
    assert costs == ["s", "summary", "--config", str(tmp_path / "config.yaml"), "--data.init_args.root=/b", "--json"]
