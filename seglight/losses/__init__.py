"""Losses on head-stride logits."""

from seglight.losses.cross_entropy import CrossEntropy

__all__ = ["CrossEntropy"]
