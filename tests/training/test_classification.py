"""Pre-training, from images to the weights of an encoder; against torchvision's reader and the layout's own words.

Covers: commands.pretrain, data.datasets.cifar10, data.datasets.image_folder, data.datasets.labelled_images.
"""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
import yaml
from PIL import Image
from safetensors.torch import load_file

from seglight.data.datasets.cifar10 import CIFAR10DataModule
from seglight.data.datasets.image_folder import ImageFolderDataModule
from seglight.data.datasets.labelled_images import LabelledImages
from seglight.errors import UserError
from seglight.models import TimmEncoder
from seglight.training.classification import ClassificationModule


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Red and blue images of any sizes, so that a classifier can learn something."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 5)):
        for name, channel in (("red", 0), ("blue", 2)):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for k in range(count):
                image = rng.integers(0, 60, (40 + k, 50 - k, 3), dtype=np.uint8)
                image[..., channel] += 190
                Image.fromarray(image).save(tmp_path / "data" / split / name / f"{k}.png")
    return tmp_path / "data"


@pytest.fixture
def cifar(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """The folder of the binary version with three images a file, all labels, all images (18, 32, 32, 3)."""
    rng = np.random.default_rng(0)
    labels, images = rng.integers(0, 10, 18, np.uint8), rng.integers(0, 256, (18, 32, 32, 3), np.uint8)
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    for k, name in enumerate(names):
        records = (bytes([labels[j]]) + images[j].transpose(2, 0, 1).tobytes() for j in range(3 * k, 3 * k + 3))
        (tmp_path / name).write_bytes(b"".join(records))
    (tmp_path / "batches.meta.txt").write_text("\n".join(f"class{k}" for k in range(10)) + "\n\n")
    return tmp_path, labels, images


@pytest.mark.parametrize("split", ["train", "val"])
def test_folders_are_read_as_torchvision_reads_them(split: str, folder: Path) -> None:
    theirs = torchvision.datasets.ImageFolder(str(folder / split))
    data = ImageFolderDataModule(str(folder))
    ours = data.split(split)
    assert data.class_names == theirs.classes
    assert len(ours) == len(theirs)
    read = sorted((image.tobytes(), label) for image, label in map(ours.read, range(len(ours))))
    assert read == sorted((np.asarray(image).tobytes(), label) for image, label in theirs)


def test_a_class_that_is_not_trained_on(folder: Path) -> None:
    (folder / "val" / "green").mkdir()
    with pytest.raises(UserError, match=r"val/green: no such class under"):
        ImageFolderDataModule(str(folder))


def test_cifar10(cifar: tuple[Path, np.ndarray, np.ndarray]) -> None:
    root, labels, images = cifar
    data = CIFAR10DataModule(str(root))
    assert data.class_names == [f"class{k}" for k in range(10)]
    for split, first, count in (("train", 0, 15), ("val", 15, 3)):
        read = [data.split(split).read(k) for k in range(count)]
        assert len(data.split(split)) == count
        assert [label for _, label in read] == labels[first : first + count].tolist()
        assert np.array_equal([image for image, _ in read], images[first : first + count])


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    """Where torchvision looks for the Python version."""
    rng = np.random.default_rng(1)
    root = tmp_path / "cifar-10-batches-py"
    root.mkdir()
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        batch = {"data": rng.integers(0, 256, (3, 3072), np.uint8), "labels": rng.integers(0, 10, 3).tolist()}
        (root / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = {"label_names": [f"class{k}" for k in range(10)]}
    (root / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))
    return root


@pytest.mark.parametrize("split", ["train", "val"])
def test_cifar10_pickled_as_torchvision_reads_it(split: str, pickled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = torchvision.datasets.CIFAR10
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    reference = theirs(str(pickled.parent), train=split == "train")
    data = CIFAR10DataModule(str(pickled))
    ours = data.split(split)
    assert data.class_names == reference.classes
    assert len(ours) == len(reference)
    for k in range(len(ours)):
        image, label = ours.read(k)
        assert np.array_equal(image, np.asarray(reference[k][0]))
        assert label == reference[k][1]


def test_code_in_a_pickle_does_not_run(pickled: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    (pickled / "data_batch_2").write_bytes(pickle.dumps({"data": Evil(), "labels": []}))
    with pytest.raises(UserError, match="data_batch_2: refused, not a file of CIFAR-10"):
        CIFAR10DataModule(str(pickled)).split("train")
    assert not (tmp_path / "ran").exists()


def test_cifar10_that_is_cut_off(cifar: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path = cifar[0] / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"data_batch_3\.bin: 9218 bytes, which is not a multiple"):
        CIFAR10DataModule(str(cifar[0])).split("train")


def test_crops_follow_from_seed_epoch_and_index(cifar: tuple[Path, np.ndarray, np.ndarray]) -> None:
    split = CIFAR10DataModule(str(cifar[0])).split("train")
    seen = [LabelledImages(split, 24, 0.5, seed)[epoch, 3]["image"] for seed, epoch in ((0, 0), (0, 0), (1, 0), (0, 1))]
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[3])
    whole = LabelledImages(split, 32)[0, 3]["image"]
    assert np.array_equal(whole.permute(1, 2, 0), cifar[2][3])


def recipe(path: Path, folder: Path, lr: float = 0.01) -> Path:
    data: dict[str, Any] = {"class_path": "seglight.data.datasets.image_folder.ImageFolderDataModule"}
    data["init_args"] = {"root": str(folder), "size": 32, "batch_size": 8, "num_workers": 0}
    content = {
        "trainer": {"accelerator": "cpu", "max_epochs": 4, "enable_progress_bar": False, "log_every_n_steps": 1},
        "model": {"name": "test_resnet", "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": lr}}},
        "data": data,
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_pre_training_that_diverges_ends_at_its_validation(
    folder: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    config = recipe(tmp_path / "recipe.yaml", folder, lr=1e30)
    ran = seglight_cli("pretrain", "-c", config, "--run_dir", tmp_path / "run")
    assert ran.rc == 2
    assert "step 3, val: the net's logits are NaN or infinite: a training that diverged" in " ".join(ran.err.split())
    assert not list(tmp_path.rglob("*.ckpt")) + list(tmp_path.rglob("*.safetensors"))


def test_the_encoder_of_a_pre_training(folder: Path, tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    recipe(tmp_path / "recipe.yaml", folder)
    ran = seglight_cli("pretrain", "-c", tmp_path / "recipe.yaml", "--run_dir", tmp_path / "run")
    assert ran.rc == 0, ran.err
    path = tmp_path / "run" / "encoder.safetensors"

    module = ClassificationModule("test_resnet", 2).eval()
    module.load_state_dict(torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    right = 0
    for label, name in enumerate(("blue", "red")):
        for file in sorted((folder / "val" / name).iterdir()):
            image = Image.open(file)
            side = min(image.size)
            left, top = ((length - side) // 2 for length in image.size)
            image = image.crop((left, top, left + side, top + side)).resize((32, 32), Image.Resampling.BOX)
            with torch.no_grad():
                right += module(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]).argmax() == label
    assert f"val/acc {right / 10:.4f}" in ran.out
    assert right >= 8

    saved = load_file(path)
    assert not any(key.startswith("fc.") for key in saved)
    theirs = {key: value for key, value in module.net.state_dict().items() if not key.startswith("fc.")}
    assert all(torch.equal(saved[key], value) for key, value in theirs.items())
    encoder = TimmEncoder("test_resnet", weights=str(path)).eval()
    image = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        mean, std = (torch.tensor(module.net.pretrained_cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
        last = module.net.forward_features((image / 255 - mean) / std)
        torch.testing.assert_close(encoder(image)[-1], last, rtol=1e-4, atol=1e-4)

    again = seglight_cli("pretrain", "-c", tmp_path / "recipe.yaml", "--run_dir", tmp_path / "run")
    assert again.rc == 2
    assert "holds a run already" in again.err


def test_no_such_model(folder: Path, seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli(
        "pretrain", "--data", "seglight.data.ImageFolderDataModule", "--data.init_args.root", folder,
        "--model.name", "resnet5000", "--trainer.accelerator", "cpu",
    )  # fmt: skip
    assert ran.rc == 2
    assert "model.name 'resnet5000' is no timm model" in ran.err
