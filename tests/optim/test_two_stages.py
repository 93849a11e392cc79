"""The schedule against its formula worked by hand."""

import pytest
import torch
from torch import nn

from seglight.errors import UserError
from seglight.optim import TwoStageWarmupPoly


def rates(steps: int, *args: object) -> list[tuple[float, float]]:
    """Learning rates of the encoder and of the rest in each step of a run."""
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "name": name} for name in ("encoder/3/no_decay", "decoder")]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    schedule = TwoStageWarmupPoly(optimizer, steps, *args)  # type: ignore[arg-type]
    found = []
    for _ in range(steps + 2):
        found.append(tuple(group["lr"] for group in optimizer.param_groups))
        optimizer.step()
        schedule.step()
    return found  # type: ignore[return-value]


def test_the_encoder_warms_up_after_the_rest() -> None:
    encoder, rest = zip(*rates(20, (4, 5), 0.9), strict=True)
    assert rest[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert encoder[:9] == pytest.approx([0, 0, 0, 0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert rest[4:20] == pytest.approx([(1 - (step - 4) / 16) ** 0.9 for step in range(4, 20)])
    assert encoder[9:20] == pytest.approx([(1 - (step - 9) / 11) ** 0.9 for step in range(9, 20)])
    assert rest[20:] == (0, 0)
    assert encoder[20:] == (0, 0)


def test_no_warm_up_is_the_decay_alone() -> None:
    assert [pair[0] for pair in rates(4, (0, 0), 1.0)][:4] == pytest.approx([1.0, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("args", [((1, 2, 3),), ((-1, 2),), ((1, 2), -1.0)])
def test_wrong_arguments_are_refused(args: tuple[object, ...]) -> None:
    with pytest.raises(UserError, match="give two whole numbers from 0"):
        rates(9, *args)


def test_a_run_that_ends_within_the_warm_up_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    rates(5, (4, 5))
    assert "the warm-up of 9 steps is not over" in capsys.readouterr().err
