"""Every YAML under configs/ is parsed, and every recipe trains and validates one step on a fabricated data set."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser

from seglight.__main__ import main
from seglight.commands.recipe import datamodule_from
from tests.support import fabricate

CONFIGS = Path(__file__).parents[2] / "configs"
BASE = CONFIGS / "base.yaml"
PARTS = {kind: sorted((CONFIGS / kind).glob("*.yaml")) for kind in ("data", "model", "schedule", "cluster")}
SWEEPS = sorted((CONFIGS / "sweeps").glob("*.yaml"))  # tested in tests/commands/sweep/test_options.py
NO_RECIPES = {*PARTS, "sweeps"}
RECIPES = [CONFIGS / "quickstart.yaml", *sorted(p for p in CONFIGS.glob("*/*.yaml") if p.parent.name not in NO_RECIPES)]
QUICK = (
    "quickstart.yaml", "camvid/fpn_efficientnet_lite0.yaml",
    "voc/lraspp_mobilenetv3.yaml", "cityscapes/segformer_b0.yaml",
)  # fmt: skip
"""Recipes of different kinds that run a step in the default suite; the others do so in the slow tests."""

FABRICATE = {
    "ade20k": fabricate.ade20k, "camvid": fabricate.camvid, "camvid32": fabricate.camvid32,
    "cityscapes": fabricate.cityscapes, "coco_json": fabricate.coco_json, "coco_panoptic": fabricate.coco_panoptic,
    "cocostuff": fabricate.cocostuff,
    "folder": fabricate.folder, "labelme": fabricate.labelme, "mapillary": fabricate.mapillary, "pet": fabricate.pet,
    "scenes": fabricate.scene, "voc": fabricate.voc,
}  # fmt: skip

ONE_STEP_ON_CPU = """
trainer:
  {accelerator: cpu, devices: 1, strategy: auto, precision: 32-true, max_steps: 1, limit_val_batches: 2,
   val_check_interval: 1, check_val_every_n_epoch: null}
model: {net: {init_args: {encoder: {init_args: {weights: null}}}}}
data: {init_args: {batch_size: 2, num_workers: 0, augmentation: {crop_size: 64}}}
"""


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


def test_every_config_is_tested() -> None:
    known = {BASE, *RECIPES, *SWEEPS, *(path for paths in PARTS.values() for path in paths)}
    assert known == set(CONFIGS.rglob("*.yaml"))


@pytest.mark.parametrize("kind", PARTS)
def test_parts_compose(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "classes.yaml").write_text("classes: [{name: a, color: [0, 0, 0]}, {name: b, color: [9, 9, 9]}]")
    for part in PARTS[kind]:
        chosen = {k: part if k == kind else paths[0] for k, paths in PARTS.items()}
        files = [arg for path in (BASE, *chosen.values()) for arg in ("--config", str(path))]
        with pytest.raises(SystemExit) as end:
            main(["fit", *files, "--print_config"])
        assert end.value.code == 0
        shown = yaml.safe_load(capsys.readouterr().out)
        written = yaml.safe_load(part.read_text())
        assert contains(shown, written), f"{name(part)} differs from the parsed configuration"


@pytest.mark.parametrize("config", PARTS["data"], ids=name)
def test_data_configs_read_their_data(config: Path, tmp_path: Path) -> None:
    args = ["--config", str(config), "--data.init_args.num_workers", "0"]
    if config.stem in FABRICATE:
        root = FABRICATE[config.stem](tmp_path / config.stem)
        args += ["--data.init_args.root", str(root)]
    if config.stem == "mapillary":
        args += ["--data.init_args.classes", str(root / "config_v2.0.json")]
    datamodule, _ = datamodule_from(ArgumentParser(prog="seglight test", exit_on_error=False), args)
    image, mask, _ = datamodule.split("val").read(0)
    assert image.shape == (*mask.shape, 3)
    assert mask[mask < 255].max() < datamodule.num_classes


def contains(whole: object, part: object) -> bool:
    """Whether `whole` has every key of the nested dicts in `part` with an equal value."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(contains, whole, part))
    return whole == part


@pytest.mark.parametrize("recipe", RECIPES, ids=name)
def test_recipe_equals_the_parsed_configuration(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["fit", "--config", str(recipe), "--print_config"])
    assert end.value.code == 0
    assert contains(yaml.safe_load(capsys.readouterr().out), yaml.safe_load(recipe.read_text()))


@pytest.mark.parametrize("recipe", RECIPES[1:], ids=name)
def test_the_header_has_the_published_score_of_the_schedule(recipe: Path) -> None:
    text = recipe.read_text()
    header = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    assert f"-c configs/{name(recipe)} " in header
    if "No published score" in header:
        return
    published = re.search(r"Published (?:for ([\d,]+) steps|by [^:]+): \d\d\.\d+ mIoU", header)
    assert published, header
    if published[1]:
        assert int(published[1].replace(",", "")) == yaml.safe_load(text)["trainer"]["max_steps"]


def test_the_classic_nets_have_recipes() -> None:
    classic = (
        "deeplabv3plus_resnet50 deeplabv3plus_resnet101 pspnet_resnet50 upernet_resnet50 upernet_convnext_tiny "
        "segformer_b0 segformer_b2 fcn_vgg16_bn lraspp_mobilenetv3 unet_resnet34 reseg_vgg16_bn"
    )
    assert {*classic.split()} <= {recipe.stem for recipe in RECIPES}


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(recipe, marks=[] if name(recipe) in QUICK else [pytest.mark.slow]) for recipe in RECIPES],
    ids=name,
)
def test_recipe_runs_a_step(recipe: Path, tmp_path: Path, seglight_cli: Callable[..., object]) -> None:
    small = tmp_path / "small.yaml"
    small.write_text(ONE_STEP_ON_CPU)
    args = ["--config", recipe, "--config", small, "--run_dir", tmp_path / "run"]
    if recipe.parent.name in FABRICATE:
        args += ["--data.init_args.root", FABRICATE[recipe.parent.name](tmp_path / "data")]
    else:
        args += ["--data.init_args.train_images", 4, "--data.init_args.eval_images", 2]
    ran = seglight_cli("fit", *args)
    assert ran.rc == 0, ran.err
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["images"] == 2
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
