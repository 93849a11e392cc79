"""Drawing of the scenes of `shapes`. Imports no torch: they are also the examples of a served page.

Objects with the same range of colours, lighting and textures for all classes overlap in front of a shaded, textured
ground: a class can be recognised only by its outline. Sensor noise is added, and a thin rim of ignored pixels around
every object stands for the annotator's doubt, as in VOC.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.data.classes import Classes
from seglight.ops.label_types import WIDE_IGNORE_INDEX

CLASSES = Classes(
    names=("ground", "disc", "ring", "square", "triangle", "bar", "star", "cross"),
    palette=(
        (40, 44, 52),
        (228, 87, 86),
        (84, 162, 75),
        (76, 120, 168),
        (245, 165, 66),
        (178, 121, 162),
        (238, 202, 59),
        (114, 183, 178),
    ),
)
RARE = CLASSES.names.index("cross")
RARE_SHARE = 0.05
"""Probability that an object is of the rare class; the others are equally likely."""


def draw_scene(seed: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a scene and its labels: uint8 (size, size, 3) and (size, size), a pure function of both arguments."""
    image, mask, _ = _drawn(seed, size, None)
    return image, mask


def draw_instances(
    seed: int, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint16], NDArray[np.int64]]:
    """Draw the same scene, with its segments: the ground, and each object.

    Args:
        seed: Seed of the scene.
        size: Height and width in pixels.

    Returns:
        Image and labels as of `draw_scene`; index of the segment at each pixel, uint16 (size, size), 65535 on the rims;
        and int64 (n,), the class of each segment. An object that others cover has no pixel.
    """
    owners = np.zeros((size, size), np.uint16)
    image, mask, kinds = _drawn(seed, size, owners)
    owners[mask == CLASSES.ignore_index] = WIDE_IGNORE_INDEX
    return image, mask, owners, np.insert(kinds, 0, 0)


def _drawn(
    seed: int, size: int, owners: NDArray[np.uint16] | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """Image, labels, and the class of each object, whose number, from 1, is written into `owners`."""
    rng = np.random.default_rng(seed)
    ground = rng.uniform(40, 215, 3)
    image = _surface(rng, size, ground)
    mask = np.zeros((size, size), np.uint8)
    rim = np.zeros((size, size), bool)
    share = np.full(len(CLASSES) - 1, (1 - RARE_SHARE) / (len(CLASSES) - 2))
    share[RARE - 1] = RARE_SHARE
    kinds = rng.choice(np.arange(1, len(CLASSES)), size=rng.integers(2, 6), p=share)
    for number, kind in enumerate(kinds, 1):
        inside = _outline(rng, CLASSES.names[kind], size)
        np.copyto(image, _surface(rng, size, _color(rng, ground)), where=inside[..., None])
        mask[inside] = kind
        if owners is not None:
            owners[inside] = number
        edge = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        rim = (rim & ~inside) | edge.astype(bool)
    mask[rim] = CLASSES.ignore_index
    blurred = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.9))
    noise = rng.uniform(3, 10) * rng.standard_normal(image.shape, np.float32)
    return np.clip(blurred + noise, 0, 255).astype(np.uint8), mask, kinds


def _color(rng: np.random.Generator, ground: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw a colour that differs from the ground's, so that an outline is visible."""
    color = rng.uniform(40, 215, 3)
    while np.linalg.norm(color - ground) < 70:
        color = rng.uniform(40, 215, 3)
    return color


def _surface(rng: np.random.Generator, size: int, color: NDArray[np.float64]) -> NDArray[np.float32]:
    """Draw a surface, shaded from one side and textured at a random grain: float32 (size, size, 3)."""
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    shade = np.float32(rng.uniform(0, 90)) * (ramp[:, None] * np.sin(angle) + ramp * np.cos(angle))
    grain = int(rng.integers(4, max(5, size // 4)))
    texture = rng.uniform(4, 18) * rng.standard_normal((grain, grain), np.float32)
    light = shade + cv2.resize(texture, (size, size), interpolation=cv2.INTER_CUBIC)
    surface: NDArray[np.float32] = light[..., None] + color
    return surface.astype(np.float32)


def _outline(rng: np.random.Generator, kind: str, size: int) -> NDArray[np.bool_]:
    """Pixels of an object of a class with random rotation and position: bool (size, size)."""
    center = rng.uniform(0.1, 0.9, 2) * size
    radius = rng.uniform(0.15, 0.3) * size
    turn = rng.uniform(0, 2 * np.pi)
    canvas = np.zeros((size, size), np.uint8)
    if kind in ("disc", "ring"):
        middle = (round(center[0]), round(center[1]))
        cv2.circle(canvas, middle, round(radius), 1, -1)
        if kind == "ring":
            cv2.circle(canvas, middle, round(radius * 0.55), 0, -1)
        return canvas.astype(bool)
    corners = _corners(kind) * radius
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    cv2.fillPoly(canvas, [np.round(corners @ rotation + center).astype(np.int32)], 1)
    return canvas.astype(bool)


def _corners(kind: str) -> NDArray[np.float64]:
    """Corners (N, 2) of the polygon of a class in a circle of radius one."""
    if kind == "bar":
        return np.array([(-1.4, -0.25), (1.4, -0.25), (1.4, 0.25), (-1.4, 0.25)])
    if kind == "cross":
        arm = 0.3
        quarter = np.array([(arm, 1.0), (arm, arm), (1.0, arm)])
        turns = [np.array([[0.0, 1.0], [-1.0, 0.0]])] * 4
        return np.concatenate([quarter @ np.linalg.matrix_power(turn, k).T for k, turn in enumerate(turns)])
    corners = {"square": 4, "triangle": 3, "star": 10}[kind]
    angle = np.arange(corners) * 2 * np.pi / corners
    reach = np.where(np.arange(corners) % 2, 0.45, 1.1) if kind == "star" else np.full(corners, 1.1)
    return np.stack([np.cos(angle), np.sin(angle)], 1) * reach[:, None]
