"""Parameter groups, learning rate schedules, gradient accumulation and clipping."""

from seglight.optim.schedules import ParameterGroups, WarmupCosine, WarmupPoly

__all__ = ["ParameterGroups", "WarmupCosine", "WarmupPoly"]
