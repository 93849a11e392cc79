"""Label errors that `python -m benchmarks label_errors` injects, and how it counts hits."""

import numpy as np
import pytest

from benchmarks._label_noise import IGNORED, LabelError, inject
from benchmarks.label_errors import Hit, hit_of, precision

SIZE = (100, 120)


def scene() -> np.ndarray:
    """Twelve objects of class 1 in class 0, each of 120 pixels, beside ignored pixels."""
    mask = np.zeros(SIZE, np.uint8)
    for row in range(3):
        for column in range(4):
            mask[10 + 30 * row : 20 + 30 * row, 8 + 28 * column : 20 + 28 * column] = 1
    mask[:, 118:] = IGNORED
    return mask


def test_errors_are_a_function_of_the_seed_and_change_what_they_say() -> None:
    masks = [scene(), scene()]
    noisy = inject(masks, 4, seed=3, share=0.5)
    again = inject(masks, 4, seed=3, share=0.5)
    other = inject(masks, 4, seed=4, share=0.5)
    assert noisy.errors == again.errors != other.errors
    assert noisy.objects == 24, "the ground is larger than an object"
    assert [error.kind for error in noisy.errors].count("flip") == 4
    assert [error.kind for error in noisy.errors].count("drop") == 4
    for number, error in enumerate(noisy.errors, 1):
        changed = noisy.numbers[error.image] == number
        assert changed.sum() == error.pixels
        assert (noisy.masks[error.image][changed] == error.given).all()
        before = masks[error.image][changed]
        if error.kind == "dilate":
            assert (before == 0).all()
            assert error.given == error.true == 1
        else:
            assert (before == 1).all()
            assert error.pixels == 120
            assert error.given == 0 if error.kind == "drop" else error.given in (2, 3)
    for mask, changed, numbers in zip(masks, noisy.masks, noisy.numbers, strict=True):
        np.testing.assert_array_equal(mask != changed, numbers > 0)


def test_a_region_hits_the_error_that_most_of_it_is_of() -> None:
    numbers = np.zeros((10, 10), np.uint16)
    numbers[:4, :4] = 1
    numbers[6:, 6:] = 2
    region = np.zeros((10, 10), bool)
    region[:4, :7] = True
    assert hit_of(numbers, region) == Hit(0)
    region[:4, 7] = True
    assert hit_of(numbers, region) == Hit(None), "half of it is not most of it"
    assert hit_of(numbers, numbers == 2) == Hit(1)


def test_precision_counts_each_error_once_and_leaves_out_other_kinds() -> None:
    errors = [LabelError(0, kind, 1, 0, 9) for kind in ("flip", "drop", "dilate", "flip")]
    ranked = [Hit(2), Hit(0), Hit(0), Hit(None), Hit(3), Hit(1)]
    # of the first three regions that are on no dilated object, one finds an error for the first time
    found = precision(ranked, errors, ("flip", "drop"))
    assert found == {"precision": pytest.approx(1 / 3), "flip": 0.5, "drop": 0.0, "k": 3}
    assert precision(ranked, errors, ("dilate",)) == {"precision": 1.0, "k": 1}
    assert precision(ranked[1:2], errors, ("flip",)) == {"precision": 0.5, "k": 2}
