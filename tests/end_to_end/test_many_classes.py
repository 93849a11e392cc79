"""A set of 1,000 classes, and one with a single class: from files on disk to scores, label maps and exported nets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import confusion_matrix

import seglight

CLASSES = 1000

RECIPE: dict[str, Any] = {
    "seed_everything": 0,
    "trainer": {"max_epochs": 1, "log_every_n_steps": 1},
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
                    "init_args": {"pyramid_channels": 16, "channels": 16},
                },
            },
        },
    },
    "data": {
        "class_path": "seglight.data.FolderDataModule",
        "init_args": {"batch_size": 2, "num_workers": 0, "augmentation": {"crop_size": 64, "max_class_ratio": 0.75}},
    },
}


def write_set(root: Path, classes: list[dict[str, Any]], masks: NDArray[Any], **keys: Any) -> Path:
    """Four images of both splits with these masks (4, H, W); colours follow from the values of the masks."""
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for number, mask in enumerate(masks):
            value = mask.astype(np.int64)
            image = np.stack([value % 251, value // 4 % 256, value * 7 % 256], 2).astype(np.uint8)
            image[0] = 255 if split == "val" else 0  # no image is in both
            Image.fromarray(image).save(root / "images" / split / f"{number}.png")
            Image.fromarray(mask).save(root / "masks" / split / f"{number}.png")
    (root / "classes.yaml").write_text(yaml.safe_dump({"classes": classes, **keys}))
    return root


def many_classes(root: Path) -> Path:
    """Blocks of 8 x 8 pixels of 1,000 classes in 16-bit PNGs, some of them ignored by the value 60,000."""
    rng = np.random.default_rng(0)
    blocks = rng.permutation(4096).reshape(4, 32, 32) % CLASSES
    masks = blocks.repeat(3, 1).repeat(3, 2).astype(np.uint16)
    masks[:, :5] = 60_000
    names = [{"name": f"class {k}", "color": [k % 256, k // 256, 100]} for k in range(CLASSES)]
    return write_set(root, names, masks, ignore=60_000)


@pytest.mark.slow
def test_a_thousand_classes(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    root = many_classes(tmp_path / "data")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    options = ("-c", recipe, "--data.root", root)
    fitted = seglight_cli("fit", *options, "--run_dir", tmp_path / "run")
    assert fitted.rc == 0, fitted.err
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    validated = seglight_cli("validate", *options, "--ckpt_path", checkpoint, "--run_dir", tmp_path / "validated")
    assert validated.rc == 0, validated.err
    assert json.loads((tmp_path / "validated" / "scores.json").read_text())["miou"] == scores["miou"]

    images = root / "images" / "val"
    predicted = seglight_cli("predict", checkpoint, images, "--out", tmp_path / "out", "--save", "overlay", "csv")
    assert predicted.rc == 0, predicted.err
    found, truth = [], []
    for path in sorted((root / "masks" / "val").iterdir()):
        with Image.open(tmp_path / "out" / path.name) as image:
            assert image.mode == "I;16"
            found.append(np.asarray(image))
        truth.append(np.asarray(Image.open(path)))
    counted = np.stack(truth) != 60_000
    expected = confusion_matrix(np.stack(truth)[counted], np.stack(found)[counted], labels=range(CLASSES))
    hit, union = np.diagonal(expected), expected.sum(0) + expected.sum(1) - np.diagonal(expected)
    assert scores["miou"] == pytest.approx((hit[union > 0] / union[union > 0]).mean())

    exported = seglight_cli("export", checkpoint, "--out", tmp_path / "net.onnx")
    assert exported.rc == 0, exported.err
    for path, labels in zip(sorted(images.iterdir()), found, strict=True):
        for model in (checkpoint, tmp_path / "net.onnx"):
            again = seglight.load(model, device="cpu").predict(path)
            assert again.dtype == np.uint16
            np.testing.assert_array_equal(again, labels)


@pytest.mark.slow
@pytest.mark.parametrize("value", [1, 255])
def test_one_class_works_as_two(value: int, tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    masks = np.zeros((4, 64, 64), np.uint8)
    masks[:, 20:50, 10:40] = value
    root = write_set(tmp_path / "data", [{"name": "road", "color": [200, 40, 40]}], masks)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    fitted = seglight_cli("fit", "-c", recipe, "--data.root", root, "--run_dir", tmp_path / "run")
    assert fitted.rc == 0, fitted.err
    assert fitted.err.count("one class, 'road', which works as two: background and road") == 1
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert np.sum(scores["confusion"], 1).tolist() == [4 * (64 * 64 - 900), 4 * 900]
