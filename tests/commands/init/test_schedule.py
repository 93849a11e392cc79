"""Length of a training from the time; the numbers are worked by hand."""

import pytest

from seglight.commands.init.schedule import Pace, ema_decay, length, possible_steps, warmup
from seglight.errors import UserError


def test_epochs_fill_the_time() -> None:
    """22 minutes are 1320 s: 1254 s are planned, 15 of them for the start, 10 evaluations take 101 s: 1138 s remain.

    An epoch of 45 steps of 1.7 s takes 76.5 s: 14 epochs; with 10 evaluations one every 2 epochs.
    """
    found = length(1320, Pace(step=1.7, image=0.1), steps_per_epoch=45, val=101)
    assert (found.epochs, found.every, found.evaluations, found.steps) == (14, 2, 7, 630)
    assert found.limit_val is None
    assert found.seconds == pytest.approx(15 + 630 * 1.7 + 7 * 10.1)
    assert found.seconds < 1320


def test_the_last_epoch_is_evaluated() -> None:
    for seconds in range(200, 3000, 37):
        found = length(seconds, Pace(0.9, 0.07), 20, 50)
        assert found.epochs is not None
        assert found.epochs % found.every == 0
        assert found.evaluations <= 10
        assert found.seconds <= seconds


def test_less_than_an_epoch_is_counted_in_steps() -> None:
    found = length(600, Pace(step=1.0, image=0.1), steps_per_epoch=5000, val=100)
    assert (found.epochs, found.every, found.evaluations) == (None, 545, 1)  # 570 - 15 - 10
    assert found.steps == 545


def test_an_evaluation_that_takes_most_of_the_time_is_shortened() -> None:
    """5000 images of 0.2 s are 1000 s of 1200: three tenths are left for it, 1800 images."""
    found = length(1200, Pace(step=1.0, image=0.2), steps_per_epoch=50, val=5000)
    assert found.limit_val == 1800
    assert (found.evaluations, found.epochs) == (1, 15)  # (1140 - 15 - 360) / 50


def test_small_data_sets_are_not_trained_for_ever() -> None:
    found = length(30 * 86400, Pace(step=0.1, image=0.01), steps_per_epoch=100, val=50)
    assert found.epochs == 300
    assert "hardly help" in found.reason
    tiny = length(7200, Pace(step=0.3, image=0.1), steps_per_epoch=2, val=4)
    assert tiny.steps <= 4000
    assert tiny.seconds < 7200 / 4


def test_a_time_in_which_nothing_is_learnt_is_refused() -> None:
    with pytest.raises(UserError, match=r"--time 30 s: a step takes 2 s.*give 2m or more"):
        length(30, Pace(step=2.0, image=0.1), steps_per_epoch=40, val=10)
    assert possible_steps(30, Pace(2.0, 0.1), 10) == 6  # (28.5 - 15 - 1) / 2


@pytest.mark.parametrize(
    ("steps", "warm", "decay"),
    [(540, 50, 0.98), (400, 40, 0.98), (90, 9, 0.9), (5000, 500, 0.998), (40_000, 1500, 0.999)],
)
def test_warmup_and_average_follow_the_length(steps: int, warm: int, decay: float) -> None:
    assert warmup(steps).value == warm
    assert ema_decay(steps).value == decay
