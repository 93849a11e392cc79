"""Trainings on scenes: killed and resumed bit for bit, and in two processes with the scores of one."""

import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from seglight.training.semantic import SegmentationModule
from tests.support import scenes
from tests.support.resumable import differences, final, fit, send, start, take_place, wait

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("pyogrio")
pytestmark = pytest.mark.slow

RECIPE: dict[str, Any] = {
    "seed_everything": 5,
    "trainer": {
        "accelerator": "cpu",
        "max_epochs": 2,
        "log_every_n_steps": 1,
        "enable_progress_bar": False,
        "callbacks": [
            {"class_path": "seglight.callbacks.EMA", "init_args": {"decay": 0.9}},
            {"class_path": "seglight.callbacks.ExactCheckpoint", "init_args": {"every_n_steps": 3}},
        ],
    },
    "model": {
        "net": {"class_path": "tests.support.band_nets.BandNet", "init_args": {"dropout": 0.3}},
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.01}},
    },
    "data": {
        "class_path": "seglight.data.ScenesDataModule",
        "init_args": {
            "augmentation": {"crop_size": 32, "photometric": 0, "rot90": 0.75, "per_band": {"gain": 0.1}},
            "blocks": {"block_size": 80, "seed": 1},
            "windows_per_epoch": 18,
            "eval_size": 64,
            "batch_size": 4,
            "num_workers": 0,
        },
    },
}
"""Epochs of 4 steps."""


def with_recipe(root: Path) -> None:
    """Write the recipe beside the scenes."""
    options = {**RECIPE["data"]["init_args"], "root": str(root / "data")}
    recipe = {**RECIPE, "data": {**RECIPE["data"], "init_args": options}}
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")


def with_vectors(root: Path) -> None:
    """The masks of two scenes as polygons of one file."""
    from rasterio.features import shapes

    features = []
    for path in sorted((root / "masks").iterdir()):
        with rasterio.open(path) as file:
            found = shapes(file.read(1), transform=file.transform)
        features += [{"type": "Feature", "properties": {"id": int(value)}, "geometry": shape} for shape, value in found]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    content = {"type": "FeatureCollection", "crs": crs, "features": features}
    (root / "labels.geojson").write_text(json.dumps(content), "utf-8")


def kill_before(step: int, done: int) -> None:
    """Kill this process by SIGKILL before an optimizer step, or in the evaluation once that many are done."""
    hook = "on_before_optimizer_step" if step else "validation_step"

    def killed(module: SegmentationModule, *args: Any) -> None:
        if module.trainer.global_step == (step or done) and not module.trainer.sanity_checking:
            send(signal.SIGKILL)
        if step == 0:
            original(module, *args)

    original = getattr(SegmentationModule, hook)
    setattr(SegmentationModule, hook, killed)


@pytest.mark.parametrize("labels", ["rasters", "vectors"])
def test_a_training_that_is_killed_is_resumed_bit_for_bit(labels: str, tmp_path: Path) -> None:
    """Before anything is saved, within an epoch, and in an evaluation; with other numbers of workers, too."""
    scenes.two_scenes(tmp_path / "data")
    with_recipe(tmp_path)
    more: tuple[object, ...] = ()
    if labels == "vectors":
        with_vectors(tmp_path / "data")
        more = ("--data.init_args.vectors.files", "labels.geojson", "--data.init_args.vectors.attribute", "id")
    assert wait(fit(tmp_path / "whole", *more)) == 0, (tmp_path / "whole.log").read_text()
    log = tmp_path / "killed.log"
    for step, done, workers in ((2, 0, 0), (0, 4, 0), (5, 0, 2)):
        again = fit(
            tmp_path / "killed", *more, "--data.init_args.num_workers", workers, before=partial(kill_before, step, done)
        )
        assert wait(again) == -9, log.read_text()
    assert wait(fit(tmp_path / "killed", *more)) == 0, log.read_text()
    assert "resumed at step" in log.read_text()
    assert differences(final(tmp_path / "killed"), final(tmp_path / "whole")) == []


def run_in_two(folder: Path, name: str, *args: object) -> None:
    """Run a command in two processes that work together."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    two = ("--trainer.devices", 2, "--trainer.strategy", "ddp")
    log = folder / f"{name}.log"
    both = [start([*args, *two], log, partial(take_place, rank, port)) for rank in range(2)]
    assert [wait(one) for one in both] == [0, 0], log.read_text()


def test_two_processes_train_on_the_windows_of_one_and_score_its_tiles(tmp_path: Path) -> None:
    """The weights are equal up to the order of sums, and the scores of the same weights are equal."""
    scenes.two_scenes(tmp_path / "data")
    with_recipe(tmp_path)
    exact = ("-c", tmp_path / "recipe.yaml", "--model.net.init_args.dropout", 0)
    assert wait(start(["fit", *exact, "--run_dir", tmp_path / "one"], tmp_path / "one.log")) == 0
    run_in_two(tmp_path, "two", "fit", *exact, "--run_dir", tmp_path / "two", "--data.init_args.batch_size", 2)
    one, two = (
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("one", "two")
    )
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-4, atol=1e-5)

    checkpoint = ("--ckpt_path", tmp_path / "two/checkpoints/last.ckpt")
    alone = ["validate", *exact, *checkpoint, "--run_dir", tmp_path / "validated"]
    assert wait(start(alone, tmp_path / "validated.log")) == 0, (tmp_path / "validated.log").read_text()
    run_in_two(tmp_path, "both", "validate", *exact, *checkpoint, "--run_dir", tmp_path / "both")
    scores = [json.loads((tmp_path / name / "scores.json").read_text()) for name in ("two", "validated", "both")]
    assert scores[0] == scores[1] == scores[2]
    assert np.sum(scores[0]["confusion"], axis=1).tolist() == labelled(tmp_path / "data")


def labelled(root: Path) -> list[int]:
    """Pixels of each class in the validation tiles that have data, read by rasterio."""
    data = scenes.module(root)
    found, areas = data.areas("val")
    counts = np.zeros(2, np.int64)
    for (path,), area in zip(found.images, areas, strict=True):
        with rasterio.open(path) as image, rasterio.open(root / "masks" / path.name) as mask:
            pixels, labels = image.read(), mask.read(1)
        for top, left, bottom, right in area.boxes():
            there = pixels[:, top:bottom, left:right].any(axis=0)
            counts += np.bincount(labels[top:bottom, left:right][there], minlength=2)
    return [int(count) for count in counts]
