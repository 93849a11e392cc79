"""The images that an attack may choose from, and steps among them."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Norm = Literal["linf", "l2"]

TINY = 1e-12
"""Smallest norm that is divided by."""


class Ball:
    """Images of values from 0 to 255 that are within a radius of clean ones.

    Args:
        clean: (B, C, H, W) float32 of values from 0 to 255.
        radius: Largest change in grey levels: of each value, or of the Euclidean norm of an image.
        norm: "linf" or "l2".
    """

    def __init__(self, clean: Tensor, radius: float, norm: Norm) -> None:
        self.clean = clean
        self.radius = radius
        self.norm = norm
        if norm == "linf":
            self.low = (clean - radius).clamp_(min=0)
            self.high = (clean + radius).clamp_(max=255)

    def of_radius(self, radius: float) -> "Ball":
        """The ball of another radius around the same images."""
        return Ball(self.clean, radius, self.norm)

    def part(self, kept: Tensor) -> "Ball":
        """The ball around some of the images, by a bool (B,)."""
        return Ball(self.clean[kept], self.radius, self.norm)

    def project(self, image: Tensor) -> Tensor:
        """The nearest images (B, C, H, W) of the ball; for "l2" scaled to the radius first, then cut to the range."""
        if self.norm == "linf":
            return image.clamp(self.low, self.high)
        change = image - self.clean
        scale = (self.radius / lengths(change)).clamp_(max=1)
        return change.mul_(scale).add_(self.clean).clamp_(0, 255)

    def step(self, image: Tensor, gradient: Tensor, size: float | Tensor) -> Tensor:
        """Images (B, C, H, W) after a step upwards: `size` for each value, or of this norm for each image.

        Args:
            image: (B, C, H, W).
            gradient: (B, C, H, W).
            size: Grey levels; a number, or (B, 1, 1, 1).
        """
        direction = gradient.sign() if self.norm == "linf" else gradient / lengths(gradient)
        return image + direction.mul_(size)

    def start(self, seeds: Sequence[int], draw: int = 0) -> Tensor:
        """Images (B, C, H, W) drawn at random: uniform within the ball for "linf", of a length of the radius for "l2".

        Args:
            seeds: Seed of each image.
            draw: Number of the draw: others give other images.
        """
        noise = torch.stack([_uniform(self.clean.shape[1:], seed, draw) for seed in seeds]).to(self.clean)
        if self.norm == "l2":
            noise /= lengths(noise)
        return noise.mul_(self.radius).add_(self.clean).clamp_(0, 255)


def lengths(change: Tensor) -> Tensor:
    """Euclidean norm (B, 1, 1, 1) of changes (B, C, H, W), at least `TINY`."""
    norm: Tensor = torch.linalg.vector_norm(change, dim=(1, 2, 3), keepdim=True)
    return norm.clamp_(min=TINY)


def _uniform(shape: Sequence[int], seed: int, draw: int) -> Tensor:
    """Float32 values between -1 and 1, the same on every device."""
    return torch.from_numpy(2 * np.random.default_rng((seed, draw)).random(tuple(shape), np.float32) - 1)
