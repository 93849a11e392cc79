"""fit -> validate -> predict from the command line; test_evaluation_in_processes.py does it on three processes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seglight.data.datasets.shapes_scenes import CLASSES, draw_scene

SIZE = 100  # not a multiple of any stride
RECIPE = """
trainer: {accelerator: cpu, max_epochs: 2, log_every_n_steps: 1}
model:
  net:
    class_path: seglight.models.EncoderDecoder
    init_args:
      encoder: {class_path: seglight.models.TimmEncoder, init_args: {name: tf_efficientnet_lite0, weights: offline}}
      decoder: {class_path: seglight.models.decoders.FPN, init_args: {pyramid_channels: 32, channels: 32}}
      aux_index: -2
  optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 3.0e-3}}
  channels_last: true
data:
  class_path: seglight.data.FolderDataModule
  init_args: {num_workers: 0, batch_size: 4, augmentation: {crop_size: 64}}
"""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn scenes as a folder data set: 8 to train on, 7 to validate and 3 to test."""
    root = tmp_path_factory.mktemp("scenes")
    for split, first, count in (("train", 0, 8), ("val", 100, 7), ("test", 200, 3)):
        for folder in ("images", "masks"):
            (root / folder / split).mkdir(parents=True)
        for seed in range(first, first + count):
            image, mask = draw_scene(seed, SIZE)
            Image.fromarray(image).save(root / "images" / split / f"{seed}.png")
            Image.fromarray(mask).save(root / "masks" / split / f"{seed}.png")
    table = [{"name": n, "color": list(c)} for n, c in zip(CLASSES.names, CLASSES.palette, strict=True)]
    (root / "classes.yaml").write_text(yaml.safe_dump({"ignore": 255, "classes": table}))
    (root / "recipe.yaml").write_text(RECIPE)
    return root


