"""Covers: data.augmentation.extra, data.augmentation.windows."""

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytest
from jsonargparse import ArgumentParser
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms.functional import rotate

from benchmarks._loader_peers import Case
from benchmarks.loader import check_distribution
from seglight.commands.recipe import datamodule_from
from seglight.data import Augmentation, PerBand
from seglight.data.augmentation.color import color_matrix
from seglight.data.augmentation.windows import cut, draw_window
from seglight.errors import UserError
from seglight.images.bands import Bands
from tests.support import fabricate

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
STILL = {"scale": (1.0, 1.0), "flip": 0.0, "photometric": 0.0}


def sample(height: int = 40, width: int = 48) -> Pair:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), np.uint8), fabricate.labels(rng, (height, width), range(5))


def as_bytes(pair: Pair) -> bytes:
    return pair[0].tobytes() + pair[1].tobytes()


def test_same_key_same_result_whatever_came_before_and_whoever_asks() -> None:
    augmentation, pair = Augmentation(32), sample()
    keys = [(seed, epoch, index) for seed in (0, 1) for epoch in (0, 1) for index in range(3)]
    first = {key: as_bytes(augmentation(*pair, key)) for key in keys}
    again = {key: as_bytes(augmentation(*pair, key)) for key in reversed(keys)}
    elsewhere = pickle.loads(pickle.dumps(augmentation))
    np.random.seed(7)  # noqa: NPY002  # the global state is no input
    assert first == again
    assert first == {key: as_bytes(elsewhere(*pair, key)) for key in keys[::2] + keys[1::2]}


def test_seed_epoch_and_index_each_decide() -> None:
    augmentation, pair = Augmentation(32), sample()
    results = [as_bytes(augmentation(*pair, key)) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]]
    assert len(set(results)) == 4


def test_the_input_is_not_changed() -> None:
    image, mask = sample()
    before = as_bytes((image, mask))
    Augmentation(32)(image, mask, (0, 0, 0))
    assert as_bytes((image, mask)) == before


def test_nothing_asked_for_is_nothing_done() -> None:
    image, mask = sample()
    out_image, out_mask = Augmentation((40, 48), **STILL)(image, mask, (0, 0, 0))
    assert as_bytes((out_image, out_mask)) == as_bytes((image, mask))


@pytest.mark.parametrize(("crop_size", "shape"), [(24, (24, 24)), ((16, 40), (16, 40)), ((90, 20), (90, 20))])
def test_every_crop_has_the_size_asked_for(crop_size: int | tuple[int, int], shape: tuple[int, int]) -> None:
    augmentation, pair = Augmentation(crop_size), sample()
    for index in range(10):
        image, mask = augmentation(*pair, (0, 0, index))
        assert (image.shape, mask.shape) == ((*shape, 3), shape)
        assert (image.dtype, mask.dtype) == (np.uint8, np.uint8)


def test_padding_is_ignored_in_the_mask_and_grey_in_the_image() -> None:
    image, mask = np.full((8, 10, 3), 200, np.uint8), np.full((8, 10), 3, np.uint8)
    augmentation = Augmentation(16, **STILL)
    for index in range(10):
        out_image, out_mask = augmentation(image, mask, (0, 0, index))
        assert np.unique(out_mask, return_counts=True)[1].tolist() == [80, 176]
        assert (out_image[out_mask == 3] == 200).all()
        assert (out_image[out_mask == 255] == 128).all()


def test_scaling_invents_no_label() -> None:
    image, _ = sample()
    mask = fabricate.labels(np.random.default_rng(1), (40, 48), [0, 10, 200], block=1)
    for index in range(20):
        _, out = Augmentation(64)(image, mask, (0, 0, index))
        assert set(np.unique(out)) <= {0, 10, 200, 255}


def test_image_and_mask_stay_aligned_to_the_pixel_without_scaling() -> None:
    _, mask = sample()
    image = np.stack([40 * mask] * 3, 2)
    augmentation = Augmentation(32, scale=(1, 1), flip=0.5, photometric=0)
    for index in range(20):
        out_image, out_mask = augmentation(image, mask, (0, 0, index))
        assert (out_image[..., 0] == 40 * out_mask).all()


