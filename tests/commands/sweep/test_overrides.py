"""Keys of the recipe on the command line of `sweep`: which are taken, for which trials, and what --resume says."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from seglight.commands.sweep.dry_run import check_overrides, recipe_of, rehearse
from seglight.commands.sweep.options import read_sweep
from seglight.commands.sweep.overrides import as_arguments, split, text_of
from seglight.commands.sweep.space import corners
from seglight.commands.sweep.sweep_state import free_overrides, keep, overrides_of
from seglight.commands.sweep.trial import commands
from seglight.errors import UserError
from tests.support.small_sweeps import LR, small_sweep, written

DECODER = "model.net.init_args.decoder"


def test_options_of_sweep_and_keys_of_the_recipe_in_any_order() -> None:
    before = ["--a.b", "1", "-c", "S", "--out", "O", "--a.c=x=y", "--a.d", "-2", "--resume", "--executor=ray"]
    own, overrides = split([*before, "--a.e+", "p", "--a.e+=q", "--a.b", "3", "--config=T"])
    assert own == ["-c", "S", "--out", "O", "--resume", "--executor=ray", "--config=T"]
    assert as_arguments(overrides) == ["--a.c=x=y", "--a.d=-2", "--a.e+=p", "--a.e+=q", "--a.b=3"]
    assert text_of(overrides) == "--a.c x=y --a.d -2 --a.e+ p --a.e+ q --a.b 3"
    for words in (["--a.b"], ["--a.b", "--out", "O"]):
        with pytest.raises(UserError, match=r"--a\.b: give a value"):
            split(words)


def with_overrides(path: Path, *words: str) -> Any:
    sweep = read_sweep(path)
    sweep.overrides = split(words)[1]
    return sweep


def test_they_hold_for_every_candidate_and_for_the_rehearsal(tmp_path: Path) -> None:
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
        rehearse(sweep, tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--trainer.max_epoks=3"], "--trainer.max_epoks: no such key .* did you mean --trainer.max_epochs?"),
        (["--modle.loss=x"], "--modle.loss: no such key .* did you mean --model.loss?"),
        (["--data.sise=3", "--trainer.max_epochs=3"], "--data.sise: .* did you mean --data.init_args.size?"),
        (["--exectuor=ray"], "--exectuor: .* did you mean --executor?"),
        (["--qqqqqqqq=1"], "--qqqqqqqq: .* `seglight fit --help` lists them"),
        (["--trainer.max_epochs=x"], "^--trainer.max_epochs=x: trainer.max_epochs: 'x' is none of 'int'"),
        (["--model.optimizer.init_args.lr=1"], "--model.optimizer.init_args.lr: the sweep searches " + LR),
        (["--model.optimizer.lr=1"], "the sweep searches " + LR),
        (["--model.opt.lr=1"], "--model.opt.lr: no such key"),
        (["--model.optimizer=torch.optim.SGD"], "--model.optimizer: the sweep searches " + LR),
        (["--model.optimizer.class_path=torch.optim.SGD"], "the sweep searches " + LR),
        (["--run_dir=x"], "--run_dir: not a key of a sweep's trials"),
        (["--seeds=1,2"], "running.seeds"),
        (["--ckpt_path=x"], "model.weights"),
        (["--print_config=yes"], "--print_config: not an option of sweep"),
    ],
)
def test_what_is_refused(tmp_path: Path, words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says) as told:
        check_overrides(with_overrides(written(tmp_path), *words))
    assert "\n" not in str(told.value)


def test_a_seed_beside_those_of_the_trainings(tmp_path: Path) -> None:
    path = written(tmp_path, running={"seeds": [1, 2]})
    with pytest.raises(UserError, match=r"running\.seeds gives each training its seed"):
        check_overrides(with_overrides(path, "--seed_everything=3"))
    check_overrides(with_overrides(written(tmp_path), "--seed_everything=3"))


def test_what_classes_of_the_space_leave_open_may_be_set(tmp_path: Path) -> None:
    """The learning rate is given by the choices, the momentum is not."""
    classes = [{"class_path": "torch.optim.SGD", "init_args": {"lr": lr}} for lr in (0.1, 0.2)]
    path = written(tmp_path, space={"model.optimizer": {"choice": classes}})
    sweep = with_overrides(path, "--model.optimizer.init_args.momentum=0.8")
    check_overrides(sweep)
    for candidate in corners(sweep.parameters):
        assert yaml.safe_load(recipe_of(sweep, candidate))["model"]["optimizer"]["init_args"]["momentum"] == 0.8
    with pytest.raises(UserError, match=r"the sweep searches model\.optimizer"):
        check_overrides(with_overrides(path, "--model.optimizer.init_args.lr=0.3"))


def test_a_key_that_only_the_command_line_gives(tmp_path: Path) -> None:
    """A recipe that says no root is none without it."""
    recipe = tmp_path / "recipe.yaml"
    path = written(tmp_path)
    content = yaml.safe_load(recipe.read_text())
    content["data"] = {"class_path": "seglight.data.CamVidDataModule", "init_args": {"augmentation": {"crop_size": 32}}}
    recipe.write_text(yaml.safe_dump(content))
    sweep = with_overrides(path, "--data.init_args.root=/somewhere")
    check_overrides(sweep)
    assert yaml.safe_load(recipe_of(sweep, {LR: 0.1}))["data"]["init_args"]["root"] == "/somewhere"
    with pytest.raises(UserError, match=r"--trainer\.max_epoks: no such key .* --trainer\.max_epochs"):
        check_overrides(with_overrides(path, "--data.init_args.root=/somewhere", "--trainer.max_epoks=3"))


def begun(tmp_path: Path, *words: str) -> Path:
    path, out = written(tmp_path), tmp_path / "out"
    keep(out, path.read_text(), with_overrides(path, *words))
    return out


def test_a_sweep_keeps_those_that_it_was_begun_with(tmp_path: Path) -> None:
    given = ("--trainer.max_epochs=2", "--data.init_args.root=/a", "--trainer.callbacks+=p", "--trainer.callbacks+=q")
    out = begun(tmp_path, *given)
    kept = split(given)[1]
    assert overrides_of(out, {}) == overrides_of(out, kept) == kept
    assert overrides_of(out, split(["--trainer.max_epochs", "2"])[1]) == kept
    moved = overrides_of(out, split(["--data.root=/b", "--data.init_args.num_workers=3", "--trainer.devices=1"])[1])
    assert moved["trainer.max_epochs"] == ["2"]
    assert free_overrides(moved).keys() == {
        "data.init_args.root", "data.root", "data.init_args.num_workers", "trainer.devices",
    }  # fmt: skip
    for word, says in (
        ("--trainer.max_epochs=3", "trainer.max_epochs: 2 -> 3"),
        ("--model.loss=x", "model.loss: - -> x"),
        ("--trainer.callbacks+=p", r"trainer.callbacks\+: \['p', 'q'\] -> \['p'\]"),
        ("--trainer.strategy=seglight.training.fsdp.FSDP", "trainer.strategy: - -> "),
    ):
        with pytest.raises(UserError, match=f"begun with other overrides: {says}.*choose another --out"):
            overrides_of(out, split([word])[1])


def test_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    out = begun(tmp_path, "--model.aux_weight=1e-3")
    assert overrides_of(out, {"model.aux_weight": ["0.001"]})
    with pytest.raises(UserError, match=r"model\.aux_weight: 0\.001 -> 0\.002"):
        overrides_of(out, {"model.aux_weight": ["2e-3"]})


def test_one_killed_before_it_was_begun_has_none(tmp_path: Path) -> None:
    """`sweep.yaml` is written last: without it there is no sweep."""
    out = begun(tmp_path, "--trainer.max_epochs=2")
    (out / "sweep.yaml").unlink()
    assert overrides_of(out, {}) == {}
    path = written(tmp_path)
    keep(out, path.read_text(), with_overrides(path, "--trainer.max_epochs=5"))
    assert overrides_of(out, {}) == {"trainer.max_epochs": ["5"]}


def test_what_may_change_is_given_to_trials_that_are_there_already(tmp_path: Path) -> None:
    sweep = small_sweep(objectives={"val/miou": "maximize", "parameters": "minimize"}, running={"seeds": [0, 1]})
    (fit, _), (costs, _) = commands(sweep, tmp_path, ["s"], ["--data.init_args.root=/b", "--trainer.devices=2"])
    assert fit[-2:] == ["--data.init_args.root=/b", "--trainer.devices=2"]
    assert costs == ["s", "summary", "--config", str(tmp_path / "config.yaml"), "--data.init_args.root=/b", "--json"]
