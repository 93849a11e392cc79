"""Parameter groups, and the schedule against its formula worked by hand."""

import pytest
import torch
from torch import nn

from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from seglight.optim import WarmupPoly, parameter_groups


@pytest.fixture(scope="module")
def net() -> EncoderDecoder:
    net = EncoderDecoder(3, TimmEncoder("resnet18", weights=None), FPN, aux_index=-2)
    net.encoder.net.conv1.weight.requires_grad_(False)
    return net


def test_every_trainable_parameter_is_in_one_group(net: EncoderDecoder) -> None:
    grouped = [id(parameter) for group in parameter_groups(net) for parameter in group["params"]]
    trainable = [id(parameter) for parameter in net.parameters() if parameter.requires_grad]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == set(trainable)
    assert len(trainable) < len(list(net.parameters()))


def test_one_dimension_does_not_decay(net: EncoderDecoder) -> None:
    optimizer = torch.optim.AdamW(parameter_groups(net), weight_decay=0.05)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0), parameter.shape


def test_encoder_and_rest_are_apart(net: EncoderDecoder) -> None:
    part_of = {id(p): group["name"] for group in parameter_groups(net) for p in group["params"]}
    for module, part in ((net.encoder, "encoder"), (net.decoder, "decoder"), (net.head, "decoder")):
        assert {part_of[id(p)] for p in module.parameters() if p.requires_grad} == {part}
    assert {part_of[id(p)] for p in net.aux_head.parameters()} == {"decoder"}


def test_a_net_without_an_encoder() -> None:
    (group,) = parameter_groups(nn.Conv2d(3, 2, 1, bias=False))
    assert group["name"] == "decoder"


def rates(total: int, warmup: int, power: float, steps: int) -> list[list[float]]:
    """The learning rate of both groups at each optimizer step."""
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.01)]
    optimizer = torch.optim.SGD(groups)
    schedule = WarmupPoly(optimizer, total, warmup, power)
    taken = []
    for _ in range(steps):
        taken.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return taken


def test_warmup_poly_by_hand() -> None:
    rate = [pair[0] for pair in rates(total=100, warmup=9, power=0.9, steps=103)]
    assert rate[0] == pytest.approx(0.1 * 1 / 10)
    assert rate[4] == pytest.approx(0.1 * 5 / 10 * 0.96**0.9)
    assert rate[9] == pytest.approx(0.1 * 0.91**0.9)  # the warm-up ends
    assert rate[50] == pytest.approx(0.1 * 0.5**0.9)
    assert rate[99] == pytest.approx(0.1 * 0.01**0.9)  # the last step that is taken
    assert rate[100:] == [0, 0, 0]
    assert rate[9] == max(rate)


def test_without_warmup_a_line() -> None:
    rate = [pair[0] for pair in rates(total=10, warmup=0, power=1, steps=10)]
    assert rate == pytest.approx([0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.04, 0.03, 0.02, 0.01])


def test_groups_keep_their_ratio() -> None:
    for first, second in rates(total=20, warmup=5, power=0.9, steps=20):
        assert first / second == pytest.approx(10)


def test_a_run_of_no_steps_does_not_divide_by_zero() -> None:
    assert rates(total=0, warmup=0, power=0.9, steps=1)[0][0] == pytest.approx(0.1)
