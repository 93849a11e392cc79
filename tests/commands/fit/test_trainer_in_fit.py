"""What arguments of the Trainer do in real trainings of a small net: that they do what they say, and resume exactly."""

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml

from tests.support.command import Ran
from tests.support.resumable import differences, final, fit, in_forward, send, start, wait, write_recipe
from tests.support.seen import Seen
from tests.support.trainer_values import LARGE, WORKS

CLI = Callable[..., Ran]

RECIPE = {
    "trainer": {"accelerator": "cpu", "max_epochs": 2, "num_sanity_val_steps": 0, "enable_progress_bar": False},
    "model": {
        "net": {"class_path": "tests.support.resumable.Net"},
        "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.01}},
    },
    "data": {
        "class_path": "seglight.data.ShapesDataModule",
        "init_args": {
            "size": 32, "train_images": 10, "eval_images": 3, "batch_size": 2, "num_workers": 0,
            "augmentation": {"crop_size": 32},
        },
    },
}  # fmt: skip
"""Epochs of 5 steps and 3 batches of evaluation."""

TIMM = {
    "class_path": "seglight.models.EncoderDecoder",
    "init_args": {
        "encoder": {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": None}},
        "decoder": {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}},
    },
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


@pytest.fixture
def run(seglight_cli: CLI, recipe: Path, tmp_path: Path) -> CLI:
    """`fit` of the recipe with further options."""
    return lambda *options: seglight_cli("fit", "-c", recipe, "--run_dir", tmp_path / "run", *options)


def complaint(ran: Ran) -> str:
    assert ran.rc == 2, ran.err
    assert "Traceback" not in ran.err
    (line,) = [line for line in ran.err.splitlines() if line.startswith("seglight: ")]
    return line.removeprefix("seglight: error: ")


SEEN = ("--trainer.callbacks+", "tests.support.seen.Seen")


@pytest.mark.parametrize(("limit", "batches", "images"), [("1", 1, 1), ("2", 2, 2), ("0.5", 2, 1), ("100", 5, 3)])
def test_overfit_batches_trains_on_the_same_samples(run: CLI, limit: str, batches: int, images: int) -> None:
    ran = run("--trainer.overfit_batches", limit, *SEEN)
    assert ran.rc == 0, ran.err
    assert len(Seen.trained) == 2 * batches
    assert Seen.trained[:batches] == Seen.trained[batches:], "the same crops in both epochs"
    assert [name for *names, _ in Seen.trained[:batches] for name in names] == [
        f"scene_{index:07}" for index in range(2 * batches)
    ]
    assert Seen.validated == [f"scene_{1_000_000 + index:07}" for index in range(images)] * 2


@pytest.mark.parametrize(
    "options",
    [
        ("--trainer.overfit_batches", 3),
        ("--trainer.limit_train_batches", 3, "--trainer.reload_dataloaders_every_n_epochs", 1),
        pytest.param(
            ("--trainer.reload_dataloaders_every_n_epochs", 1, "--data.init_args.num_workers", 2),
            marks=pytest.mark.slow,
        ),
        ("--trainer.gradient_clip_val", 0.1, "--trainer.gradient_clip_algorithm", "value", "--trainer.inference_mode",
         "false", "--trainer.detect_anomaly", "true"),
    ],
    ids=["overfit", "limit", "reload", "others"],
)  # fmt: skip
def test_stopped_within_an_epoch_and_resumed(options: tuple[object, ...], tmp_path: Path) -> None:
    """SIGTERM in the fifth step, which lies within the second epoch where epochs are short."""

    stop = partial(in_forward, True, 5, partial(send, signal.SIGTERM))
    write_recipe(tmp_path)
    for name, before, code in (("whole", None, 0), ("stopped", stop, 75), ("stopped", None, 0)):
        log = tmp_path / f"{name}.log"
        assert wait(fit(tmp_path / name, *options, before=before)) == code, log.read_text()
    assert differences(final(tmp_path / "stopped"), final(tmp_path / "whole")) == []


def test_reloaded_loaders_give_the_samples_of_the_epoch(run: CLI, tmp_path: Path) -> None:
    assert run(*SEEN).rc == 0
    once = Seen.trained
    (tmp_path / "run").rename(tmp_path / "once")
    assert run("--trainer.reload_dataloaders_every_n_epochs", 1, *SEEN).rc == 0
    assert Seen.trained == once


@pytest.mark.parametrize("batches", ["true", "2"])
def test_fast_dev_run_leaves_nothing(
    run: CLI, batches: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path / "here")
    ran = run("--trainer.fast_dev_run", batches, *SEEN)
    assert ran.rc == 0, ran.err
    assert "seglight: fast_dev_run: fit ran to its end; its files are removed\n" in ran.err
    assert "next" not in ran.out
    assert len(Seen.trained) == len(Seen.validated) == int(batches == "true") + 2 * int(batches == "2")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [recipe]


def test_max_time_ends_the_run(run: CLI, tmp_path: Path) -> None:
    ran = run("--trainer.max_time", "00:00:00:01", "--trainer.max_epochs", 100000)
    assert ran.rc == 0, ran.err
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert 0 < last["global_step"] < 500000
    assert last["exact"]["finished"]


def test_min_and_max_and_intervals_count(run: CLI, tmp_path: Path) -> None:
    by_steps = ("--trainer.max_epochs", -1, "--trainer.max_steps", 7)
    ran = run(*by_steps, "--trainer.val_check_interval", 3, "--trainer.check_val_every_n_epoch", "null")
    assert ran.rc == 0, ran.err
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "val/miou" in line][:2] == [3, 6]
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 7


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("trainer.limit_train_batches", "0.1", "trainer.limit_train_batches 0.1: less than one of the 5 batches of the "
         "train split: give a whole number of batches, or a share from 0.2"),
        ("trainer.limit_val_batches", "0.1", "trainer.limit_val_batches 0.1: less than one of the 3 batches of the val "
         "split: give a whole number of batches, or a share from 0.334"),
        ("trainer.overfit_batches", "0.1", "trainer.overfit_batches 0.1: less than one of the 5 batches of the train "),
        ("trainer.overfit_batches", "0.25", "trainer.overfit_batches 0.25: less than one of the 3 batches of the val "),
        ("trainer.val_check_interval", "6", "trainer.val_check_interval 6: an epoch has 5 batches: lower it, or "),
        ("trainer.max_steps", "0", "trainer.max_steps 0: nothing would be trained"),
        ("seed_everything", "-1", "seed_everything -1: give a whole number from 0 to 4294967295"),
        ("data.init_args.batch_size", "0", "data.batch_size 0: give a whole number from 1"),
        ("data.init_args.eval_batch_size", "-1", "data.eval_batch_size -1: give a whole number from 1"),
        ("data.init_args.num_workers", "-1", "data.num_workers -1: give a whole number from 0 to 1024"),
        ("data.init_args.num_workers", "100000", "data.num_workers 100000: give a whole number from 0 to"),
        ("data.init_args.eval_images", "-1", "data: train_images 10 and eval_images -1 must be positive"),
        ("data.init_args.augmentation.crop_size", "100000", "augmentation: crop_size 100000 must be at most 32767"),
        ("model.optimizer.init_args.lr", "-1", "model.optimizer: Invalid learning rate: -1.0"),
        ("model.optimizer.init_args.lr", ".inf", "model.optimizer: lr inf is not finite: give another"),
        ("model.optimizer.init_args.weight_decay", "-1", "model.optimizer: Invalid weight_decay value: -1.0"),
        ("model.optimizer.init_args.momentum", ".inf", "model.optimizer: momentum inf is not finite: give another"),
        ("model.schedule.init_args.warmup_steps", "-3", "model.schedule: warmup_steps -3: give a whole number from 0"),
        ("model.schedule.init_args.power", "-1", "model.schedule: power -1.0: give a finite number from 0"),
        ("model.groups.encoder_lr_scale", "-1", "model.groups: encoder_lr_scale is -1.0 and layer_decay is 1.0: give"),
        ("model.groups.layer_decay", "0", "model.groups: encoder_lr_scale is 1.0 and layer_decay is 0.0: give"),
        ("model.aux_weight", ".nan", "model.aux_weight nan: give a finite number from 0"),
    ],
)  # fmt: skip
def test_values_that_are_refused_before_the_recipe_is_written(
    run: CLI, option: str, value: str, said: str, tmp_path: Path
) -> None:
    schedule = ("--model.schedule", "seglight.optim.WarmupPoly") if "schedule" in option else ()
    assert complaint(run(*schedule, f"--{option}", value)).startswith(said)
    left = {path.name.split(".")[0] for path in (tmp_path / "run").rglob("*")}
    assert left <= {"events"}, "TensorBoard's empty file at most"


