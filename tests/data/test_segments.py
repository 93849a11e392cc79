"""Samples with segments: each pixel's segment has the class of the mask, whatever the augmentation does with both."""

from pathlib import Path

import albumentations as A
import numpy as np
import pytest
import torch

from seglight.data import Augmentation, ShapesDataModule
from seglight.data.augmentation.transforms import class_counts
from seglight.data.collate import collate, collate_padded
from seglight.data.dataset import SegmentationDataset
from seglight.data.segments import NONE, SegmentedDataset, Segments, dataset_of
from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.interfaces import Sample

AUGMENTATIONS = {
    "none": None,
    "scale and crop": Augmentation(48, scale=(0.5, 2.0)),
    "small images": Augmentation(96, scale=(0.3, 0.5)),
    "turned": Augmentation(32, rot90=0.9, flip=0.9),
    "rare classes": Augmentation(32, rare_class_crops=[0.93, *[0.01] * 7], max_class_ratio=0.75),
    "extra": Augmentation(40, extra=(A.Rotate(limit=60, p=1.0), A.GaussianBlur(p=0.5))),
}


def of_segments(sample: Sample) -> torch.Tensor:
    """The class at each pixel by the segments."""
    classes = torch.cat([torch.tensor([255]), sample["segment_classes"]])
    return classes[sample["segments"].long()].to(torch.uint8)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_segments_follow_the_mask_and_image_and_mask_are_those_without_them(name: str) -> None:
    split, plain = (ShapesDataModule(64, instances=each).split("train") for each in (True, False))
    augmented, reference = (dataset_of(each, AUGMENTATIONS[name], 3, 8) for each in (split, plain))
    assert type(augmented) is SegmentedDataset
    assert type(reference) is SegmentationDataset
    several = 0
    for key in ((epoch, index) for epoch in range(2) for index in range(12)):
        sample, expected = augmented[key], reference[key]
        assert torch.equal(sample["image"], expected["image"])
        assert torch.equal(sample["mask"], expected["mask"])
        assert sample["name"] == expected["name"]
        assert sample["segments"].dtype == torch.int32
        assert sample["segments"].shape == sample["mask"].shape
        assert torch.equal(of_segments(sample), sample["mask"])
        assert "segments" not in expected
        several += sample["segment_classes"].unique().numel() < len(sample["segment_classes"])
        assert not sample["segment_crowds"].any()
    assert several, "no two objects of a class: the case tests too little"


def test_each_object_of_a_scene_is_a_segment() -> None:
    """The objects of a class are separate: segments have fewer pixels than their class where there are several."""
    split = ShapesDataModule(96, instances=True).split("val")
    apart = 0
    for index in range(20):
        _, mask, _, segments = split.read_segments(index)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(segments.mask(8), mask)
        pixels = np.bincount(segments.ids[segments.ids != NONE], minlength=len(segments.classes))
        for label in np.unique(segments.classes):
            own = pixels[segments.classes == label]
            assert own.sum() == class_counts(mask)[label]
            apart += (own > 0).sum() > 1
        assert segments.classes[0] == 0
    assert apart > 5


def test_pixels_without_data_belong_to_no_segment() -> None:
    class Split:
        fingerprint = ""

        def __len__(self) -> int:
            return 1

        def sources(self, index: int) -> tuple[Path, ...]:
            return ()

        def read(self, index: int) -> tuple[np.ndarray, np.ndarray, str]:
            return self.read_segments(index)[:3]

        def read_segments(self, index: int) -> tuple[np.ndarray, np.ndarray, str, Segments]:
            image = np.arange(8, dtype=np.uint16).reshape(2, 4, 1)
            mask = np.ones((2, 4), np.uint8)
            return image, mask, "a", Segments(mask.astype(np.uint16) - 1, np.array([1]), np.array([True]))

    bands = Bands(("depth",), "uint16", (1.0,), (1.0,), nodata=3)
    sample = dataset_of(Split(), None, 0, 2, bands)[0, 0]
    assert sample["segments"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert sample["mask"].tolist() == [[1, 1, 1, 255], [1, 1, 1, 1]]
    assert sample["segment_crowds"].tolist() == [True]


def test_batches() -> None:
    small, large = (
        dataset_of(ShapesDataModule(size, instances=True).split("val"), None, 0, 8)[0, 1] for size in (40, 56)
    )
    batch = collate([large, large])
    assert batch["segments"].shape == (2, 56, 56)
    assert batch["segments"].dtype == torch.int32
    batch = collate_padded([small, large])
    assert torch.equal(batch["segments"][0, :40, :40], small["segments"])
    assert not batch["segments"][0, 40:].any()
    assert not batch["segments"][0, :, 40:].any()
    assert torch.equal(batch["segments"][1], large["segments"])
    assert [each.tolist() for each in batch["segment_classes"]] == [
        each["segment_classes"].tolist() for each in (small, large)
    ]
    assert len(batch["segment_crowds"]) == 2


def test_loaders_of_the_embedded_scenes() -> None:
    datamodule = ShapesDataModule(48, 6, 3, Augmentation(32), batch_size=2, num_workers=0, instances=True)
    assert datamodule.things == (1, 2, 3, 4, 5, 6, 7)
    datamodule.setup("fit")
    for batch, size in ((next(iter(datamodule.train_dataloader())), 32), (next(iter(datamodule.val_dataloader())), 48)):
        assert batch["segments"].shape[1:] == (size, size)
        for k, mask in enumerate(batch["mask"]):
            sample = {name: batch[name][k] for name in ("segments", "segment_classes")}
            assert torch.equal(of_segments(sample), mask)  # type: ignore[arg-type]
    plain = ShapesDataModule(48, 6, 3, batch_size=2, num_workers=0)
    plain.setup("fit")
    assert plain.things == ()
    assert list(next(iter(plain.train_dataloader()))) == ["image", "mask", "name", "size"]


def test_a_cache_is_refused(tmp_path: Path) -> None:
    datamodule = ShapesDataModule(48, 6, 3, num_workers=0, cache=str(tmp_path), instances=True)
    with pytest.raises(UserError, match="holds no instances"):
        datamodule.setup("validate")


def test_segments_of_another_size_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    split = ShapesDataModule(48, instances=True).split("val")
    image, mask, name, segments = split.read_segments(0)  # type: ignore[attr-defined]
    other = image, mask, name, segments._replace(ids=segments.ids[1:])
    monkeypatch.setattr(type(split), "read_segments", lambda self, index: other)
    with pytest.raises(UserError, match="its segments do not fit its mask"):
        dataset_of(split)[0, 0]