def run(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m seglight ...` in a process of its own."""
    command = [sys.executable, "-m", "seglight", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def fitted(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a finished fit."""
    run_dir = tmp_path_factory.mktemp("runs") / "one"
    done = run("fit", "-c", scenes / "recipe.yaml", "--data.init_args.root", scenes, "--run_dir", run_dir)
    assert f"seglight predict {run_dir}/checkpoints/best.ckpt" in done.stdout
    return run_dir


def miou_by_numpy(masks: list[NDArray[np.uint8]], preds: list[NDArray[np.uint8]]) -> float:
    """The score written out: per class, over all pixels of all images whose label is not 255."""
    truth, guess = (np.concatenate([m.ravel() for m in maps]) for maps in (masks, preds))
    truth, guess = truth[truth != 255], guess[truth != 255]
    ious = []
    for c in range(len(CLASSES)):
        union = np.sum((truth == c) | (guess == c))
        if union:
            ious.append(np.sum((truth == c) & (guess == c)) / union)
    return float(np.mean(ious))


def test_fit_validate_and_predict_have_one_score(
    scenes: Path, fitted: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    after_fit = json.loads((fitted / "scores.json").read_text())
    checkpoint = fitted / "checkpoints" / "last.ckpt"
    recipe = ("-c", scenes / "recipe.yaml", "--data.init_args.root", scenes)

    validated = seglight_cli("validate", *recipe, "--ckpt_path", checkpoint, "--run_dir", tmp_path / "validate")
    assert validated.rc == 0, validated.err
    after_validate = json.loads((tmp_path / "validate" / "scores.json").read_text())

    assert seglight_cli("predict", checkpoint, scenes / "images" / "val", "--out", tmp_path / "masks").rc == 0
    names = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert names == sorted(path.name for path in (scenes / "masks" / "val").iterdir())
    truth = [np.asarray(Image.open(scenes / "masks" / "val" / name)) for name in names]
    preds = [np.asarray(Image.open(tmp_path / "masks" / name)) for name in names]

    keys = {"miou", "accuracy", "iou", "confusion", "images", "split", "protocol", "step", "weights"}
    assert set(after_fit) == keys | {"miou_interval", "fwiou", "precision", "recall", "f1"}
    assert after_fit | {"weights": after_validate["weights"]} == after_validate
    assert after_fit["miou"] == pytest.approx(miou_by_numpy(truth, preds), abs=1e-12)
    assert after_fit["miou"] > 0.05  # it learned something: the score is of predictions, not of a constant
    assert (after_fit["images"], after_fit["split"]) == (7, "val")


def test_the_score_does_not_depend_on_who_shares_a_batch(
    scenes: Path, fitted: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    """Images of three sizes, one by one and in batches of five."""
    root = shutil.copytree(scenes, tmp_path / "scenes")
    for k, path in enumerate(sorted((root / "images" / "val").iterdir())):
        for file in (path, root / "masks" / "val" / path.name):
            Image.open(file).crop((0, 0, SIZE - 30 * (k % 3), SIZE - 10 * (k % 3))).save(file)
    scores = []
    for batch_size in (1, 5):
        ran = seglight_cli(
            "validate", "-c", root / "recipe.yaml", "--data.init_args.root", root,
            "--ckpt_path", fitted / "checkpoints" / "last.ckpt", "--run_dir", tmp_path / str(batch_size),
            "--data.init_args.eval_batch_size", batch_size,
        )  # fmt: skip
        assert ran.rc == 0, ran.err
        scores.append(json.loads((tmp_path / str(batch_size) / "scores.json").read_text()))
    assert scores[0] == scores[1]
    labelled = sum(np.sum(np.asarray(Image.open(p)) != 255) for p in (root / "masks" / "val").iterdir())
    assert np.sum(scores[1]["confusion"]) == labelled


def test_test_scores_the_test_split(
    scenes: Path, fitted: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    recipe = ("-c", scenes / "recipe.yaml", "--data.init_args.root", scenes)
    checkpoint = fitted / "checkpoints" / "best.ckpt"
    ran = seglight_cli("test", *recipe, "--ckpt_path", checkpoint, "--run_dir", tmp_path)
    assert ran.rc == 0, ran.err
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["images"], scores["split"]) == (3, "test")
    pixels = sum(np.sum(np.asarray(Image.open(p)) != 255) for p in (scenes / "masks" / "test").iterdir())
    assert np.sum(scores["confusion"]) == pixels
    assert "cross" in ran.out


def test_predictions_carry_the_palette(
    fitted: Path, scenes: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    image = scenes / "images" / "test" / "200.png"
    assert seglight_cli("predict", fitted / "checkpoints" / "last.ckpt", image, "--out", tmp_path).rc == 0
    mask = Image.open(tmp_path / "200.png")
    assert mask.mode == "P"
    colors = np.asarray(mask.convert("RGB"))
    index = np.asarray(mask)
    assert np.array_equal(colors, np.array(CLASSES.palette, np.uint8)[index])


def test_a_run_leaves_what_the_readme_says(fitted: Path) -> None:
    for name in (
        "config.yaml",
        "metrics.jsonl",
        "environment.json",
        "scores.json",
        "panels.png",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
    ):
        assert (fitted / name).is_file(), name
    events = EventAccumulator(str(fitted), size_guidance={"images": 0})
    events.Reload()
    tags = events.Tags()
    scalars = {"train/loss", "val/loss", "val/miou", "val/acc", "val/iou/cross", "lr/encoder", "lr/decoder"}
    assert scalars | {"train/images_per_second", "train/seconds", "final/val_miou"} <= set(tags["scalars"])
    for image in ("panels/0", "val/confusion"):
        shown, scored = events.Images(image), events.Scalars("val/miou")
        assert [picture.step for picture in shown] == [score.step for score in scored], "a resumed run drops by step"
    assert "config/text_summary" in tags["tensors"]
    final = json.loads((fitted / "scores.json").read_text())["miou"]
    assert events.Scalars("final/val_miou")[-1].value == pytest.approx(final, rel=1e-6)
    height, width = np.asarray(Image.open(fitted / "panels.png")).shape[:2]
    assert width == 4 * SIZE
    assert height > 6 * (SIZE + 4) + 2 * 19  # a line of headings, and a legend of one or more


def test_the_audit_of_a_run_knows_its_images_and_its_score(
    scenes: Path, fitted: Path, seglight_cli: Callable[..., Any]
) -> None:
    with np.load(fitted / "image_scores.npz", allow_pickle=False) as file:
        masks = sorted((scenes / "masks" / "val").iterdir())
        assert [Path(name).name for name in file["names"]] == [path.name for path in masks]
        pixels = [np.sum(np.asarray(Image.open(path)) != 255) for path in masks]
        assert np.add.reduceat(file["counts"], np.cumsum(file["lengths"]) - file["lengths"]).tolist() == pixels
    scores = json.loads((fitted / "scores.json").read_text())
    ran = seglight_cli("scores", "audit", fitted)
    assert ran.rc == 0, ran.err
    ours = next(line for line in ran.out.splitlines() if "ours" in line)
    assert f"{scores['miou']:.4f}" in ours
    low, high = scores["miou_interval"]
    assert low < scores["miou"] < high


def test_config_yaml_repeats_the_run(fitted: Path, tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    again = seglight_cli("fit", "-c", fitted / "config.yaml", "--run_dir", tmp_path / "again")
    assert again.rc == 0, again.err
    recipe = yaml.safe_load((fitted / "config.yaml").read_text())
    assert (recipe["run_dir"], recipe["ckpt_path"]) == (None, None)
    first, second = (
        torch.load(d / "checkpoints" / "last.ckpt", weights_only=True) for d in (fitted, tmp_path / "again")
    )
    assert all(torch.equal(value, second["state_dict"][key]) for key, value in first["state_dict"].items())


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # a best checkpoint of another folder stays there
def test_a_finished_run_goes_on_by_force(fitted: Path, tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    run_dir = shutil.copytree(fitted, tmp_path / "on")
    again = seglight_cli("fit", "--run_dir", run_dir, "--resume")
    assert again.rc == 0
    assert f"{run_dir}: the run is finished" in again.err
    refused = seglight_cli("fit", "--run_dir", run_dir, "--resume", "--trainer.max_epochs", 3)
    assert refused.rc == 2
    assert "trainer.max_epochs: 2 -> 3 (--resume force resumes nevertheless)" in refused.err
    ran = seglight_cli("fit", "--run_dir", run_dir, "--resume", "force", "--trainer.max_epochs", 3)
    assert ran.rc == 0, ran.err
    assert "epoch 3  step 6" in ran.out
    assert "epoch 2 " not in ran.out


def test_warm_start_takes_all_but_the_head(
    fitted: Path, camvid: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    ran = seglight_cli(
        "fit", "-c", fitted / "config.yaml", "--model.weights", fitted / "checkpoints" / "last.ckpt",
        "--data", "seglight.data.CamVidDataModule", "--data.init_args.root", camvid, "--data.init_args.num_workers", 0,
        "--data.init_args.batch_size", 2, "--model.optimizer.init_args.lr", 0,
        "--trainer.max_epochs", 1, "--run_dir", tmp_path / "warm",
    )  # fmt: skip
    assert ran.rc == 0, ran.err
    before, after = (
        torch.load(d / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for d in (fitted, tmp_path / "warm")
    )
    weights = [key for key in before if key.endswith("weight") and "head" not in key]
    assert len(weights) > 100
    assert all(torch.equal(before[key], after[key]) for key in weights)
    assert after["net.head.weight"].shape[0] == 11


def test_a_run_is_not_written_over(scenes: Path, fitted: Path, seglight_cli: Callable[..., Any]) -> None:
    before = (fitted / "checkpoints" / "last.ckpt").read_bytes()
    ran = seglight_cli("fit", "-c", scenes / "recipe.yaml", "--data.init_args.root", scenes, "--run_dir", fitted)
    assert ran.rc == 2
    assert "holds a run already" in ran.err
    assert (fitted / "checkpoints" / "last.ckpt").read_bytes() == before


@pytest.mark.slow  # test_evaluation_in_processes.py has processes that others have started
def test_two_processes_of_lightning_count_each_image_once(scenes: Path, fitted: Path, tmp_path: Path) -> None:
    """Seven validation images on two processes: a padded sampler would count one twice."""
    two = ("--trainer.devices", 2, "--trainer.strategy", "ddp", "--trainer.accelerator", "cpu")
    recipe = ("-c", scenes / "recipe.yaml", "--data.init_args.root", scenes)
    checkpoint = fitted / "checkpoints" / "last.ckpt"
    run("validate", *recipe, *two, "--ckpt_path", checkpoint, "--run_dir", tmp_path / "two")
    run("validate", *recipe, "--ckpt_path", checkpoint, "--run_dir", tmp_path / "one")
    on_two, on_one = (json.loads((tmp_path / d / "scores.json").read_text()) for d in ("two", "one"))
    assert on_one["images"] == 7
    assert on_two == on_one
    by_image = [dict(np.load(tmp_path / d / "image_scores.npz")) for d in ("two", "one")]
    for key, value in by_image[1].items():
        assert np.array_equal(by_image[0][key], value), key


@pytest.mark.parametrize(
    "options",
    [
        ("--trainer.precision", "bf16-mixed"),
        ("--model.optimizer", "torch.optim.SGD", "--model.optimizer.init_args.momentum", "0.9"),
        ("--model.groups.encoder_lr_scale", "0.1", "--trainer.gradient_clip_val", "1.0"),
        ("--trainer.callbacks+", "seglight.callbacks.EMA"),
        ("--trainer.enable_progress_bar", "false", "--trainer.enable_checkpointing", "false"),
        ("--seed_everything", "true"),
    ],
    ids=lambda options: options[0],
)
def test_options_of_a_training(
    options: tuple[str, ...], scenes: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    recipe = ("-c", scenes / "recipe.yaml", "--data.init_args.root", scenes, "--trainer.max_epochs", 1)
    ran = seglight_cli("fit", *recipe, *options, "--run_dir", tmp_path / "run")
    assert ran.rc == 0, ran.err
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    losses = [event.value for event in events.Scalars("train/loss")]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    encoder, decoder = (events.Scalars(f"lr/{part}")[0].value for part in ("encoder", "decoder"))
    scale = 0.1 if "--model.groups.encoder_lr_scale" in options else 1.0
    assert encoder == pytest.approx(scale * decoder)