def test_crops_smaller_than_the_kernels_and_the_folder_again(run: CLI) -> None:
    told = complaint(run("--data.init_args.augmentation.crop_size", 2))
    assert told == "images of 2x2 are smaller than the net's kernels: take a larger crop_size, or larger images"
    assert run().rc == 0


def test_a_warm_up_longer_than_the_run_is_said(run: CLI) -> None:
    ran = run("--model.schedule", "seglight.optim.WarmupPoly", "--model.schedule.init_args.warmup_steps", 500)
    assert ran.rc == 0
    assert "seglight: the warm-up of 500 steps is not over when the run ends after 10: " in ran.err


@pytest.mark.parametrize(("channels", "images"), [(4, 3), (1, 3)])
def test_channels_that_do_not_fit_the_images(run: CLI, channels: int, images: int, tmp_path: Path) -> None:
    net = json.loads(json.dumps(TIMM))
    net["init_args"]["encoder"]["init_args"]["in_channels"] = channels
    told = complaint(run("--model.net", json.dumps(net)))
    assert told.startswith(f"the net is for images of {channels} channels, these have {images}: set in_channels of ")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_batch_of_one_at_a_batch_norm(run: CLI, tmp_path: Path) -> None:
    one = ("--data.init_args.batch_size", 1, "--data.init_args.augmentation.crop_size", 4)
    told = complaint(run(*one))
    assert told.startswith("a batch of one image of 4x4 leaves a batch norm of the net one value for each channel")
    assert not (tmp_path / "run" / "config.yaml").exists()
    assert run(*one, "--data.init_args.batch_size", 2).rc == 0


