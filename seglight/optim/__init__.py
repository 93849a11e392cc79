"""Parameter groups, learning rate schedules, gradient accumulation and clipping."""

from seglight.optim.schedules import ParameterGroups, WarmupCosine, WarmupPoly
from seglight.optim.two_stages import TwoStageWarmupPoly

__all__ = ["ParameterGroups", "TwoStageWarmupPoly", "WarmupCosine", "WarmupPoly"]