def test_image_and_mask_stay_aligned_under_scaling() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[20:, :] = 1
    mask[:, 50:] = 1
    image = np.stack([200 * mask] * 3, 2)
    augmentation = Augmentation(64, photometric=0)
    for index in range(30):
        out_image, out_mask = augmentation(image, mask, (0, 0, index))
        inside = out_mask != 255
        wrong = inside & ((out_image[..., 0] > 100) != (out_mask == 1))
        # not a pixel beside the border's own row and column
        assert wrong.sum() <= 2 * 64 - 1
        assert wrong.any(0).sum() <= 1 or wrong.any(1).sum() <= 1


def test_flip_mirrors_both_and_comes_as_often_as_asked() -> None:
    image, mask = sample(8, 8)
    mirrored = as_bytes((image[:, ::-1], mask[:, ::-1]))
    always = Augmentation(8, scale=(1, 1), flip=1, photometric=0)
    assert as_bytes(always(image, mask, (0, 0, 0))) == mirrored
    half = Augmentation(8, scale=(1, 1), flip=0.5, photometric=0)
    flipped = [as_bytes(half(image, mask, (0, 0, index))) == mirrored for index in range(200)]
    assert 70 < sum(flipped) < 130
    assert 60 < sum(a != b for a, b in pairwise(flipped)) < 140, "neighbours do not flip together"


def test_rotations_are_those_of_torchvision_and_come_as_often_as_asked() -> None:
    image, mask = sample(8, 8)
    turned = [np.asarray(rotate(Image.fromarray(image), 90 * turns)) for turns in range(4)]
    classes = [np.asarray(rotate(Image.fromarray(mask), 90 * turns)) for turns in range(4)]
    augmentation = Augmentation(8, **STILL, rot90=0.75)
    counts = [0, 0, 0, 0]
    for index in range(400):
        out_image, out_mask = augmentation(image, mask, (0, 0, index))
        turns = next(turns for turns in range(4) if (turned[turns] == out_image).all())
        assert (classes[turns] == out_mask).all()
        assert out_image.flags["C_CONTIGUOUS"]
        counts[turns] += 1
    assert all(70 < count < 130 for count in counts), counts


def test_options_that_are_off_draw_nothing() -> None:
    """So that what was drawn before there were these options is drawn still."""
    pair = sample()
    plain, off = Augmentation(32), Augmentation(32, rot90=0.0, per_band=None)
    for index in range(5):
        rng = np.random.default_rng((0, 0, index))
        window = draw_window(rng, (40, 48), (32, 32), (0.5, 2.0))
        image, mask = (
            cut(pixels, window, (32, 32), how, padding)
            for pixels, how, padding in zip(pair, (cv2.INTER_LINEAR, cv2.INTER_NEAREST_EXACT), (128, 255), strict=True)
        )
        if rng.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        factors, hue = rng.uniform(0.6, 1.4, 3), rng.uniform(-0.05, 0.05)
        image = cv2.transform(np.ascontiguousarray(image), color_matrix(image.mean((0, 1)), *factors, hue))
        for found, labels in (plain(*pair, (0, 0, index)), off(*pair, (0, 0, index))):
            assert np.abs(found.astype(int) - image).max() <= 1  # the mean of OpenCV is rounded in another way
            np.testing.assert_array_equal(labels, mask)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
def test_colours_of_rgb_of_any_type_change_in_the_same_way(kind: str) -> None:
    """Those of a described image with values without data, against the matrix applied by NumPy."""
    bands = Bands(("R", "G", "B"), kind, (60.0,) * 3, (20.0,) * 3, nodata=1)
    image = np.random.default_rng(0).integers(30, 90, (32, 32, 3)).astype(kind)
    image[4:8, 4:8] = 1
    found, _ = Augmentation(32, **STILL | {"photometric": 0.3})(image, np.zeros((32, 32), np.uint8), (0, 0, 0), bands)
    rng = np.random.default_rng((0, 0, 0))
    rng.uniform()
    rng.integers(0, 1, 2)
    rng.random()
    data = np.ones((32, 32), bool)
    data[4:8, 4:8] = False
    matrix = color_matrix(image[data].mean(0), *rng.uniform(0.7, 1.3, 3), rng.uniform(-0.0375, 0.0375))
    expected = image[data] @ matrix[:, :3].T + matrix[:, 3]
    assert np.abs(found[data] - expected.clip(0, None)).max() <= (0.6 if kind != "float32" else 1e-3)
    assert (found[~data] == 1).all()
    assert found.dtype == np.dtype(kind)


