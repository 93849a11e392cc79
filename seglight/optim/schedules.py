"""Parameter groups, and learning-rate schedules by optimizer step."""

import math
import re
from dataclasses import dataclass
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from seglight.errors import UserError, one_line, say
from seglight.interfaces import OptimizerFactory, ScheduleFactory


def run_length(steps: float) -> int:
    """The number of optimizer steps of a run, which must have an end.

    Raises:
        UserError: It has none.
    """
    if math.isinf(steps):
        raise UserError(
            "the run has no end, and the learning rate's schedule none to go to: give trainer.max_epochs or "
            "trainer.max_steps"
        )
    return int(steps)


def made_optimizer(factory: OptimizerFactory, groups: list[dict[str, Any]]) -> Optimizer:
    """Build an optimizer.

    Args:
        factory: Called with the groups.
        groups: Parameter groups.

    Raises:
        UserError: It refuses its arguments, or takes one that is not finite.
    """
    try:
        optimizer = factory(groups)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"model.optimizer: {one_line(error)}") from error
    for group in optimizer.param_groups:
        for name, value in group.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"model.optimizer: {name} {value} is not finite: give another")
    return optimizer


def made_schedule(factory: ScheduleFactory, optimizer: Optimizer, steps: int) -> LRScheduler:
    """Build a learning-rate schedule for a run of so many optimizer steps.

    Raises:
        UserError: It refuses its arguments.
    """
    try:
        return factory(optimizer, steps)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UserError(f"model.schedule: {one_line(error)}") from error


ENCODER = re.compile(r"(members\.\d+\.)*encoder\.")
"""Names of an encoder's parameters, also within an ensemble."""

NO_DECAY = "/no_decay"
"""End of the name of a group that has no weight decay."""


@dataclass(frozen=True)
class ParameterGroups:
    """Parameters by part (`encoder`, `decoder`: all the rest), by depth, and by whether they decay.

    Norms, biases and everything else of one dimension get no weight decay (arXiv 1812.01187, section 3.1). Each group
    has a `name` of its own, and an `lr_scale` that its learning rate is multiplied by. What is frozen stands in them
    too: it has no gradient, so that no optimizer moves it, and can be thawed.

    Args:
        encoder_lr_scale: Learning rate of the encoder as a share of that of the rest.
        layer_decay: Learning rate of an encoder's layer as a share of that of the layer above (arXiv 2106.08254,
            section 3.2); 0.65 to 0.95 for transformers, 1: all alike.

    Raises:
        UserError: A share makes no sense.
    """

    encoder_lr_scale: float = 1.0
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.encoder_lr_scale < math.inf and 0 < self.layer_decay <= 1):
            raise UserError(
                f"model.groups: encoder_lr_scale {self.encoder_lr_scale} must be a finite number from 0, layer_decay "
                f"{self.layer_decay} lie in (0, 1]"
            )

    def __call__(self, net: nn.Module) -> list[dict[str, Any]]:
        """The groups of a net, for an optimizer.

        Raises:
            UserError: `layer_decay` for a net whose encoder does not number its layers.
        """
        depths = self._depths(net)
        groups: dict[tuple[str, bool], dict[str, Any]] = {}
        for name, parameter in net.named_parameters():
            part, scale = "decoder", 1.0
            if ENCODER.match(name):
                part, scale = "encoder", self.encoder_lr_scale
                if depths:
                    depth = depths[name.removeprefix("encoder.")]
                    part, scale = f"encoder/{depth}", scale * self.layer_decay**depth
            decays = parameter.ndim > 1
            group = {"params": [], "name": part, "lr_scale": scale}
            if not decays:
                group |= {"name": part + NO_DECAY, "weight_decay": 0.0}
            groups.setdefault((part, decays), group)["params"].append(parameter)
        return list(groups.values())

    def _depths(self, net: nn.Module) -> dict[str, int]:
        if self.layer_decay == 1.0:
            return {}
        try:
            depths: dict[str, int] = net.encoder.depths()  # type: ignore[union-attr, operator]
        except AttributeError as error:
            raise UserError(
                f"model.groups.layer_decay {self.layer_decay}: the encoder does not number its layers: take a timm "
                "encoder, or 1"
            ) from error
        return depths


def learning_rates(groups: list[dict[str, Any]]) -> dict[str, float]:
    """The learning rate of each part of a net by its log key, `lr/<part>`: with and without decay it is the same.

    Args:
        groups: Parameter groups, as `ParameterGroups` names them.
    """
    return {f"lr/{group['name'].removesuffix(NO_DECAY)}": group["lr"] for group in groups if "name" in group}


class WarmupPoly(LambdaLR):
    """Linear warm-up, then (1 - progress) ** power down to zero at the last optimizer step.

    Args:
        optimizer: Whose groups keep their ratio.
        total_steps: Optimizer steps of the whole run.
        warmup_steps: Steps from near zero to the full rate.
        power: 1 is a straight line; 0.9 is DeepLab's (arXiv 1606.00915, section 4.1).

    Raises:
        UserError: `warmup_steps` or `power` is negative or not finite.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, power: float = 0.9) -> None:
        check_warmup(warmup_steps, total_steps)
        if not 0 <= power < math.inf:
            raise UserError(f"model.schedule: power {power}: give a finite number from 0")

        def factor(step: int) -> float:
            left: float = max(0.0, 1 - step / max(1, total_steps)) ** power
            return _warmup(step, warmup_steps) * left

        super().__init__(optimizer, factor)


class WarmupCosine(LambdaLR):
    """Linear warm-up, then half a cosine over all steps, down to `floor` at the last (arXiv 1608.03983, equation 5).

    Args:
        optimizer: Whose groups keep their ratio.
        total_steps: Optimizer steps of the whole run.
        warmup_steps: Steps from near zero to the full rate.
        floor: Share of the full rate that is left in the end.

    Raises:
        UserError: `warmup_steps` is negative, or `floor` not within [0, 1].
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, floor: float = 0.0) -> None:
        check_warmup(warmup_steps, total_steps)
        if not 0 <= floor <= 1:
            raise UserError(f"model.schedule: floor {floor}: give a share from 0 to 1")

        def factor(step: int) -> float:
            progress = min(1.0, step / max(1, total_steps))
            return _warmup(step, warmup_steps) * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)

        super().__init__(optimizer, factor)


def check_warmup(warmup_steps: int, total_steps: int) -> None:
    """Say where a run ends before its warm-up does.

    Raises:
        UserError: The warm-up is negative.
    """
    if warmup_steps < 0:
        raise UserError(f"model.schedule: warmup_steps {warmup_steps}: give a whole number from 0")
    if warmup_steps >= total_steps > 0 and warmup_steps:
        rank_zero_only(say)(
            f"the warm-up of {warmup_steps} steps is not over when the run ends after {total_steps}: the learning rate "
            "stays below that of the optimizer"
        )


def _warmup(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / (steps + 1))
