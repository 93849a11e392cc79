"""The main job on the real CamVid: a short training must beat what a constant or an untrained net can get."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

RECIPE = Path(__file__).parents[2] / "configs" / "camvid" / "fpn_efficientnet_lite0.yaml"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thirty_steps_on_camvid_learn_streets(
    camvid_root: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    recipe = ("--config", RECIPE, "--data.init_args.root", camvid_root)
    short = (
        "--trainer.max_steps", 30, "--trainer.check_val_every_n_epoch", 1, "--trainer.limit_val_batches", 1,
        "--model.schedule.init_args.warmup_steps", 5, "--data.init_args.augmentation.crop_size", 224,
    )  # fmt: skip
    fitted = seglight_cli("fit", *recipe, *short, "--run_dir", tmp_path / "fit")
    assert fitted.rc == 0, fitted.err
    checkpoint = tmp_path / "fit" / "checkpoints" / "last.ckpt"

    validated = seglight_cli("validate", *recipe, "--ckpt_path", checkpoint, "--run_dir", tmp_path / "validate")
    assert validated.rc == 0, validated.err
    scores = json.loads((tmp_path / "validate" / "scores.json").read_text())
    assert scores["images"] == 101
    # the best constant answer, road everywhere: accuracy is its share, mIoU the same over eleven classes
    constant = np.sum(scores["confusion"], axis=1).max() / np.sum(scores["confusion"])
    assert scores["accuracy"] > 1.5 * constant
    assert scores["miou"] > 5 * constant / 11
    assert scores["iou"]["road"] > 0.6
    assert scores["iou"]["sky"] > 0.6

    images = sorted((camvid_root / "val").glob("*.png"))
    assert seglight_cli("predict", checkpoint, camvid_root / "val", "--out", tmp_path / "masks").rc == 0
    truth = np.stack([np.asarray(Image.open(camvid_root / "valannot" / path.name)) for path in images])
    preds = np.stack([np.asarray(Image.open(tmp_path / "masks" / path.name)) for path in images])
    counted = truth != 11
    confusion = np.bincount(truth[counted] * 11 + preds[counted], minlength=121).reshape(11, 11)
    assert confusion.tolist() == scores["confusion"]
