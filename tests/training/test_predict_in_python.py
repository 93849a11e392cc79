"""`Trainer.predict` in Python: label maps of each image at its own size, or one sentence."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from seglight.data import VOCDataModule
from seglight.errors import UserError
from seglight.inference import SlidingWindow, WholeImage
from seglight.training.semantic import SegmentationModule
from tests.support.training import new_module


def new_predictor(**options: Any) -> Trainer:
    quiet = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")
    return Trainer(accelerator="cpu", **dict.fromkeys(quiet, False), **options)


@pytest.fixture
def module() -> SegmentationModule:
    return new_module()


def expected(module: SegmentationModule, image: Tensor) -> Tensor:
    """By the net alone: logits of the image padded to a multiple of 32, upsampled by torch, and cut."""
    height, width = image.shape[-2:]
    more = (0, -width % 32, 0, -height % 32)
    padded = torch.nn.functional.pad(image[None].float(), more, mode="replicate").to(torch.uint8)
    module.net.eval()
    with torch.no_grad():
        logits = module.net(padded)
    full = torch.nn.functional.interpolate(logits, padded.shape[-2:], mode="bilinear", align_corners=False)
    return full.argmax(1)[0, :height, :width].to(torch.uint8)


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.filterwarnings("ignore:You are using a custom batch sampler")
def test_data_module(module: SegmentationModule, voc: Path, batch_size: int) -> None:
    data = VOCDataModule(str(voc), eval_batch_size=batch_size, num_workers=0)
    batches: Any = new_predictor().predict(module, data)
    maps = [labels for batch in batches for labels in batch]
    split = data.split("val")
    images = [torch.from_numpy(split.read(index)[0].copy()).permute(2, 0, 1) for index in range(len(split))]
    assert [len(batch) for batch in batches] == {1: [1, 1, 1], 2: [2, 1]}[batch_size]
    assert len({labels.shape for labels in maps}) == 3, "images of different sizes"
    for labels, image in zip(maps, images, strict=True):
        assert labels.dtype == torch.uint8
        assert torch.equal(labels, expected(module, image))


@pytest.mark.parametrize("form", ["alone", "in a tuple", "in a dict"])
def test_data_loaders_of_ones_own(module: SegmentationModule, form: str) -> None:
    images = torch.randint(0, 256, (3, 3, 20, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    samples: dict[str, list[Any]] = {
        "alone": [*images],
        "in a tuple": [(image, 7) for image in images],
        "in a dict": [{"image": image} for image in images],
    }
    batches: Any = new_predictor().predict(module, DataLoader(samples[form], 2))
    maps = [labels for batch in batches for labels in batch]
    assert [len(batch) for batch in batches] == [2, 1]
    assert all(torch.equal(labels, expected(module, image)) for labels, image in zip(maps, images, strict=True))


def test_an_inferer_of_the_module_is_used(module: SegmentationModule) -> None:
    image = torch.randint(0, 256, (1, 3, 48, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    module.use_inferer(SlidingWindow(32))
    ((labels,),) = new_predictor().predict(module, DataLoader(image, 1))  # type: ignore[misc, union-attr]
    assert torch.equal(labels, module.inferer.labels(module.net.eval(), image)[0])
    assert not torch.equal(labels, WholeImage().labels(module.net.eval(), image)[0])


def test_limit_predict_batches(module: SegmentationModule, voc: Path) -> None:
    batches: Any = new_predictor(limit_predict_batches=2).predict(module, VOCDataModule(str(voc), num_workers=0))
    assert len(batches) == 2


@pytest.mark.parametrize(
    ("sample", "holds"),
    [
        (torch.zeros(3, 8, 8), r"torch.float32 \(1, 3, 8, 8\)"),
        (torch.zeros(8, 8, dtype=torch.uint8), r"torch.uint8 \(1, 8, 8\)"),
        ({"pixels": torch.zeros(3, 8, 8, dtype=torch.uint8)}, "NoneType"),
        ("scene.png", "str"),
    ],
)
def test_what_is_no_image_is_told(module: SegmentationModule, sample: Any, holds: str) -> None:
    with pytest.raises(UserError, match=f"the batch to predict holds {holds} where uint8 images .* are needed"):
        new_predictor().predict(module, DataLoader([sample], 1))


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_precision_of_python(module: SegmentationModule, voc: Path, precision: Any) -> None:
    with pytest.raises(UserError, match=f"trainer.precision {precision}: losses and scores are exact for weights of"):
        new_predictor(precision=precision).predict(module, VOCDataModule(str(voc), num_workers=0))
