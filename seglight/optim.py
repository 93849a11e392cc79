"""Parameter groups and the learning-rate schedule by optimizer step."""

from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def parameter_groups(net: nn.Module) -> list[dict[str, Any]]:
    """Trainable parameters by part (`encoder`, `decoder`: all the rest) and by whether they decay.

    Norms, biases and everything else of one dimension get no weight decay (arXiv 1812.01187, section 3.1). Each group
    has a `name`.
    """
    parts: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            part = "encoder" if name.startswith("encoder.") else "decoder"
            parts.setdefault((part, parameter.ndim > 1), []).append(parameter)
    groups: list[dict[str, Any]] = []
    for (part, decays), parameters in parts.items():
        groups.append({"params": parameters, "name": part} | ({} if decays else {"weight_decay": 0.0}))
    return groups


class WarmupPoly(LambdaLR):
    """Linear warm-up, then (1 - progress) ** power down to zero at the last optimizer step.

    Args:
        optimizer: Whose groups keep their ratio.
        total_steps: Optimizer steps of the whole run.
        warmup_steps: Steps from near zero to the full rate.
        power: 1 is a straight line; 0.9 is DeepLab's (arXiv 1606.00915, section 4.1).
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, power: float = 0.9) -> None:
        def factor(step: int) -> float:
            warmup = min(1.0, (step + 1) / (warmup_steps + 1))
            left: float = max(0.0, 1 - step / max(1, total_steps)) ** power
            return warmup * left

        super().__init__(optimizer, factor)
