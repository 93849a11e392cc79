"""Label errors that are injected into the masks of a data set: a pure function of the masks and a seed.

An object is an 8-connected component of a class. A share of all objects of the split is changed, in turn by:

- flip: the object gets another class, drawn from all but its own and the one around it;
- drop: the object gets the class that is most frequent along its outer border;
- dilate: the object grows over its neighbours by a few pixels.

These are the kinds of noise of COCO-N (arXiv 2406.10891), where the approximation of outlines is left out.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.data import CamVidDataModule

Kind = Literal["flip", "drop", "dilate"]
Labels = NDArray[np.uint8]

KINDS: tuple[Kind, ...] = ("flip", "drop", "dilate")
SHARE = 0.05
"""Share of the objects that are changed."""

LEAST = 100
"""Least pixels of an object, at the full size of CamVid: smaller ones are remains of other objects."""

MOST = 0.1
"""Largest part of an image that is an object; larger ones are the ground, the sky or a row of houses."""

RADIUS = 3
"""Pixels that a dilated object grows by, at the full size of CamVid."""

VOID, IGNORED = 11, 255
"""Ignored pixels in CamVid's files, and in masks that are read."""


@dataclass(frozen=True)
class LabelError:
    """An injected error.

    Args:
        image: Index of the image.
        kind: How the object was changed.
        true: Class of the object.
        given: Class of the pixels that were changed.
        pixels: Number of pixels that were changed.
    """

    image: int
    kind: Kind
    true: int
    given: int
    pixels: int


@dataclass(frozen=True)
class Noisy:
    """Masks with errors.

    Args:
        masks: Masks (H, W).
        numbers: For each mask the number of the error, from 1, of each pixel (H, W), or 0.
        errors: The errors in the order of their numbers.
        objects: Number of objects of which these were chosen.
    """

    masks: list[Labels]
    numbers: list[NDArray[np.uint16]]
    errors: list[LabelError]
    objects: int


@dataclass(frozen=True)
class _Object:
    image: int
    category: int
    number: int


def inject(masks: Sequence[Labels], num_classes: int, seed: int, scale: float = 1.0, share: float = SHARE) -> Noisy:
    """Change a share of the objects.

    Args:
        masks: Masks (H, W) of class indices; 255 is ignored.
        num_classes: Number of classes.
        seed: Seed of the choice.
        scale: Size of the images relative to CamVid's.
        share: Share of the objects that are changed.
    """
    objects = [one for image, mask in enumerate(masks) for one in _objects(image, mask, scale)]
    chosen = np.random.default_rng(seed).permutation(len(objects))[: round(share * len(objects))].tolist()
    noisy = Noisy(
        [mask.copy() for mask in masks], [np.zeros(mask.shape, np.uint16) for mask in masks], [], len(objects)
    )
    kinds = {index: KINDS[place % len(KINDS)] for place, index in enumerate(chosen)}
    # dilated objects last: they leave other errors as they are
    for index in sorted(chosen, key=lambda index: (kinds[index] == "dilate", index)):
        rng = np.random.default_rng((seed, index))
        _change(noisy, masks[objects[index].image], objects[index], kinds[index], num_classes, rng, scale)
    return noisy


def _objects(image: int, mask: Labels, scale: float) -> Iterator[_Object]:
    for category in np.unique(mask[mask != IGNORED]).tolist():
        boxes = cv2.connectedComponentsWithStats((mask == category).view(np.uint8), connectivity=8)[2]
        for number, area in enumerate(boxes[1:, cv2.CC_STAT_AREA].tolist(), 1):
            if LEAST * scale**2 <= area <= MOST * mask.size:
                yield _Object(image, category, number)


def _change(
    noisy: Noisy, mask: Labels, one: _Object, kind: Kind, num_classes: int, rng: np.random.Generator, scale: float
) -> None:
    _, parts = cv2.connectedComponents((mask == one.category).view(np.uint8), connectivity=8)
    inside = parts == one.number
    around = _grown(inside, 1) & (mask != IGNORED) & (mask != one.category)
    neighbours = np.bincount(mask[around], minlength=num_classes)
    surrounding = int(neighbours.argmax()) if neighbours.any() else None
    if kind == "drop" and surrounding is None:
        kind = "flip"  # between ignored pixels only
    free = noisy.numbers[one.image] == 0
    changed, given = inside & free, one.category
    if kind == "dilate":
        changed = _grown(inside, max(1, round(RADIUS * scale))) & ~inside & (mask != IGNORED) & free
    elif kind == "drop" and surrounding is not None:
        given = surrounding
    else:
        given = int(rng.choice([k for k in range(num_classes) if k not in (one.category, surrounding)]))
    changed &= mask != given
    if not changed.any():
        return
    noisy.errors.append(LabelError(one.image, kind, one.category, given, int(changed.sum())))
    noisy.masks[one.image][changed] = given
    noisy.numbers[one.image][changed] = len(noisy.errors)


def _grown(inside: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(inside.view(np.uint8), disc).view(bool)


def write_noisy(root: Path, out: Path, split_with_errors: str, seed: int, scale: float = 1.0) -> None:
    """Write CamVid with errors in the labels of a split, in its own layout, and a list of them.

    Args:
        root: Folder of CamVid.
        out: Folder to write: `train`, `trainannot`, `val`, `valannot`; `injected/*.png` with the number of the error of
            each pixel, and `injected.json`.
        split_with_errors: "train" or "val".
        seed: Seed of the errors.
        scale: Factor by which images and masks are resized.
    """
    data = CamVidDataModule(str(root))
    for split in ("train", "val"):
        pairs = data.split(split)
        names, masks = [], []
        for index in range(len(pairs)):
            image, mask, name = pairs.read(index)
            names.append(Path(name).name)
            masks.append(_resized(mask, scale, cv2.INTER_NEAREST))
            _save(out / split / names[-1], _resized(image, scale, cv2.INTER_AREA))
        if split == split_with_errors:
            noisy = inject(masks, data.num_classes, seed, scale)
            masks = noisy.masks
            for name, numbers in zip(names, noisy.numbers, strict=True):
                _save(out / "injected" / name, numbers)
            errors = [{**asdict(error), "name": names[error.image]} for error in noisy.errors]
            content = {"seed": seed, "scale": scale, "objects": noisy.objects, "errors": errors}
            (out / "injected.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        for name, mask in zip(names, masks, strict=True):
            _save(out / f"{split}annot" / name, np.where(mask == IGNORED, VOID, mask).astype(np.uint8))


def read_noisy(out: Path) -> tuple[list[NDArray[np.uint16]], list[LabelError]]:
    """The numbers of the errors of each training image, by name, and the errors."""
    content = json.loads((out / "injected.json").read_text(encoding="utf-8"))
    errors = [LabelError(**{key: value for key, value in one.items() if key != "name"}) for one in content["errors"]]
    return [np.array(Image.open(path)).astype(np.uint16) for path in sorted((out / "injected").iterdir())], errors


def _resized(pixels: Labels, scale: float, how: int) -> Labels:
    if scale == 1:
        return pixels
    size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
    return cv2.resize(pixels, size, interpolation=how).astype(np.uint8)


def _save(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
