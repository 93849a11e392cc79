"""Every kind against the published package's stored outputs, and what holds for all of them.

Where the package is random, its own random numbers are used: they are the same in all versions of numpy. The tolerances
are those of other libraries and processors: OpenCV's large filters, the last bit of a sum, JPEG decoders.

Covers: robustness.corruptions.blur, robustness.corruptions.digital, robustness.corruptions.noise,
robustness.corruptions.resampling, robustness.corruptions.values, robustness.corruptions.weather.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from seglight.errors import UserError
from seglight.robustness import CAMERA_CORRUPTIONS, CORRUPTIONS, VALIDATION_CORRUPTIONS, corrupt
from seglight.robustness.corruptions.blur import scattered
from seglight.robustness.corruptions.corrupt import FIXED, RANDOM
from seglight.robustness.corruptions.resampling import displaced, zoomed
from tests.support import published_corruptions as published

ALL = (*CORRUPTIONS, *VALIDATION_CORRUPTIONS, *CAMERA_CORRUPTIONS)

EXACT = {
    "brightness", "contrast", "pixelate", "saturate", "gaussian_noise", "shot_noise", "speckle_noise", "fog",
}  # fmt: skip
"""Kinds that are arithmetic on single values, and Pillow's integer resampling: equal to the last bit."""

OTHERS = 0.002
"""Share of the values of other kinds that may differ by one level, where a value lies between two levels."""


@pytest.fixture(scope="module")
def stored() -> dict[str, NDArray[np.generic]]:
    with np.load(published.PATH) as content:
        return dict(content)


@pytest.mark.parametrize(("kind", "severity"), list(published.cases()))
def test_the_published_package_gives_the_same(kind: str, severity: int, stored: dict[str, NDArray[np.generic]]) -> None:
    image = stored["image"].astype(np.uint8)
    random = published.Legacy(severity)
    ours = FIXED[kind](image, severity) if kind in FIXED else RANDOM[kind](image, severity, random)  # type: ignore[arg-type]
    theirs = stored[f"{kind} {severity}"]
    difference = np.abs(ours.astype(int) - theirs.astype(int))
    if kind in EXACT:
        assert difference.max() == 0
    elif kind == "jpeg_compression":  # decoders may round in their own way
        assert difference.max() <= 2
        assert (difference > 0).mean() <= 0.01
    else:
        assert difference.max() <= 1
        assert (difference > 0).mean() <= OTHERS


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("kind", published.NOISE)
def test_noise_has_the_published_distribution(kind: str, severity: int, stored: dict[str, NDArray[np.generic]]) -> None:
    """The largest distance of the distribution functions, of Kolmogorov and Smirnov, at a level of one in 10,000."""
    for level, theirs in zip(published.LEVELS, stored[f"histogram {kind} {severity}"], strict=True):
        flat = np.full((2 * published.SIDE, published.SIDE, 3), level, np.uint8)
        ours = published.histogram(level, corrupt(flat, kind, severity, 0, f"{level}"))
        n, m = ours.sum(), theirs.sum()
        distance = np.abs(np.cumsum(ours) / n - np.cumsum(theirs) / m).max()
        assert distance < 2.23 * np.sqrt((n + m) / (n * m)), level


def loop(image: NDArray[np.uint8], offsets: NDArray[np.int64], reach: int) -> NDArray[np.uint8]:
    """A round of glass blur pixel by pixel, with the assignment of the published package."""
    image = image.copy()
    height, width = image.shape[:2]
    for row, y in enumerate(range(height - reach, reach, -1)):
        for column, x in enumerate(range(width - reach, reach, -1)):
            dx, dy = offsets[row, column]
            image[y, x], image[y + dy, x + dx] = image[y + dy, x + dx], image[y, x]
    return image


@pytest.mark.parametrize("reach", [1, 2, 4])
def test_glass_blur_scatters_as_a_loop_over_pixels_does(reach: int) -> None:
    rng = np.random.default_rng(reach)
    image = rng.integers(0, 256, (37, 29, 3), np.uint8)
    offsets = rng.integers(-reach, reach, (37 - 2 * reach, 29 - 2 * reach, 2))
    assert np.array_equal(scattered(image, offsets, reach), loop(image, offsets, reach))
    chains = np.zeros_like(offsets)
    chains[..., 0] = reach - 1  # each pixel is a copy of one that was visited just before
    assert np.array_equal(scattered(image, chains, reach), loop(image, chains, reach))


