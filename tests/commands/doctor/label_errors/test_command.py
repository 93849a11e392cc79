"""`seglight doctor --model` and `--folds` on the command line.

Covers: commands.doctor.label_errors.options.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from seglight.commands.doctor.label_errors.command import for_tools
from seglight.commands.doctor.label_errors.options import fit_options, with_recipe_of_model
from tests.support import checkpoint_files, fabricate
from tests.support.command import Ran

CLI = Callable[..., Ran]
NAMES = ("sky", "road", "tree")


@pytest.fixture
def data(tmp_path: Path) -> tuple[object, ...]:
    root = fabricate.folder(tmp_path / "data", train=4, val=3, size=(40, 56), names=NAMES)
    recipe = {"data": {"class_path": "seglight.data.FolderDataModule", "init_args": {"root": str(root)}}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return ("-c", tmp_path / "recipe.yaml")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    colors = [list(color) for color in fabricate.COLORS[:3]]
    return checkpoint_files.checkpoint(tmp_path / "net.ckpt", class_names=list(NAMES), palette=colors)


def test_a_split_is_judged(seglight_cli: CLI, data: tuple[object, ...], model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = seglight_cli("doctor", *data, "--model", model, "--out", out, "--top", 7)
    assert (ran.rc, ran.err) == (0, "seglight: val: 3 images are judged, in 2 passes\n")
    assert "labels.html: the 7 first regions to look through, and all pairs of classes\n" in ran.out
    assert f"{out}/labelme, {out}/coco.json: the same regions for labelling tools" in ran.out
    assert "It is not known which images the net was trained on" in ran.out
    report = json.loads((out / "labels.json").read_text())
    assert (report["images"], report["split"], len(report["regions"])) == (3, "val", 7)
    assert report["regions_found"] > 7
    assert {path.name for path in out.iterdir()} == {"labels.json", "labels.html", "coco.json", "labelme"}
    assert report["regions"][0]["image"].startswith("images/val/")
    shapes = [json.loads(path.read_text()) for path in (out / "labelme").iterdir()]
    assert sum(len(one["shapes"]) for one in shapes) == 7
    for one in shapes:
        with Image.open(out / "labelme" / one["imagePath"]) as image:
            assert image.size == (one["imageWidth"], one["imageHeight"])
    train = seglight_cli("doctor", *data, "--model", model, "--out", tmp_path / "other", "--split", "train")
    assert "train: 4 images" in train.out


@pytest.mark.slow
def test_a_run_folder_brings_its_recipe(
    seglight_cli: CLI, data: tuple[object, ...], model: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    model.rename(run / "checkpoints" / "best.ckpt")
    Path(str(data[1])).rename(run / "config.yaml")
    ran = seglight_cli("doctor", "--model", run, "--out", tmp_path / "a")
    assert ran.rc == 0
    assert "trained on" not in ran.out
    assert "best.ckpt was chosen by its score on these images" in ran.out
    ran = seglight_cli("doctor", "--model", run / "checkpoints/best.ckpt", "--split", "train", "--out", tmp_path / "b")
    assert "The net was trained on 4 of these 4 images" in ran.out
    assert "was chosen by" not in ran.out


def test_options_of_the_data_change_the_recipe_of_a_run_folder(tmp_path: Path) -> None:
    """As of `card`; only a recipe or a class of data that is given takes its place."""
    (tmp_path / "config.yaml").touch()
    args = ["--model", str(tmp_path), "--out", "o"]
    for more in ([], ["--data.root", "images"], ["--data.root=images"], ["--data.init_args.root=images"]):
        assert with_recipe_of_model([*args, *more])[:2] == ["--config", str(tmp_path / "config.yaml")]
    for more in (["-c", "recipe.yaml"], ["--data", "ShapesDataModule"], ["--data.class_path=ShapesDataModule"]):
        assert with_recipe_of_model([*args, *more]) == [*args, *more]


def test_mistakes(seglight_cli: CLI, data: tuple[object, ...], model: Path, tmp_path: Path) -> None:
    def says(*args: object) -> str:
        ran = seglight_cli("doctor", *data, *args)
        assert (ran.rc, ran.out) == (2, "")
        return ran.err.removeprefix("seglight: error: ").strip()

    out = ("--out", tmp_path / "out")
    assert says("--model", model).startswith("--model: no folder for the report is given: add --out")
    assert says("--top", 5).startswith("--top: it belongs to --model or --folds")
    assert says("--model", model, "--folds", 2, *out).startswith("--model beside --folds: leave it out")
    assert says("--model", model, "--json", "x.json", *out).startswith("--json beside --model: leave it out")
    assert says("--folds", 1, *out) == "--folds 1: give 2 or more"
    assert says("--model", model, "--top", 0, *out) == "--top 0: give 1 or more"
    assert says("--model", model, "--split", "trian", *out) == "--split trian: give train, val or test"
    assert says("--folds", 2, "--split", "val", *out).startswith("--split val: --folds judges the training split")
    assert says("--model", tmp_path / "no.ckpt", *out) == f"{tmp_path}/no.ckpt: no such checkpoint"
    assert says("--model", tmp_path / "net.onnx", *out).startswith(f"--model {tmp_path}/net.onnx: an exported file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("")
    full = says("--model", model, "--out", tmp_path / "full")
    assert full.startswith(f"--out {tmp_path}/full: it holds notes.txt already")
    strange = checkpoint_files.checkpoint(tmp_path / "strange.ckpt")
    assert says("--model", strange, *out).startswith(f"--model {strange}: ")
    assert not (tmp_path / "out").exists()


def test_files_for_tools_are_those_that_are_there(tmp_path: Path) -> None:
    """Drawn scenes, which are no files, have none of LabelMe."""
    (tmp_path / "coco.json").touch()
    assert for_tools(tmp_path) == f"{tmp_path}/coco.json: the same regions for labelling tools"


def test_options_of_the_trainings() -> None:
    args = ["-c", "a.yaml", "--folds", "3", "--data.root=x", "--out=y", "--top", "9", "--safe_recipe"]
    assert fit_options(args) == ["-c", "a.yaml", "--data.root=x", "--safe_recipe"]


@pytest.mark.slow  # two trainings, each in a process of its own
def test_folds_are_trained_and_judge(seglight_cli: CLI, data: tuple[object, ...], tmp_path: Path) -> None:
    recipe = yaml.safe_load(Path(str(data[1])).read_text())
    recipe["data"]["init_args"] |= {"batch_size": 2, "num_workers": 0, "augmentation": {"crop_size": 32}}
    recipe["model"] = {
        "net": checkpoint_files.net_config(),
        "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
    }
    recipe["model"]["loss"] = {"class_path": "seglight.losses.CrossEntropy"}
    recipe["trainer"] = {"accelerator": "cpu", "max_epochs": 1}
    Path(str(data[1])).write_text(yaml.safe_dump(recipe))
    ran = seglight_cli("doctor", *data, "--folds", 2, "--out", tmp_path / "out")
    assert ran.rc == 0, ran.err
    assert "train: 4 images" in ran.out
    report = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert report["trained_on"] == 0
    assert len(report["models"]) == 2
    for number in (1, 2):
        lists = tmp_path / "out" / "folds" / str(number) / "lists"
        assert not {*(lists / "train.txt").read_text().split()} & {*(lists / "val.txt").read_text().split()}
