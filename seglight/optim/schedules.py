"""Parameter groups, and learning rate schedules by optimizer step."""

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
    """Check that a run has an end, and return its number of optimizer steps.

    Args:
        steps: Number of optimizer steps; infinite if only time limits the run.

    Raises:
        UserError: The number is infinite.
    """
    if math.isinf(steps):
        raise UserError(
            "the run has no end, but the learning rate schedule needs one: set trainer.max_epochs or trainer.max_steps"
        )
    return int(steps)


def made_optimizer(factory: OptimizerFactory, groups: list[dict[str, Any]]) -> Optimizer:
    """Build an optimizer.

    Args:
        factory: Factory of the optimizer, called with the groups.
        groups: Parameter groups.

    Raises:
        UserError: The optimizer refuses its arguments, or one of them is not finite.
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
    """Build a learning rate schedule.

    Args:
        factory: Factory of the schedule, called with the optimizer and the number of steps.
        optimizer: Optimizer whose learning rates are scheduled.
        steps: Number of optimizer steps of the run.

    Raises:
        UserError: The schedule refuses its arguments.
    """
    try:
        return factory(optimizer, steps)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UserError(f"model.schedule: {one_line(error)}") from error


ENCODER = re.compile(r"(members\.\d+\.)*encoder\.")
"""Beginning of the names of an encoder's parameters, also within an ensemble."""

NO_DECAY = "/no_decay"
"""End of the name of a group without weight decay."""


@dataclass(frozen=True)
class ParameterGroups:
    """Parameters grouped by part (`encoder`, or `decoder` for all others), by depth, and by whether they decay.

    Norms, biases and all other parameters of one dimension have no weight decay (arXiv 1812.01187, section 3.1). Each
    group has its own `name`, and an `lr_scale` by which its learning rate is multiplied. Frozen parameters are in the
    groups too: they have no gradient, so that no optimizer changes them, and can be unfrozen later.

    Args:
        encoder_lr_scale: Learning rate of the encoder as a share of that of the other parameters.
        layer_decay: Learning rate of a layer of the encoder as a share of that of the layer above (arXiv 2106.08254,
            section 3.2); 0.65 to 0.95 for transformers, 1 for equal rates.

    Raises:
        UserError: A share is out of range.
    """

    encoder_lr_scale: float = 1.0
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.encoder_lr_scale < math.inf and 0 < self.layer_decay <= 1):
            raise UserError(
                f"model.groups: encoder_lr_scale is {self.encoder_lr_scale} and layer_decay is {self.layer_decay}: "
                "give a finite number from 0 and one above 0 and up to 1"
            )

    def __call__(self, net: nn.Module) -> list[dict[str, Any]]:
        """Return the groups of a net, for an optimizer.

        Args:
            net: Net whose parameters are grouped.

        Raises:
            UserError: `layer_decay` is not 1 and the net's encoder does not number its layers.
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
                f"model.groups.layer_decay {self.layer_decay}: the encoder does not number its layers: use a timm "
                "encoder, or 1"
            ) from error
        return depths


def learning_rates(groups: list[dict[str, Any]]) -> dict[str, float]:
    """The learning rate of each part of a net by its log key, `lr/<part>`, with or without weight decay.

    Args:
        groups: Parameter groups, with the names that `ParameterGroups` gives.
    """
    return {f"lr/{group['name'].removesuffix(NO_DECAY)}": group["lr"] for group in groups if "name" in group}


class WarmupPoly(LambdaLR):
    """Linear warm-up, then (1 - progress) ** power down to zero at the last optimizer step.

    Args:
        optimizer: Optimizer; the ratios of its groups' learning rates do not change.
        total_steps: Number of optimizer steps of the whole run.
        warmup_steps: Number of steps from near zero to the full rate.
        power: Exponent: 1 for a straight line; 0.9 is that of DeepLab (arXiv 1606.00915, section 4.1).

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
        optimizer: Optimizer; the ratios of its groups' learning rates do not change.
        total_steps: Number of optimizer steps of the whole run.
        warmup_steps: Number of steps from near zero to the full rate.
        floor: Last learning rate as a share of the full one.

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
    """Tell the user if a run ends before its warm-up does.

    Args:
        warmup_steps: Number of steps of the warm-up.
        total_steps: Number of optimizer steps of the whole run.

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
