import pickle
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.data import Augmentation
from seglight.errors import UserError
from tests import fabricate

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


def test_the_input_is_left_alone() -> None:
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


def test_photometric_changes_the_image_and_never_the_mask() -> None:
    image, mask = sample()
    out_image, out_mask = Augmentation((40, 48), scale=(1, 1), flip=0)(image, mask, (0, 0, 0))
    assert (out_mask == mask).all()
    assert (out_image != image).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop_size": 0}, r"crop_size 0 .* must be positive"),
        ({"crop_size": (8, -1)}, r"crop_size \(8, -1\)"),
        ({"crop_size": 8, "scale": (2.0, 0.5)}, r"scale \(2.0, 0.5\) must be positive, scale \[least, most\]"),
        ({"crop_size": 8, "scale": (0.0, 1.0)}, r"scale \(0.0, 1.0\)"),
        ({"crop_size": 8, "flip": 1.5}, r"flip 1.5 .* must lie in \[0, 1\]"),
        ({"crop_size": 8, "photometric": -0.1}, r"photometric -0.1 must lie in \[0, 1\]"),
    ],
)
def test_senseless_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=f"^augmentation: .*{message}"):
        Augmentation(**arguments)