def test_trying_a_batch_of_one_leaves_no_trace(run: CLI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = []
    for name in ("tried", "untried"):
        assert run("--data.init_args.batch_size", 1).rc == 0
        (tmp_path / "run").rename(tmp_path / name)
        weights.append(torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
        monkeypatch.setattr("seglight.training.base.has_batch_norm", lambda net: False)
    assert all(torch.equal(weights[0][key], value) for key, value in weights[1].items())


@pytest.mark.parametrize("command", ["validate", "test"])
@pytest.mark.parametrize("by", ["config", "checkpoint"])
def test_an_evaluation_is_written_beside_its_run(
    run: CLI, seglight_cli: CLI, command: str, by: str, tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run().rc == 0
    scores = (tmp_path / "run" / "scores.json").read_bytes()
    config = tmp_path / "run" / "config.yaml" if by == "config" else recipe
    ran = seglight_cli(command, "-c", config, "--ckpt_path", "run/checkpoints/last.ckpt")
    assert ran.rc == 0, ran.err
    (folder,) = (tmp_path / "run" / command).iterdir()
    assert json.loads((folder / "scores.json").read_text())["split"] == {"validate": "val", "test": "test"}[command]
    assert (folder / "config.yaml").is_file()
    assert (tmp_path / "run" / "scores.json").read_bytes() == scores, "the training's own"
    assert not (tmp_path / "runs").exists()


def test_an_evaluation_of_no_run_goes_where_it_went(
    seglight_cli: CLI, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = seglight_cli("validate", "-c", recipe)
    assert ran.rc == 0
    assert list((tmp_path / "runs" / "small").glob("*/scores.json"))
    assert "the net is scored with the weights of its recipe" in " ".join((ran.out + ran.err).split())


def test_a_run_is_scored_with_a_checkpoint_of_its(run: CLI, seglight_cli: CLI, tmp_path: Path) -> None:
    assert run().rc == 0
    ran = seglight_cli("validate", "-c", tmp_path / "run" / "config.yaml", "--run_dir", tmp_path / "scored")
    assert ran.rc == 2
    assert f"add --ckpt_path {tmp_path}/run/checkpoints/best.ckpt" in " ".join(ran.err.split())
    assert not (tmp_path / "scored").exists()


def test_a_misspelt_option_is_not_completed(run: CLI) -> None:
    ran = run("--trainer.log_every_n_step", 3)
    assert ran.rc == 2
    assert "log_every_n_step" in ran.err


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKS)
def test_every_value_that_is_taken_trains(name: str, recipe: Path, tmp_path: Path) -> None:
    for value in sorted(WORKS[name]):
        large = value == LARGE
        options = [f"--trainer.{name}={value}", f"--trainer.log_every_n_steps={1}"]
        if name == "log_every_n_steps":
            options.pop()
        if name == "max_epochs" and (large or value == "null"):
            options += ["--trainer.max_steps=7"]
        if name == "max_steps" and large:
            options += ["--trainer.max_epochs=2"]
        if large and name in ("val_check_interval", "min_steps"):
            options += ["--trainer.check_val_every_n_epoch=null"]
        if name == "devices" and value == "2":
            options += ["--data.init_args.batch_size=1"]
        log, run_dir = tmp_path / "log", tmp_path / re.sub(r"\W", "_", value)
        args = ["fit", "-c", recipe, "--run_dir", run_dir, *options]
        if name == "devices":  # Lightning starts further processes by the command of this one, which must be fit's
            command = [sys.executable, "-m", "seglight", *map(str, args)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stderr
        else:
            assert wait(start(args, log), 100) == 0, log.read_text()
