"""Mistakes that are reported before torch is imported.

Covers: system.recipe_files.
"""

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser

from seglight.__main__ import main
from seglight.commands import early
from seglight.commands.early import check_early, known_keys
from seglight.commands.fit.cli import SegmentationCLI
from seglight.errors import UserError
from seglight.system.recipe_classes import KINDS, LABELLED, names_of
from seglight.system.recipe_files import config_paths, data_options, read_recipe, with_recipe
from seglight.system.signatures import is_complete, signature
from tests.support import processor

PROJECT = Path(__file__).parents[2]
QUICKSTART = PROJECT / "configs" / "quickstart.yaml"
RECIPES = sorted(
    path
    for folder in ("configs/camvid", "configs/ade20k", "configs/cityscapes", "configs/voc", "tests/compatibility/0.1")
    for path in (PROJECT / folder).glob("**/*.yaml")
    if path.name != "pretrain.yaml" and "model" in yaml.safe_load(path.read_text())
)

Change = Callable[[dict[str, Any]], None]


class AcceptedError(Exception):
    """The parser has accepted everything."""


def at(key: str, value: Any) -> Change:
    """A change of a recipe: a value at a place, such as "data/init_args/size"."""

    def change(recipe: dict[str, Any]) -> None:
        *above, last = key.split("/")
        part: Any = recipe
        for name in above:
            part = part[int(name)] if isinstance(part, list) else part[name]
        part[last] = value

    return change


