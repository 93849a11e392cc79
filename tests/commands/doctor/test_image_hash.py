"""Perceptual hashes against what they should and should not feel."""

import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.doctor.image_hash import HASH_BITS, ImageHash, distance, image_hash, near_duplicates, phash


def scene(seed: int, size: tuple[int, int] = (120, 160)) -> NDArray[np.uint8]:
    """Smooth clouds of colour."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return (image_hash(one).phash ^ image_hash(other).phash).bit_count()


def jpeg(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=50)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("seed", range(5))
def test_hash_withstands_scale_compression_and_brightness(seed: int) -> None:
    image = scene(seed)
    smaller = cv2.resize(image, (80, 60), interpolation=cv2.INTER_AREA)
    darker = (image * 0.9).astype(np.uint8)
    assert max(apart(image, other) for other in (smaller, darker, jpeg(image))) <= HASH_BITS


def test_hashes_of_other_pictures_differ_in_half_the_bits() -> None:
    bits = [apart(scene(a), scene(b)) for a in range(12) for b in range(a)]
    assert 24 < np.mean(bits) < 40
    assert min(bits) > HASH_BITS


def test_hash_is_that_of_the_cosine_transform_of_opencv() -> None:
    grey = cv2.resize(scene(1), (32, 32))[..., 0].astype(np.float32)
    low = cv2.dct(grey)[:8, :8].astype(np.float64)
    low[0] *= np.sqrt(2)  # OpenCV's is orthonormal
    low[:, 0] *= np.sqrt(2)
    bits = "".join("01"[int(one)] for one in (low > np.median(low)).ravel())
    assert phash(grey) == int(bits, 2)


def test_digest_is_of_the_pixels_only() -> None:
    image = scene(0)
    assert image_hash(image).digest == image_hash(np.asfortranarray(image)).digest
    assert image_hash(image).digest != image_hash(image.reshape(160, 120, 3)).digest
    changed = image.copy()
    changed[0, 0, 0] ^= 1
    assert image_hash(image).digest != image_hash(changed).digest


def test_nearest_is_what_a_double_loop_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglight.commands.doctor.image_hash.CHUNK", 7)
    first = [image_hash(scene(seed)) for seed in range(20)]
    second = [image_hash(jpeg(scene(seed))) for seed in (3, 17, 40, 11)]
    pairs = [(a, b) for b, y in enumerate(second) for a, x in enumerate(first) if (x.phash ^ y.phash).bit_count() <= 4]
    assert sorted(near_duplicates(first, second)) == sorted(pairs) == [(3, 0), (11, 3), (17, 1)]
    assert list(near_duplicates([], second)) == list(near_duplicates(first, [])) == []


def test_same_hash_and_other_brightness_are_not_near() -> None:
    image = image_hash(scene(0))
    other = ImageHash(b"", image.phash, image.thumb ^ 0x80)
    assert distance(image, other) == 128
    assert list(near_duplicates([image], [other])) == []