def test_resampling_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((23, 31, 3))
    middle = image[3 : 3 + 16, 5 : 5 + 21]  # 23 / 1.5 and 31 / 1.5 pixels, rounded up
    assert np.allclose(zoomed(image, 1.5), ndimage.zoom(middle, (1.5, 1.5, 1), order=1))
    down, across = (rng.uniform(-40, 40, image.shape[:2]).astype(np.float32) for _ in range(2))
    y, x = np.mgrid[:23, :31]
    for band in range(3):
        theirs = ndimage.map_coordinates(image[..., band], (y + down, x + across), order=1, mode="reflect")
        ours = displaced(image.astype(np.float32), down, across)[..., band]
        assert np.allclose(ours, theirs, atol=1e-5)


def test_the_kinds_are_those_of_the_paper() -> None:
    assert len(CORRUPTIONS) == 15
    assert len(VALIDATION_CORRUPTIONS) == 4
    assert sorted(ALL) == sorted((*FIXED, *RANDOM))


@pytest.mark.parametrize("kind", ALL)
def test_an_image_is_corrupted_by_seed_name_kind_and_severity_alone(kind: str) -> None:
    image = published.drawn_image(40, 56)
    before = image.copy()
    image.flags.writeable = False
    np.random.seed(0)  # noqa: NPY002  # its state must neither matter nor change
    state = np.random.get_state()[2]  # noqa: NPY002
    first = corrupt(image, kind, 3, 0, "a.png")
    assert first.dtype == np.uint8
    assert first.shape == image.shape
    assert np.array_equal(first, corrupt(image, kind, 3, 0, "a.png"))
    assert np.array_equal(image, before)
    assert np.random.get_state()[2] == state  # noqa: NPY002
    same = [np.array_equal(first, corrupt(image, kind, 3, *other)) for other in ((1, "a.png"), (0, "b.png"))]
    assert same == [kind in FIXED] * 2
    assert not np.array_equal(first, corrupt(image, kind, 4, 0, "a.png"))


@pytest.mark.parametrize("kind", ALL)
def test_a_higher_severity_does_more(kind: str) -> None:
    """Saturation, whose first two severities are paler and whose others are stronger, apart."""
    image = published.drawn_image(64, 80)
    change = [np.abs(corrupt(image, kind, severity, 0, "a").astype(int) - image).mean() for severity in (1, 2, 3, 4, 5)]
    assert change[4] > change[0] > 0 or kind == "saturate"


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (7, 33), (65, 9)])
def test_images_of_any_size(kind: str, size: tuple[int, int]) -> None:
    image = published.drawn_image(72, 64)[: size[0], : size[1]]
    for severity in (1, 5):
        assert corrupt(image, kind, severity, 0, "a").shape == (*size, 3)


def test_names_of_files_that_are_no_text() -> None:
    assert corrupt(published.drawn_image(8, 8), "fog", 1, 0, "a\udcff.png").shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("image", "kind", "severity", "message"),
    [
        (np.zeros((8, 8, 4), np.uint8), "fog", 1, "a.png: uint8 (8, 8, 4): corruptions need RGB images"),
        (np.zeros((8, 8), np.uint8), "fog", 1, "uint8 of shape (H, W, 3)"),
        (np.zeros((8, 8, 3), np.float32), "fog", 1, "float32"),
        (np.zeros((0, 8, 3), np.uint8), "fog", 1, "(0, 8, 3)"),
        (np.zeros((8, 8, 3), np.uint8), "rain", 1, "there is no corruption rain: choose from "),
        (np.zeros((8, 8, 3), np.uint8), "fog", 6, "severity 6: give a whole number from 1 to 5"),
        (np.zeros((1, 65501, 3), np.uint8), "jpeg_quality", 1, "a JPEG has at most 65500 pixels a side, not 1x65501"),
    ],
)
def test_what_is_refused(image: NDArray[np.generic], kind: str, severity: int, message: str) -> None:
    with pytest.raises(UserError) as raised:
        corrupt(image, kind, severity, 0, "a.png")  # type: ignore[arg-type]
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