@pytest.mark.parametrize("names", [("nir", "red", "green"), ("blue", "green", "red"), ("a",), ("r", "g", "b", "nir")])
def test_colours_of_other_bands_are_refused_in_one_line_that_names_per_band(names: tuple[str, ...]) -> None:
    count = len(names)
    bands = Bands(names, "uint16", (1.0,) * count, (1.0,) * count)
    said = (
        f"augmentation.photometric needs RGB images, and these have {bands.line()}: "
        "set data.augmentation.photometric: 0, and data.augmentation.per_band for changes of each band"
    )
    with pytest.raises(UserError) as refused:
        Augmentation(8)(np.zeros((8, 8, count), np.uint16), np.zeros((8, 8), np.uint8), (0, 0, 0), bands)
    assert str(refused.value) == said


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_extra_transforms_keep_values_without_data_apart(kind: str) -> None:
    bands = Bands(("a", "b"), kind, (50.0, 50.0), (9.0, 9.0), nodata=0)
    image, mask = np.full((64, 64, 2), 50, kind), np.full((64, 64), 3, np.uint8)
    image[20:30, 20:30] = image[40:, 40:, 1] = 0
    turning = A.Rotate(limit=(45, 45), border_mode=cv2.BORDER_CONSTANT, p=1.0)
    found, labels = Augmentation(64, **STILL, extra=[turning])(image, mask, (0, 0, 0), bands)
    assert (found[labels == 255] == 0).all()
    # albumentations mixes the rim of the crop with what it fills beyond
    inside = cv2.erode((labels == 3).astype(np.uint8), np.ones((5, 5), np.uint8)) == 1
    assert {*np.unique(found[inside])} == {0, 50}
    middle = cv2.circle(np.zeros((64, 64), np.uint8), (32, 32), 28, 1, -1) == 1  # nothing is filled there
    assert ((found == 0).all(2) & middle).sum() == pytest.approx(100, abs=15)
    assert ((found[..., 1] == 0) & (found[..., 0] == 50) & inside).any()


@pytest.mark.parametrize(
    ("transform", "kind", "said"),
    [
        (A.GaussNoise(p=0.1), "float32", "GaussNoise limits float32 values to those from 0 to 1: remove it, or use"),
        (A.RandomBrightnessContrast(p=0.1), "float32", "RandomBrightnessContrast limits float32 values"),
        (A.CLAHE(p=0.1), "uint16", "CLAHE fails on an image of 3 bands, uint16: "),
    ],
)
def test_extra_transforms_that_do_not_fit_a_type_are_refused(transform: Any, kind: str, said: str) -> None:
    bands = Bands(("a", "b", "c"), kind, (50.0,) * 3, (9.0,) * 3)
    with pytest.raises(UserError, match=f"^augmentation.extra: {said}"):
        Augmentation(8, **STILL, extra=[transform])(
            np.full((8, 8, 3), 50, kind), np.zeros((8, 8), np.uint8), (0, 0, 0), bands
        )


def test_photometric_changes_the_image_and_never_the_mask() -> None:
    image, mask = sample()
    out_image, out_mask = Augmentation((40, 48), scale=(1, 1), flip=0)(image, mask, (0, 0, 0))
    assert (out_mask == mask).all()
    assert (out_image != image).any()


