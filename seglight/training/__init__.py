"""The LightningModules, and what a run of one needs."""

from seglight.training.fsdp import FSDP

__all__ = ["FSDP"]
