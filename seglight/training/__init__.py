"""The LightningModules, and what a run of one needs before, while and after it trains."""

from seglight.training.fsdp import FSDP

__all__ = ["FSDP"]
