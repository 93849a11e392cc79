"""Covers: data.collate, data.loading_options."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seglight.data import Augmentation, CamVidDataModule, SegmentationDataModule, ShapesDataModule, VOCDataModule
from seglight.data.dataset import SegmentationDataset
from seglight.errors import UserError
from tests.support import fabricate


def shapes(**changes: object) -> ShapesDataModule:
    arguments = {"size": 40, "train_images": 7, "eval_images": 5, "batch_size": 2, "num_workers": 0}
    datamodule = ShapesDataModule(**{**arguments, **changes})
    datamodule.setup("fit")
    return datamodule


def two_epochs(datamodule: SegmentationDataModule) -> list[tuple[list[str], bytes, bytes]]:
    loader, batches = datamodule.train_dataloader(), []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        batches += [(b["name"], b["image"].numpy().tobytes(), b["mask"].numpy().tobytes()) for b in loader]
    return batches


def test_samples_are_the_same_bytes_for_any_number_of_workers() -> None:
    alone = two_epochs(shapes(augmentation=Augmentation(32)))
    assert len(alone) == 6, "7 images in batches of 2: the odd one is left out of each epoch"
    assert alone[:3] != alone[3:]
    for num_workers in (1, 2):
        assert two_epochs(shapes(augmentation=Augmentation(32), num_workers=num_workers)) == alone


def test_the_seed_decides_order_and_augmentation() -> None:
    runs = [two_epochs(shapes(augmentation=Augmentation(32), seed=seed)) for seed in (0, 0, 1)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_an_epoch_may_begin_anywhere_and_gives_the_same_bytes(num_workers: int) -> None:
    whole = two_epochs(shapes(augmentation=Augmentation(32), num_workers=num_workers))
    loader = shapes(augmentation=Augmentation(32), num_workers=num_workers).train_dataloader()
    loader.sampler.start_at(epoch=0, samples=4)  # two batches of two
    rest = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        rest += [(b["name"], b["image"].numpy().tobytes(), b["mask"].numpy().tobytes()) for b in loader]
    assert rest == whole[2:]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_evaluation_is_every_image_once_in_order_and_as_it_is(num_workers: int) -> None:
    datamodule = shapes(augmentation=Augmentation(8), eval_batch_size=2, num_workers=num_workers)
    batches = list(datamodule.val_dataloader())
    assert [len(batch["name"]) for batch in batches] == [2, 2, 1]
    split = datamodule.split("val")
    expected = [split.read(index) for index in range(5)]
    assert [name for batch in batches for name in batch["name"]] == [name for _, _, name in expected]
    for k, (image, mask, _) in enumerate(expected):
        batch = batches[k // 2]
        assert (batch["image"][k % 2].permute(1, 2, 0).numpy() == image).all()
        assert (batch["mask"][k % 2].numpy() == mask).all()


@pytest.mark.parametrize("augmentation", [None, Augmentation(32)])
@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_are_uint8_and_images_channels_last(augmentation: Augmentation | None, num_workers: int) -> None:
    datamodule = shapes(augmentation=augmentation, num_workers=num_workers)
    side = 32 if augmentation else 40
    batch = next(iter(datamodule.train_dataloader()))
    assert (batch["image"].dtype, batch["image"].shape) == (torch.uint8, (2, 3, side, side))
    assert (batch["mask"].dtype, batch["mask"].shape) == (torch.uint8, (2, side, side))
    assert batch["image"].stride() == (3 * side * side, 1, 3 * side, 3)
    assert batch["mask"].is_contiguous()
    assert len(batch["name"]) == 2


def test_evaluation_pads_images_of_differing_sizes_and_scales_none(voc: Path) -> None:
    datamodule = VOCDataModule(str(voc), eval_batch_size=3, num_workers=0)
    datamodule.setup("validate")
    (batch,) = datamodule.val_dataloader()
    assert batch["size"] == [(40, 56), (44, 52), (48, 56)]
    assert (batch["image"].shape, batch["mask"].shape) == ((3, 3, 48, 56), (3, 48, 56))
    for k, (height, width) in enumerate(batch["size"]):
        image, mask, _ = datamodule.split("val").read(k)
        assert (batch["image"][k, :, :height, :width].permute(1, 2, 0).numpy() == image).all()
        assert (batch["mask"][k, :height, :width].numpy() == mask).all()
        assert (batch["mask"][k] != 255).sum() == (mask != 255).sum()
        assert (batch["image"][k, :, height:] == 0).all()
        assert (batch["image"][k, :, :, width:] == 0).all()


def test_training_images_of_differing_sizes_need_a_crop(voc: Path) -> None:
    datamodule = VOCDataModule(str(voc), batch_size=4, num_workers=0)
    datamodule.setup("fit")
    told = r"^training images of 4 sizes \(such as \(40, 52\) .*\) in one batch: give .*augmentation a crop_size$"
    with pytest.raises(UserError, match=told):
        next(iter(datamodule.train_dataloader()))
    cropped = VOCDataModule(str(voc), Augmentation(32), batch_size=4, num_workers=0)
    cropped.setup("fit")
    assert next(iter(cropped.train_dataloader()))["image"].shape == (4, 3, 32, 32)
    assert [batch["image"].shape[0] for batch in cropped.val_dataloader()] == [1, 1, 1]


def test_a_split_smaller_than_a_step_is_reported_before_training(tmp_path: Path) -> None:
    datamodule = VOCDataModule(str(fabricate.voc(tmp_path / "voc", train=3)), batch_size=4)
    with pytest.raises(UserError, match=r"^the train split has 3 images where one step takes 4: lower .*batch_size"):
        datamodule.setup("fit")
    datamodule.setup("validate")


def test_setup_finds_only_the_splits_of_its_stage(camvid: Path) -> None:
    datamodule = CamVidDataModule(str(camvid))
    datamodule.setup("test")
    assert list(datamodule.splits) == ["test"]


def test_a_mask_of_another_size_is_reported_with_both_sizes(camvid: Path) -> None:
    fabricate.save_mask(camvid / "valannot" / "0001TP_000000.png", np.zeros((18, 24), np.uint8))
    dataset = SegmentationDataset(CamVidDataModule(str(camvid)).split("val"))
    message = rf"^{camvid}/val/0001TP_000000.png: the image is 36x48 and its mask 18x24 \(height x width\)"
    with pytest.raises(UserError, match=message):
        dataset[0, 0]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_process_beyond_the_last_image_gets_one_batch_without_images(num_workers: int) -> None:
    datamodule = shapes(eval_images=2, num_workers=num_workers)
    datamodule.trainer = SimpleNamespace(global_rank=2, world_size=3)
    (batch,) = datamodule.val_dataloader()
    assert (batch["name"], batch["size"]) == ([], [])
    assert (len(batch["image"]), len(batch["mask"])) == (0, 0)
    assert batch["mask"].dtype == torch.uint8
