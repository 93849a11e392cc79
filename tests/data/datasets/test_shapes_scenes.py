import subprocess
import sys

import numpy as np
import pytest

from seglight.data.datasets.shapes_scenes import CLASSES, RARE, draw_scene

SCENES = 150


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Pixels of each value 0..255 in each scene: (scenes, 256)."""
    return np.array([np.bincount(draw_scene(seed, 48)[1].ravel(), minlength=256) for seed in range(SCENES)])


def test_drawing_imports_no_torch() -> None:
    code = "import sys, seglight.data.datasets.shapes_scenes; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_scene_is_a_pure_function_of_seed_and_size() -> None:
    image, mask = draw_scene(5, 64)
    draw_scene(6, 64)
    np.random.seed(1)  # noqa: NPY002  # the global state is no input
    again_image, again_mask = draw_scene(5, 64)
    assert (image == again_image).all()
    assert (mask == again_mask).all()
    assert (image.shape, mask.shape) == ((64, 64, 3), (64, 64))
    assert (image != draw_scene(6, 64)[0]).any()
    assert draw_scene(5, 48)[1].shape == (48, 48)


def test_every_class_and_the_ignored_rim_are_there(pixels: np.ndarray) -> None:
    assert len(CLASSES) - 1 >= 6
    assert sorted(np.flatnonzero(pixels.sum(0))) == [*range(len(CLASSES)), 255]
    assert (pixels[:, 255] > 0).all(), "a rim in every scene"
    assert pixels[:, 255].sum() < 0.3 * pixels.sum()


def test_the_cross_is_rarer_than_every_other_class(pixels: np.ndarray) -> None:
    assert CLASSES.names[RARE] == "cross"
    scenes = (pixels[:, : len(CLASSES)] > 0).sum(0)
    others = np.delete(scenes, RARE)
    assert 0 < 2 * scenes[RARE] < others.min()


def test_colour_does_not_tell_the_class() -> None:
    """The mean colour of the discs is that of the squares, within what chance allows."""
    colors: dict[int, list[np.ndarray]] = {1: [], 3: []}
    for seed in range(SCENES):
        image, mask = draw_scene(seed, 32)
        for kind, found in colors.items():
            if (mask == kind).any():
                found.append(image[mask == kind].mean(0))
    means = [np.mean(found, 0) for found in colors.values()]
    error = [np.std(found, 0) / len(found) ** 0.5 for found in colors.values()]
    assert (np.abs(means[0] - means[1]) < 4 * np.hypot(*error)).all()
