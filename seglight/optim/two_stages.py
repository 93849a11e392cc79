"""Warm-up in two stages: what is new learns first, and the pretrained encoder later."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from seglight.errors import UserError
from seglight.optim.schedules import check_warmup


class TwoStageWarmupPoly(LambdaLR):
    """Warm-up of all that is not the encoder, then that of the encoder, each followed by (1 - progress) ** power.

    The schedule of EoMT (arXiv 2503.19108, appendix). In the first stage the encoder has a rate of 0. Each progress is
    counted from the end of its own warm-up to the end of the run.

    Args:
        optimizer: Optimizer whose groups have the names of `ParameterGroups`; those of the encoder begin with it.
        total_steps: Number of optimizer steps of the whole run.
        warmup_steps: Number of steps of each stage.
        power: Exponent of the decay.

    Raises:
        UserError: There are not two stages, or one is negative, or the power is.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        warmup_steps: tuple[int, int] = (500, 1000),
        power: float = 0.9,
    ) -> None:
        if len(warmup_steps) != 2 or min(warmup_steps) < 0 or power < 0:
            raise UserError(
                f"model.schedule: warmup_steps {list(warmup_steps)} and power {power}: give two whole numbers from 0, "
                "and a number from 0"
            )
        first, second = warmup_steps
        check_warmup(first + second, total_steps)

        def factor(step: int, begin: int, end: int) -> float:
            """The factor of parameters whose warm-up is from one step to another."""
            if step < begin:
                return 0.0
            if step < end:
                return (step - begin + 1) / (end - begin + 1)
            left: float = max(0.0, 1 - (step - end) / max(1, total_steps - end)) ** power
            return left

        def of_encoder(step: int) -> float:
            return factor(step, first, first + second)

        def of_rest(step: int) -> float:
            return factor(step, 0, first)

        encoder = [str(group.get("name", "")).startswith("encoder") for group in optimizer.param_groups]
        super().__init__(optimizer, [of_encoder if own else of_rest for own in encoder])