def parsed(args: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str | None:
    """What the complete check says about arguments, None if it accepts them."""

    def stop(self: SegmentationCLI) -> None:
        raise AcceptedError

    with monkeypatch.context() as patch:
        patch.setattr(early, "check_early", lambda args: None)
        patch.setattr(SegmentationCLI, "before_instantiate_classes", stop)
        try:
            assert main(args) == 2
        except AcceptedError:
            return None
    return capsys.readouterr().err.strip().splitlines()[-1].removeprefix("seglight: error: ")


def refusal(args: list[str]) -> str | None:
    """What the early check says about arguments, None if it accepts them."""
    try:
        check_early(args)
    except UserError as error:
        return str(error)
    return None


MISTAKES: dict[str, tuple[Change, list[str], str]] = {
    "top": (at("modle", 1), [], "does not accept option 'modle'"),
    "nested": (at("modle", {"net": {"a": 1}}), [], "does not accept option 'modle.net.a'"),
    "trainer": (at("trainer/max_epoch", 3), [], "'trainer.max_epoch': did you mean trainer.max_epochs?"),
    "model": (at("model/optimiser", {"lr": 1}), [], "does not accept option 'model.optimiser.lr'"),
    "model, plain": (at("model/weight", 1), [], "'model.weight': did you mean model.weights?"),
    "groups": (at("model/groups", {"layer_dekay": 1}), [], "did you mean model.groups.layer_decay?"),
    "data": (at("data/init_args/sise", 3), [], "data of seglight.data.ShapesDataModule: Option 'sise'"),
    "augmentation": (at("data/init_args/augmentation/crop", 3), [], "Option 'crop' is not accepted"),
    "net": (
        at("model/net/init_args/decode", 3),
        [],
        "model.net: Option 'decode' is not accepted: did you mean decoder?",
    ),
    "nested, decoder": (at("model/net/init_args/decoder/init_args/more", {"a": 1}), [], "Option 'more.a' is not"),
    "encoder": (at("model/net/init_args/encoder/init_args/nam", 3), [], "did you mean name?"),
    "decoder": (at("model/net/init_args/decoder/init_args/chanels", 3), [], "did you mean channels?"),
    "callback": (at("trainer/callbacks/0/init_args/deca", 3), [], "trainer.callbacks of seglight.callbacks.EMA"),
    "loss": (at("model/loss", {"class_path": "Dice", "init_args": {"smoth": 1}}), [], "Option 'smoth'"),
    "option": (at("seed_everything", 0), ["--run_dri", "x"], "arguments: --run_dri x: did you mean --run_dir?"),
    "options": (at("seed_everything", 0), ["--run_dri=x", "--seed", "1"], "arguments: --run_dri=x --seed 1"),
    "trainer's": (at("seed_everything", 0), ["--trainer.max_epoch", "3"], "did you mean --trainer.max_epochs?"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_have_the_lines_of_the_complete_check(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change, options, says = MISTAKES[name]
    recipe = yaml.safe_load(QUICKSTART.read_text())
    change(recipe)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    args = ["fit", "--config", str(path), *options]
    refused = refusal(args)
    assert refused is not None
    assert says in refused
    assert refused == parsed(args, monkeypatch, capsys)


@pytest.mark.parametrize(
    "change",
    [
        at("modle", {}),
        at("data/init_args/sise", {"a": {}}),
        at("trainer.max_epochs", 3),
        at("data.init_args.size", 64),
        at("data/class_path", "ShapesDataModule"),
        at("data/init_args", None),
        at("trainer", {}),
        at("config", []),
    ],
)
def test_what_the_parser_accepts_is_not_refused(
    change: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """These are unusual, and pass: an empty key, dotted keys, a name without its package, keys without a value."""
    recipe = yaml.safe_load(QUICKSTART.read_text())
    change(recipe)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    args = ["fit", "--config", str(path)]
    if parsed(args, monkeypatch, capsys) is None:
        assert refusal(args) is None


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_recipes_are_not_refused(path: Path) -> None:
    assert refusal(["fit", "--config", str(path), "--print_config"]) is None


def mutated(recipe: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A recipe with one key renamed, moved, doubled or emptied."""
    changed = copy.deepcopy(recipe)

    def dicts(part: Any) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict):
            yield part
        for child in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            yield from dicts(child)

    places = [part for part in dicts(changed) if part]
    place = chance.choice(places)
    key = chance.choice(sorted(place))
    kind = chance.randrange(5)
    if kind == 0:
        place[f"{key}_"] = place.pop(key)
    elif kind == 1:
        chance.choice(places)[key] = copy.deepcopy(place[key])
    elif kind == 2:
        place[f"{key}x"] = chance.choice([None, {}, [], 1, {"a": {}}, {"class_path": "seglight.losses.Dice"}])
    elif kind == 3:
        place[key] = chance.choice([None, {}, [], 1, "text"])
    else:
        other = chance.choice(places)
        other["init_args"] = copy.deepcopy(place)
    return changed


def fuzz(seeds: range, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> int:
    """The number of recipes that were refused early, each of which the parser refuses too."""
    refused = 0
    for seed in seeds:
        chance = random.Random(seed)
        recipe = mutated(yaml.safe_load(chance.choice([*RECIPES, QUICKSTART]).read_text()), chance)
        path = folder / f"{seed}.yaml"
        path.write_text(yaml.safe_dump(recipe))
        args = ["fit", "--config", str(path)]
        if refusal([*args, "--print_config"]) is not None:
            refused += 1
            assert parsed(args, monkeypatch, capsys) is not None, (seed, refusal(args))
    return refused


def test_a_changed_recipe_that_is_refused_is_refused_by_the_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fuzz(range(12), tmp_path, monkeypatch, capsys) > 2


@pytest.mark.slow
def test_many_changed_recipes_that_are_refused_are_refused_by_the_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fuzz(range(100, 250), tmp_path, monkeypatch, capsys) > 20


def test_all_keys_of_the_parser_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: SegmentationCLI) -> None:
        raise AcceptedError(self.subcommand_parser(self.command or ""))

    monkeypatch.setattr(SegmentationCLI, "before_instantiate_classes", stop)
    for command in early.RUNS:
        with pytest.raises(AcceptedError) as stopped:
            SegmentationCLI([command, "--config", str(QUICKSTART)])
        defaults = stopped.value.args[0].get_defaults()
        known = known_keys()
        for key in defaults.keys():  # noqa: SIM118  # of a namespace: dotted keys
            parts = key.split(".")
            assert any(".".join(parts[:count]) in known for count in range(1, len(parts) + 1)), key


def test_the_arguments_of_all_classes_are_known_from_their_sources() -> None:
    checked = 0
    for kind in (*KINDS, LABELLED):
        for name in names_of(kind):
            path = f"{kind.package}.{name}"
            if not path.startswith("seglight.") or not is_complete(path):
                continue
            found = getattr(import_module(kind.package), name)
            taken = ArgumentParser().add_class_arguments(found, fail_untyped=False)
            assert set(taken) <= set(signature(path).parameters), path
            checked += 1
    assert checked > 50


def test_missing_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "recipe.yaml"
    data = {"class_path": "seglight.data.CamVidDataModule", "init_args": {"root": "nowhere"}}
    recipe.write_text(json.dumps({"data": data}))
    given = ["--config", str(recipe)]
    assert refusal(["fit", *given]) == "nowhere: no such folder: set data.root to the right place"
    assert refusal(["fit", *given, "--data.root", "elsewhere"]) == (
        "elsewhere: no such folder: set data.root to the right place"
    )
    assert refusal(["fit", *given, "--data.root", str(tmp_path)]) is None
    assert refusal(["fit", *given, "--data", "ShapesDataModule"]) is None
    assert refusal(["fit", *given, "--data", "their.DataModule"]) is None
    assert refusal(["fit", *given, "--print_config"]) is None
    assert refusal(["fit", *given, "--run_dir", "x", "--resume"]) is None, "the run may be finished"
    assert refusal(["fit", "--config", "a.yaml"]) == "--config a.yaml: No such file or directory"
    assert refusal(["doctor", "-c=a.yaml"]) == "--config a.yaml: No such file or directory"
    assert refusal(["validate", *given, "--data.root=.", "--ckpt_path=a.ckpt"]) == "a.ckpt: no such checkpoint"
    assert refusal(["validate", *given, "--data.root=.", "--ckpt_path", str(recipe)]) is None
    assert refusal(["test", "--ckpt_path", "a.ckpt"]) == (
        "test: no recipe is given: add --config RUN/config.yaml, the recipe of the run"
    )
    assert refusal(["fit", "--resume"]) is not None
    assert refusal(["export", "a.ckpt", "--out", "a.onnx"]) == "a.ckpt: no such checkpoint"
    assert refusal(["export", "--help", "a.ckpt"]) is None
    recipe.write_text("model: [")
    assert "the file is not valid YAML" in str(refusal(["fit", *given]))


def test_recipes_among_the_arguments(tmp_path: Path) -> None:
    args = ["fit", "-c", "a.yaml", "--config=b.yaml", "--data.root", "x", "--run_dir", str(tmp_path)]
    assert list(config_paths(args)) == ["a.yaml", "b.yaml"]
    assert data_options(args) == ["-c", "a.yaml", "--config=b.yaml", "--data.root", "x"]
    assert with_recipe(args) == args
    (tmp_path / "config.yaml").write_text("model: {}\n")
    assert with_recipe(["fit", "--resume", f"--run_dir={tmp_path}"])[1:3] == ["--config", str(tmp_path / "config.yaml")]
    assert read_recipe(str(tmp_path / "config.yaml")) == {"model": {}}


EARLY = {
    "no config": ["fit", "--config", "nowhere.yaml"],
    "no YAML": ["fit", "--config", "broken.yaml"],
    "unknown key": ["fit", "--config", "key.yaml"],
    "unknown option": ["fit", "--config", "quickstart.yaml", "--run_dri", "x"],
    "no data": ["fit", "--config", "quickstart.yaml", "--data", "CamVidDataModule", "--data.root", "nowhere"],
    "no run": ["fit", "--resume"],
    "no recipe": ["validate", "--ckpt_path", "nowhere.ckpt"],
    "no checkpoint": ["validate", "--config", "quickstart.yaml", "--ckpt_path", "nowhere.ckpt"],
    "no model": ["export", "nowhere.ckpt", "--out", "net.onnx"],
    "an operator set of export": ["export", "quickstart.yaml", "--out", "net.onnx", "--opset", "13"],
    "no image": ["predict", "nowhere.ckpt", "nowhere.png", "--out", "masks"],
    "no file to predict by": ["predict", "nowhere.ckpt", "image.png", "--out", "masks"],
    "no model for card": ["card", "nowhere.ckpt", "--out", "card"],
    "a full folder for card": ["card", "quickstart.yaml", "--out", "."],
    "no checkpoint to release": ["release", "nowhere.ckpt", "--out", "released"],
    "no config for doctor": ["doctor", "--config", "nowhere.yaml"],
}

RUN = """
import sys
before = set(sys.modules)
from seglight.__main__ import main
code = main(sys.argv[1:])
print("LOADED", *{name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)
sys.exit(code)
"""

LIGHT = {"seglight", "lazy_loader", "yaml", "cython_runtime"}
PARSER = {"jsonargparse", "typing_extensions", "typeshed_client", "attr", "attrs"}
"""What the mistakes of options import, too: only the parser of a command knows them."""


@pytest.mark.parametrize("name", EARLY)
def test_mistakes_are_reported_within_half_a_second_and_without_torch(name: str, tmp_path: Path) -> None:
    """The seconds are those of the processor, since other work may share the cores."""
    shutil.copy(QUICKSTART, tmp_path / "quickstart.yaml")
    shutil.copy(PROJECT / "tests" / "compatibility" / "image.png", tmp_path)
    (tmp_path / "broken.yaml").write_text("model: [")
    (tmp_path / "key.yaml").write_text(QUICKSTART.read_text() + "    sise: 3\n")
    took = []
    for _ in range(3):
        seconds, done = processor.python("-c", RUN, *EARLY[name], cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("seglight: error: ")
        assert done.stderr.count("\n") == 1
        loaded = {package for package in done.stdout.splitlines()[-1].split()[1:] if package[0] != "_"}
        assert loaded <= LIGHT | (PARSER if "--opset" in EARLY[name] else set())
        took.append(seconds)
        if seconds < 0.5:
            break
    assert min(took) < 0.5


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["fit"], r"^fit: no recipe is given: add -c RECIPE"),
        (["fit", "--trainer.max_epochs", "3"], r"^fit: no recipe is given: add -c RECIPE"),
        (["fit", "net/recipe.yaml"], r"^fit net/recipe.yaml: a recipe is given by an option: -c net/recipe.yaml$"),
        (["test", "--trainer.devices", "1", "a.yml"], r"^test a.yml: a recipe is given by an option: -c a.yml$"),
        (["fit", "-c", str(QUICKSTART), "--crop_size", "9"], r"did you mean --data.augmentation.crop_size\?"),
    ],
)
def test_recipes_that_are_missing_or_given_without_their_option(args: list[str], line: str) -> None:
    with pytest.raises(UserError, match=line):
        check_early(args)


def test_the_parser_says_what_is_missing_beside_options_of_the_model() -> None:
    check_early(["fit", "--print_config"])
    check_early(["fit", "--model.net", "x"])


def test_a_home_that_does_not_exist() -> None:
    refused = refusal(["fit", "--data", "FolderDataModule", "--data.root=~nouser/x"])
    assert refused == "~nouser/x: no such folder: set data.root to the right place"


def test_a_recipe_that_is_not_named() -> None:
    line = "--config: no file follows it: give a recipe, such as --config recipe.yaml"
    assert refusal(["fit", "-c", "--run_dir", "x"]) == line
    assert refusal(["fit", "-c", str(QUICKSTART), "--config="]) == line
    assert str(refusal(["fit", "-c"])).startswith("fit: no recipe is given")


def test_a_recipe_without_end(tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text("[" * 5000 + "]" * 5000)
    refused = refusal(["fit", "-c", str(tmp_path / "deep.yaml")])
    assert refused is not None
    assert "nested too deeply" in refused
