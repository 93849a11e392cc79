"""Divisions that leave no class out of the training."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from seglight.commands.init.class_cover import classes_in, covering
from seglight.data.layouts.layout import Choices
from seglight.data.sequences import divided, validation
from tests.support import fabricate
from tests.support.plain_folder import recognise_folder


def of_parts(parts: tuple[tuple[int, ...], ...], present: list[frozenset[int]]) -> list[frozenset[int]]:
    return [frozenset().union(*(present[index] for index in part)) for part in parts]


@pytest.mark.parametrize("rare", [(a, b) for a in (1, 5, 9) for b in range(a)])
def test_a_class_in_two_images_is_trained_and_validated(rare: tuple[int, int]) -> None:
    images = [f"{k}.png" for k in range(10)]
    present = [frozenset({0, 1} if k in rare else {0}) for k in range(10)]
    found = covering(lambda seed: validation(images, seed=seed), present, folds=False)
    assert of_parts(found.parts, present) == [{0, 1}, {0, 1}]
    assert found.how.startswith("at random, with seed ")
    folds = covering(lambda seed: divided(images, 3, seed=seed), present, folds=True)
    assert sum(1 in classes for classes in of_parts(folds.parts, present)) == 2


def test_the_first_seed_stays_where_no_class_is_left_out() -> None:
    images = [f"{k}.png" for k in range(10)]
    present = [frozenset({0, 1})] * 9 + [frozenset({0, 2})]  # a class in one image can be in one part only
    assert covering(partial(validation, images, {}), present, folds=False) == validation(images)


def test_classes_in_images(tmp_path: Path) -> None:
    root = fabricate.folder(tmp_path / "own", train=4)
    layout = recognise_folder(root, Choices())
    assert layout is not None
    files = list(layout.splits["train"])
    found = classes_in(layout, files)
    assert found == [frozenset(np.unique(layout.labels(path)).tolist()) - {255} for path in files]
    assert classes_in(layout, files * 200) == [frozenset()] * 800
    (root / "masks" / "train" / "002.png").write_bytes(b"damaged")
    assert classes_in(layout, files)[2] == frozenset()
