"""Choices about the length of a training: steps, epochs, evaluations, warm-up, weight average."""

import math
from dataclasses import dataclass

from seglight.commands.init.choice import Choice
from seglight.commands.init.duration import plain_time
from seglight.errors import UserError

STARTUP = 15.0
"""Seconds before the first step: imports, building the net, checks of the data."""

USED = 0.95
"""Fraction of the time that is planned; the rest is for checkpoints, panels and the load of the machine."""

FEWEST_STEPS = 20
"""Steps below which nothing is learnt, so that the time is refused."""

ENOUGH_STEPS = 300
"""Steps below which smaller crops are better than fewer steps."""

MOST_EPOCHS = 300
"""Epochs beyond which a training is not lengthened if it has `MOST_STEPS` too."""

MOST_STEPS = 4000
"""Steps beyond which a training is not lengthened if it has `MOST_EPOCHS` too."""

MOST_EVALUATIONS = 10
"""Evaluations of a training at most."""

EVALUATION_SHARE = 0.15
"""Largest fraction of the time for evaluations, as far as one is enough for that."""

ONE_EVALUATION = 0.3
"""Largest fraction of the time for the only evaluation, beyond which it takes only a part of the images."""

WINDOWS = (0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
"""Decays of the weight average to choose from."""


@dataclass(frozen=True)
class Pace:
    """Seconds that the parts of a training take.

    Args:
        step: Seconds of an optimizer step, loading of its samples included.
        image: Seconds of the evaluation of one image.
    """

    step: float
    image: float


@dataclass(frozen=True)
class Length:
    """Length of a training.

    Args:
        steps: Optimizer steps.
        epochs: Epochs; None: the steps are fewer than those of an epoch.
        every: Epochs between two evaluations; steps if `epochs` is None.
        evaluations: Number of evaluations.
        limit_val: Number of images of an evaluation; None: all.
        reason: Why it is this long.
        evaluated: Why it is evaluated so often.
        seconds: Expected seconds of the whole command.
    """

    steps: int
    epochs: int | None
    every: int
    evaluations: int
    limit_val: int | None
    reason: str
    evaluated: str
    seconds: float

    @property
    def exact_epochs(self) -> float:
        """Epochs, also where they are less than one."""
        return 0.0 if self.epochs is None else float(self.epochs)


def possible_steps(seconds: int, pace: Pace, val: int) -> int:
    """Optimizer steps for which the time is enough, with one evaluation at the end."""
    one = min(val * pace.image, ONE_EVALUATION * seconds)
    return math.floor((USED * seconds - STARTUP - one) / pace.step)


def length(seconds: int, pace: Pace, steps_per_epoch: int, val: int) -> Length:
    """Steps, epochs and evaluations that the time is enough for.

    Args:
        seconds: Seconds that are given.
        pace: Seconds of a step and of the evaluation of an image.
        steps_per_epoch: Optimizer steps of an epoch.
        val: Number of validation images.

    Raises:
        UserError: The time is too short for a training.
    """
    possible = possible_steps(seconds, pace, val)
    if possible < FEWEST_STEPS:
        least = (FEWEST_STEPS * pace.step + STARTUP) / (USED - ONE_EVALUATION)
        raise UserError(
            f"--time {plain_time(seconds)}: a step takes {plain_time(pace.step)}, so that nothing would be learnt: "
            f"give {math.ceil(least / 60)}m or more"
        )
    whole = val * pace.image
    limit_val = None
    if whole > ONE_EVALUATION * seconds:
        limit_val = max(1, math.floor(ONE_EVALUATION * seconds / pace.image))
        whole = limit_val * pace.image
    if possible < steps_per_epoch:
        reason = f"{plain_time(seconds)} are enough for these steps of {plain_time(pace.step)}, less than one epoch"
        return Length(possible, None, possible, 1, limit_val, reason, "at the end", _total(possible, pace, whole))
    room = USED * seconds - STARTUP
    epochs = max(1, math.floor((room - whole) / (steps_per_epoch * pace.step)))
    allowed = max(1, min(MOST_EVALUATIONS, epochs, math.floor(EVALUATION_SHARE * seconds / whole)))
    epochs = max(1, math.floor((room - allowed * whole) / (steps_per_epoch * pace.step)))
    reason = f"{plain_time(seconds)} are enough for these: a step takes {plain_time(pace.step)}"
    most = max(MOST_EPOCHS, math.ceil(MOST_STEPS / steps_per_epoch))
    if epochs > most:
        epochs = most
        reason = f"more would hardly help, although {plain_time(seconds)} would be enough for them"
    every = -(-epochs // allowed)
    epochs = epochs // every * every  # the last one is evaluated
    evaluations = epochs // every
    steps = epochs * steps_per_epoch
    part = f" of {limit_val} of the {val} images" if limit_val else ""
    about = f"{evaluations} evaluation{'s' if evaluations > 1 else ''}{part}, each of about {plain_time(whole)}"
    return Length(steps, epochs, every, evaluations, limit_val, reason, about, _total(steps, pace, evaluations * whole))


def _total(steps: int, pace: Pace, evaluations: float) -> float:
    return STARTUP + steps * pace.step + evaluations


def warmup(steps: int) -> Choice[int]:
    """Steps of the linear warm-up: a tenth of the training, at most 1500."""
    tenth = steps / 10
    digits = 10 ** max(0, math.floor(math.log10(max(1.0, tenth))))
    return Choice(min(1500, round(tenth / digits) * digits), "about a tenth of the steps")


def ema_decay(steps: int) -> Choice[float]:
    """Decay of the weight average: it averages over about a tenth of the training."""
    window = max(1.0, steps / 10)
    decay = min(WINDOWS, key=lambda decay: abs(math.log((1 - decay) * window)))
    return Choice(decay, f"averages the weights over about {round(1 / (1 - decay))} steps of {steps}")
