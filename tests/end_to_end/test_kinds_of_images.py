"""Images of many kinds, from files on disk to label maps and exported nets, with the right scores."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import seglight
from seglight.images.bands import Bands
from seglight.images.read_bands import read_bands
from tests.support.fabricate_bands import KINDS

RECIPE: dict[str, Any] = {
    "seed_everything": 0,
    "trainer": {"max_epochs": 8, "check_val_every_n_epoch": 8, "log_every_n_steps": 10},
    "model": {
        "net": {
            "class_path": "seglight.models.EncoderDecoder",
            "init_args": {
                "encoder": {
                    "class_path": "seglight.models.TimmEncoder",
                    "init_args": {"name": "resnet10t", "weights": "random", "depth": 2},
                },
                "decoder": {
                    "class_path": "seglight.models.decoders.FPN",
                    "init_args": {"pyramid_channels": 32, "channels": 32},
                },
            },
        },
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.01}},
    },
    "data": {
        "class_path": "seglight.data.FolderDataModule",
        "init_args": {
            "batch_size": 4,
            "num_workers": 0,
            "augmentation": {"crop_size": 64, "scale": [1.0, 1.0], "photometric": 0},
        },
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_class_that_shows_in_one_band_is_learned(kind: str, tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    root = KINDS[kind](tmp_path / "data")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    options = ("-c", recipe, "--data.root", root)
    fitted = seglight_cli("fit", *options, "--run_dir", tmp_path / "run")
    assert fitted.rc == 0, fitted.err
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["miou"] >= 0.95
    validated = seglight_cli("validate", *options, "--ckpt_path", checkpoint, "--run_dir", tmp_path / "validated")
    assert validated.rc == 0, validated.err
    assert json.loads((tmp_path / "validated" / "scores.json").read_text())["confusion"] == scores["confusion"]

    predicted = seglight_cli("predict", checkpoint, root / "images" / "val", "--out", tmp_path / "masks")
    assert predicted.rc == 0, predicted.err
    masks = sorted((tmp_path / "masks").rglob("*.png"))
    truths = sorted((root / "masks" / "val").iterdir())
    assert len(masks) == len(truths) == 8
    confusion = np.zeros((2, 2), np.int64)
    for found, truth in zip(masks, truths, strict=True):
        labels, expected = np.asarray(Image.open(found)), np.asarray(Image.open(truth))
        counted = labels != 255
        np.add.at(confusion, (expected[counted], labels[counted]), 1)
    assert confusion.tolist() == scores["confusion"]

    exported = seglight_cli("export", checkpoint, "--out", tmp_path / "net.onnx")
    assert exported.rc == 0, exported.err
    bands = Bands.from_dict(yaml.safe_load((root / "classes.yaml").read_text())["bands"])
    first = sorted((root / "images" / "val").iterdir())[0]
    image = read_bands(first, bands)
    np.testing.assert_array_equal(
        seglight.load(tmp_path / "net.onnx").predict(image), seglight.load(checkpoint, device="cpu").predict(image)
    )