def in_place(shape: tuple[int, int]) -> NDArray[np.float32]:
    """An image whose channels are each pixel's own y and x."""
    grid = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return np.stack((*grid, grid[0]), 2).astype(np.float32)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_crop_is_that_of_the_scaled_image(factor: float) -> None:
    """Scaling the whole image and cropping then is what is promised; OpenCV does it here."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (64, 96, 3), np.uint8), (0, 0), 2)
    mask = fabricate.labels(rng, (64, 96), range(5), block=8)
    whole = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    whole_mask = cv2.resize(mask, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST_EXACT)
    crop = Augmentation(24, scale=(factor, factor), flip=0, photometric=0)
    compared = 0
    for index in range(40):
        window = draw_window(np.random.default_rng((0, 0, index)), (64, 96), (24, 24), (factor, factor))
        top, left = window.top * factor, window.left * factor
        if top % 1 or left % 1:  # between two pixels of the scaled image
            continue
        top, left, compared = int(top), int(left), compared + 1
        inner = slice(top + 2, top + 22), slice(left + 2, left + 22)  # at its rim a crop sees no neighbours
        out_image, out_mask = crop(image, mask, (0, 0, index))
        assert (out_image[2:-2, 2:-2] == whole[inner]).all()
        assert (out_mask[2:-2, 2:-2] == whole_mask[inner]).all()
    assert compared >= 5


@pytest.mark.parametrize(("size", "crop"), [((120, 160), (64, 96)), ((60, 50), (64, 64))])
def test_crops_are_distributed_as_those_of_torchvision_and_albumentations(
    size: tuple[int, int], crop: tuple[int, int]
) -> None:
    p_values = check_distribution(Case("voc", Path(), size, crop), 300)
    assert p_values.keys() == {"torchvision", "albumentations"}


def test_a_crop_touches_the_rows_of_its_window_only() -> None:
    image, mask = sample(200, 100)

    class Spy(np.ndarray):
        def __getitem__(self, key: object) -> object:
            touched.append(key if isinstance(key, tuple) else (key, slice(0)))
            return super().__getitem__(key)

    for index in range(5):
        touched: list[tuple[slice, slice]] = []
        Augmentation(20, photometric=0)(image.view(Spy), mask.view(Spy), (0, 0, index))
        assert len(touched) >= 2
        assert all(10 <= rows.stop - rows.start <= 40 for rows, _ in touched)


def test_rare_class_crops_hold_a_class_by_one_over_the_root_of_its_share() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[40:42, 10:12] = 1
    mask[5, 60] = 2
    shares = [0.9, 0.09, 0.01]  # of the data set: one over the root is 1.05, 3.33, 10
    image = in_place((64, 64))
    steered = Augmentation(8, scale=(1, 1), photometric=0, rare_class_crops=shares)
    seen = [set(np.unique(steered(image, mask, (0, 0, index))[1])) for index in range(600)]
    assert sum(2 in classes for classes in seen) / 600 == pytest.approx(10 / 14.39, abs=0.05)
    assert sum(1 in classes for classes in seen) / 600 == pytest.approx(3.33 / 14.39, abs=0.05)
    plain = [set(np.unique(Augmentation(8, scale=(1, 1))(image, mask, (0, 0, k))[1])) for k in range(300)]
    assert sum(2 in classes for classes in plain) < 10
    assert {np.unique(steered(image, np.full_like(mask, 255), (0, 0, 0))[1]).item()} == {255}


def test_max_class_ratio_bounds_the_share_of_one_class() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 1
    mask[:32] = np.where(mask[:32] == 1, 255, 0)  # above: nothing but 0 is labelled
    image = in_place((64, 64))
    even = Augmentation(16, scale=(1, 1), max_class_ratio=0.75)

    def ratio(labels: NDArray[np.uint8]) -> float:
        counts = np.bincount(labels[labels != 255], minlength=1)
        return counts.max() / counts.sum() if counts.any() else 1.0

    ratios = [ratio(even(image, mask, (0, 0, index))[1]) for index in range(200)]
    free = [ratio(Augmentation(16, scale=(1, 1))(image, mask, (0, 0, index))[1]) for index in range(1000)]
    luck = np.mean(np.array(free) <= 0.75)
    assert 0.05 < luck < 0.3
    assert np.mean(np.array(ratios) <= 0.75) == pytest.approx(1 - (1 - luck) ** 10, abs=0.1)
    hopeless = even(image, np.zeros_like(mask), (0, 0, 0))[1]
    assert (hopeless == 0).all()


def test_steered_crops_are_functions_of_their_key_too() -> None:
    augmentation, pair = Augmentation(16, max_class_ratio=0.5, rare_class_crops=[0.2] * 5), sample()
    first = [as_bytes(augmentation(*pair, (0, 0, index))) for index in range(10)]
    assert [as_bytes(augmentation(*pair, (0, 0, index))) for index in reversed(range(10))] == first[::-1]
    assert len(set(first)) == 10


def test_what_an_extra_transform_fills_is_ignored_and_no_class() -> None:
    image, mask = np.full((64, 64, 3), 200, np.uint8), np.full((64, 64), 3, np.uint8)
    turning = A.Rotate(limit=(45, 45), border_mode=cv2.BORDER_CONSTANT, p=1.0)
    _, turned = Augmentation(64, **STILL, extra=[turning])(image, mask, (0, 0, 0))
    assert {*np.unique(turned)} == {3, 255}, "albumentations fills with 0, which would be a class"
    y, x = np.mgrid[:64, :64] - 31.5
    inside = (np.abs(x + y) / np.sqrt(2) < 31) & (np.abs(x - y) / np.sqrt(2) < 31)  # of the square turned by 45 degrees
    assert (turned[inside] == 3).all()
    assert (turned[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()


def test_extra_transforms_of_albumentations_are_done_to_the_crop_by_the_same_key() -> None:
    image, mask = sample()
    noisy = Augmentation((40, 48), **STILL, extra=[A.GaussNoise(p=0.5), A.VerticalFlip(p=0.5)])
    results = [noisy(image, mask, (0, 0, index)) for index in range(40)]
    again = [noisy(image, mask, (0, 0, index)) for index in range(40)]
    assert list(map(as_bytes, results)) == list(map(as_bytes, again))
    flipped = [bool((out_mask == mask[::-1]).all()) for _, out_mask in results]
    assert 8 < sum(flipped) < 32
    assert any((out != image).any() for out, _ in results)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop_size": 0}, r"crop_size 0 .* must be positive"),
        ({"crop_size": (8, -1)}, r"crop_size \(8, -1\)"),
        ({"crop_size": 8, "scale": (2.0, 0.5)}, r"scale \(2.0, 0.5\) must be positive, scale \[least, most\]"),
        ({"crop_size": 8, "scale": (0.0, 1.0)}, r"scale \(0.0, 1.0\)"),
        ({"crop_size": 8, "flip": 1.5}, r"flip 1.5 .* must lie in \[0, 1\]"),
        ({"crop_size": 8, "photometric": -0.1}, r"photometric -0.1 must lie in \[0, 1\]"),
        ({"crop_size": 8, "rot90": 1.5}, r"rot90 1.5 must lie in \[0, 1\]"),
        ({"crop_size": (8, 9), "rot90": 0.5}, r"rot90 needs a square crop, and crop_size is \(8, 9\): give one number"),
        ({"crop_size": 8, "max_class_ratio": 0.0}, r"max_class_ratio 0.0 must lie in \(0, 1\]"),
        ({"crop_size": 8, "rare_class_crops": [0.5, 0.2]}, r"rare_class_crops .* together 1: .*seglight doctor"),
        ({"crop_size": 8, "rare_class_crops": [1.0]}, r"rare_class_crops must hold the share of each class"),
    ],
)
def test_senseless_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=f"^augmentation: .*{message}"):
        Augmentation(**arguments)


def test_every_option_can_stand_in_a_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        """
data:
  class_path: seglight.data.ShapesDataModule
  init_args:
    augmentation:
      crop_size: [32, 48]
      rot90: 0.0
      per_band: {gain: 0.1, noise: 0.05}
      max_class_ratio: 0.75
      rare_class_crops: [0.7, 0.05, 0.05, 0.05, 0.05, 0.05, 0.04, 0.01]
      extra:
        - {class_path: albumentations.GaussNoise, init_args: {p: 0.3}}
        - albumentations.VerticalFlip
"""
    )
    parser = ArgumentParser(exit_on_error=False)
    datamodule, _ = datamodule_from(parser, ["--config", str(recipe)])
    augmentation = datamodule.augmentation
    assert augmentation is not None
    assert [type(step) for step in augmentation.extra] == [A.GaussNoise, A.VerticalFlip]
    assert augmentation.extra[0].p == 0.3
    assert augmentation.per_band == PerBand(gain=0.1, noise=0.05)
    image, mask = augmentation(*sample(), (0, 0, 0))
    assert (image.shape, mask.shape) == ((32, 48, 3), (32, 48))
