"""Callback that sets the momentum of batch norms."""

from typing import Any

from lightning.pytorch import Callback, Trainer
from torch.nn.modules.batchnorm import _BatchNorm


class BatchNormMomentum(Callback):
    """Sets the momentum of all batch norms of the net, such as DeepLabV3's 0.0003 (arXiv 1706.05587, 4.1).

    Args:
        momentum: Weight of a batch in the running statistics, as in `torch.nn.BatchNorm2d`, whose default is 0.1.
    """

    def __init__(self, momentum: float) -> None:
        self.momentum = momentum

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Set the momentum."""
        for module in pl_module.net.modules():
            if isinstance(module, _BatchNorm):
                module.momentum = self.momentum
