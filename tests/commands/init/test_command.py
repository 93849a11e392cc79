"""`seglight init` on the command line, with made-up measurements except in one test.

Covers: commands.init.prepared, commands.init.scanned, commands.init.machine, commands.init.options,
commands.init.project.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from seglight.commands.init.command import default_out
from seglight.commands.init.machine import machine
from seglight.commands.init.project import next_commands
from seglight.commands.init.question import Answer, Question
from seglight.commands.init.trials import Trials
from seglight.data.layouts import recognise
from seglight.errors import UserError
from tests.support import fabricate
from tests.support.command import Ran
from tests.support.plain_folder import recognise_folder

CLI = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a working directory of the test's own, and a layout that is recognised."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(recognise, "RECOGNISERS", (recognise_folder,))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """Answers to all trial steps, in proportion to their pixels; the questions."""
    asked: list[Question] = []

    def answer(self: Trials, question: Question) -> Answer:
        asked.append(question)
        slower = 1.0 if question.model["channels_last"] else 1.5
        return Answer(slower * 2e-6 * question.batch * question.crop[0] * question.crop[1], 0.01, 10**9)

    monkeypatch.setattr(Trials, "_measured", answer)
    return asked


def test_a_recipe_that_fit_runs(seglight_cli: CLI, measured: list[Question], tmp_path: Path) -> None:
    fabricate.folder(tmp_path / "own", train=9)
    ran = seglight_cli("init", "own", "--time", "10m", "--device", "cpu")
    assert (ran.rc, ran.err) == (0, "")
    assert (
        "own: a folder for tests, recognised by own/classes.yaml\n3 classes: ground, cat, dog\nA remark.\n" in ran.out
    )
    assert "train 9, val 2, test 2 images" in ran.out
    commands = [line.strip() for line in ran.out.splitlines() if line.startswith("  seglight")]
    assert commands == [
        "seglight fit -c own_net/recipe.yaml --run_dir own_net/run",
        "seglight predict own_net/run/checkpoints/best.ckpt IMAGE --out masks",
    ]
    assert sorted(path.name for path in (tmp_path / "own_net").iterdir()) == ["recipe.yaml"]
    tiny = "--model.net.init_args.encoder.init_args.name", "test_resnet.r160_in1k"
    weights = "--model.net.init_args.encoder.init_args.weights", "random"
    trained = seglight_cli("fit", "-c", "own_net/recipe.yaml", *tiny, *weights, "--trainer.fast_dev_run", "true")
    assert trained.rc == 0, trained.err


def test_the_same_command_gives_the_same_bytes(seglight_cli: CLI, measured: list[Question], tmp_path: Path) -> None:
    fabricate.folder(tmp_path / "own", train=9)
    assert seglight_cli("init", "own", "--out", "a", "--device", "cpu").rc == 0
    recipe = (tmp_path / "a" / "recipe.yaml").read_bytes()
    (tmp_path / "a").rename(tmp_path / "first")
    asked = len(measured)
    ran = seglight_cli("init", "own", "--out", "a", "--device", "cpu")
    assert len(measured) == asked
    assert f"{asked} kept measurements were used: remove {tmp_path}/cache/seglight/measurements" in ran.out
    assert (tmp_path / "a" / "recipe.yaml").read_bytes() == recipe


def test_the_name_of_a_folder_adds_no_keys_to_the_recipe(
    seglight_cli: CLI, measured: list[Question], tmp_path: Path
) -> None:
    fabricate.folder(tmp_path / "own\nextra: 1", train=9)
    ran = seglight_cli("init", "own\nextra: 1", "--out", "net", "--time", "10m", "--device", "cpu")
    assert (ran.rc, ran.err) == (0, "")
    content = yaml.safe_load(Path("net/recipe.yaml").read_text("utf-8"))
    assert "extra" not in content
    assert content["data"]["init_args"]["root"].endswith("own\nextra: 1")


def test_nothing_is_overwritten_and_explaining_writes_nothing(
    seglight_cli: CLI, measured: list[Question], tmp_path: Path
) -> None:
    fabricate.folder(tmp_path / "own", train=9)
    (tmp_path / "net").mkdir()
    ran = seglight_cli("init", "own", "--out", "net")
    assert (ran.rc, ran.err) == (
        2, "seglight: error: net: it exists, and nothing in it is overwritten: give another --out\n"
    )  # fmt: skip
    explained = seglight_cli("init", "own", "--out", "net", "--explain", "--device", "cpu")
    assert explained.rc == 0
    assert "data.init_args.augmentation.crop_size: 32\n" in explained.out
    assert "trainer.max_epochs: " in explained.out
    assert not list((tmp_path / "net").iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"own", "net", "cache"}


def test_validation_images_are_chosen_where_there_is_no_split(
    seglight_cli: CLI, measured: list[Question], tmp_path: Path
) -> None:
    fabricate.folder(tmp_path / "own", train=10)
    (tmp_path / "own" / "no_split").touch()
    ran = seglight_cli("init", "own", "--device", "cpu")
    assert ran.rc == 0, ran.err
    assert "There is no validation split: 2 of 10 images are chosen for validation at random, with seed 0." in ran.out
    lists = {name: (tmp_path / "own_net" / "lists" / f"{name}.txt").read_text().split() for name in ("train", "val")}
    assert (len(lists["train"]), len(lists["val"])) == (8, 2)
    assert sorted([*lists["train"], *lists["val"]]) == [f"images/train/{k:03d}.png" for k in range(10)]
    assert f"lists: {tmp_path}/own_net/lists" in (tmp_path / "own_net" / "recipe.yaml").read_text()
    assert seglight_cli("doctor", "-c", "own_net/recipe.yaml").rc == 0


def test_folds(seglight_cli: CLI, measured: list[Question], tmp_path: Path) -> None:
    fabricate.folder(tmp_path / "own", train=10, val=2, test=1)
    ran = seglight_cli("init", "own", "--device", "cpu", "--folds", 3)
    assert ran.rc == 0, ran.err
    assert "--data.lists own_net/lists/fold_2" in ran.out
    folds = sorted((tmp_path / "own_net" / "lists").iterdir())
    assert [fold.name for fold in folds] == ["fold_1", "fold_2", "fold_3"]
    val = [line for fold in folds for line in (fold / "val.txt").read_text().split()]
    assert len(val) == len(set(val)) == 12
    assert all((fold / "test.txt").read_text().split() == ["images/test/000.png"] for fold in folds)
    assert seglight_cli("init", "own", "--folds", 1).rc == 2
    recipe = " ".join((tmp_path / "own_net" / "recipe.yaml").read_text().replace("#", " ").split())
    assert "--data.lists PROJECT/lists/fold_2" in recipe


def test_the_root_of_a_recipe_does_not_go_up(
    seglight_cli: CLI, measured: list[Question], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fabricate.folder(tmp_path / "own", train=9)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert seglight_cli("init", "../own", "--out", "../net", "--device", "cpu").rc == 0
    assert f"root: {tmp_path.resolve()}/own\n" in (tmp_path / "net" / "recipe.yaml").read_text()


def test_a_project_that_cannot_be_written(seglight_cli: CLI, measured: list[Question], tmp_path: Path) -> None:
    fabricate.folder(tmp_path / "own", train=9)
    ran = seglight_cli("init", "own", "--out", "/proc/net_of_test", "--device", "cpu")
    assert (ran.rc, ran.err.count("\n")) == (2, 1)
    assert ran.err.startswith("seglight: error: /proc/net_of_test: ")
    assert "another --out" in ran.err
    inside = seglight_cli("init", "own", "--out", "own/net", "--device", "cpu")
    assert (inside.rc, inside.err.count("\n")) == (2, 1)
    assert "own/net: it would lie in the folder of the data" in inside.err
    assert "--out own_net" in inside.err


def test_a_layout_that_is_not_read_in_place_is_converted(
    seglight_cli: CLI, measured: list[Question], tmp_path: Path
) -> None:
    root = fabricate.folder(tmp_path / "own", train=9)
    (root / "convert").touch()
    ran = seglight_cli("init", "own", "--device", "cpu")
    assert ran.rc == 0, ran.err
    assert "a converted copy is in the project's folder `data`" in ran.out
    assert (tmp_path / "own_net" / "data" / "masks" / "train" / "000.png").is_file()
    recipe = (tmp_path / "own_net" / "recipe.yaml").read_text()
    assert f"root: {tmp_path}/own_net/data" in recipe
    assert seglight_cli("doctor", "-c", "own_net/recipe.yaml").rc == 0


def test_mistakes_in_the_data_are_shown_and_nothing_is_written(
    seglight_cli: CLI, measured: list[Question], tmp_path: Path
) -> None:
    root = fabricate.folder(tmp_path / "own", train=9)
    (root / "masks" / "train" / "003.png").unlink()
    ran = seglight_cli("init", "own", "--device", "cpu")
    assert ran.rc == 2
    shown = next(line for line in ran.out.splitlines() if "003.png" in line)
    assert "an image has no label file: add the label file, or remove the image" in shown
    assert "one kind of mistake" in ran.err
    assert not (tmp_path / "own_net").exists()
    assert not measured


def test_messages_about_the_copy_name_the_folder_that_was_asked_for(
    seglight_cli: CLI, measured: list[Question], tmp_path: Path
) -> None:
    root = fabricate.folder(tmp_path / "own", train=9, val=1)
    (root / "convert").touch()
    shutil.copy(root / "images" / "train" / "002.png", root / "images" / "val" / "000.png")
    ran = seglight_cli("init", "own", "--device", "cpu")
    assert ran.rc == 2
    assert ran.err.startswith("seglight: error: own_net/data/images/val/000.png: a validation image that is a training")
    assert ".part" not in ran.out + ran.err
    assert not (tmp_path / "own_net").exists()


def test_wrong_options(seglight_cli: CLI, tmp_path: Path) -> None:
    fabricate.folder(tmp_path / "own")
    for wrong in (("--time", "soon"), ("--memory", "much"), ("--device", "tpu"), ("--boxes", "x"), ("--folds", "many")):
        ran = seglight_cli("init", "own", *wrong)
        assert (ran.rc, ran.err.count("\n")) == (2, 1), ran.err
        assert wrong[0][2:] in ran.err
    assert "no such folder" in seglight_cli("init", "nowhere").err


def test_commands_are_short_or_meant_for_the_folder(tmp_path: Path) -> None:
    assert default_out(Path("/data/street scenes/")) == Path("street scenes_net")
    assert all(len(line) <= 80 for line in next_commands(Path("net"), None))
    far = next_commands(tmp_path / ("long" * 20), None)
    assert far[0].startswith("cd ")
    assert far[1:] == [
        "seglight fit -c recipe.yaml --run_dir run",
        "seglight predict run/checkpoints/best.ckpt IMAGE --out masks",
    ]


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    found = machine("auto", None)
    assert found.accelerator == "cpu"
    assert 10**8 < found.memory < 10**15
    assert machine("cpu", 123).memory == 123
    for name in ("gpu", "cuda"):
        with pytest.raises(UserError, match=f"--device {name}: torch finds no CUDA device"):
            machine(name, None)
    with pytest.raises(UserError, match=r"--device cuda:0: give one of auto, cpu, gpu, cuda; .*CUDA_VISIBLE_DEVICES"):
        machine("cuda:0", None)


@pytest.mark.slow
def test_real_trial_steps(seglight_cli: CLI, tmp_path: Path) -> None:
    fabricate.folder(tmp_path / "own", train=9)
    ran = seglight_cli("init", "own", "--time", "30m", "--device", "cpu")
    assert ran.rc == 0, ran.err
    assert len(list((tmp_path / "cache" / "seglight" / "measurements").iterdir())) == 3  # two formats, and loading
    assert seglight_cli("fit", "-c", "own_net/recipe.yaml", "--trainer.fast_dev_run", "true").rc == 0
    small = seglight_cli("init", "own", "--out", "b", "--memory", "300MB", "--device", "cpu")
    assert small.rc == 2
    assert "--memory 0.3GB: not even one crop of 32 pixels fits" in small.err
    assert not (tmp_path / "b").exists()
