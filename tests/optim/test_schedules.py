"""Parameter groups against timm's own, and the schedules against their formulas worked by hand."""

import math
from collections.abc import Callable

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from seglight.errors import UserError
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from seglight.optim.schedules import ParameterGroups, WarmupCosine, WarmupPoly, learning_rates


@pytest.fixture(scope="module")
def net() -> EncoderDecoder:
    net = EncoderDecoder(3, TimmEncoder("resnet18", weights=None), FPN, aux_index=-2)
    net.encoder.net.conv1.weight.requires_grad_(False)
    return net


@pytest.mark.parametrize("groups", [ParameterGroups(), ParameterGroups(0.1, 0.9)])
def test_every_parameter_is_in_one_group_frozen_ones_too(net: EncoderDecoder, groups: ParameterGroups) -> None:
    grouped = [id(parameter) for group in groups(net) for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in net.parameters())


def test_one_dimension_does_not_decay(net: EncoderDecoder) -> None:
    optimizer = torch.optim.AdamW(ParameterGroups(layer_decay=0.9)(net), weight_decay=0.05)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0), parameter.shape


def test_encoder_and_rest_are_apart(net: EncoderDecoder) -> None:
    groups = ParameterGroups(encoder_lr_scale=0.1)(net)
    of = {id(p): (g["name"].removesuffix("/no_decay"), g["lr_scale"]) for g in groups for p in g["params"]}
    for module, part in (
        (net.encoder, ("encoder", 0.1)),
        (net.decoder, ("decoder", 1.0)),
        (net.head, ("decoder", 1.0)),
    ):
        assert {of[id(p)] for p in module.parameters()} == {part}
    assert {of[id(p)] for p in net.aux_head.parameters()} == {("decoder", 1.0)}


@pytest.mark.parametrize("groups", [ParameterGroups(), ParameterGroups(0.1, 0.9)])
def test_each_group_has_a_name_of_its_own_and_each_part_one_log_key(
    net: EncoderDecoder, groups: ParameterGroups
) -> None:
    made = torch.optim.SGD(groups(net), lr=0.5).param_groups
    names = [group["name"] for group in made]
    assert len(set(names)) == len(names)
    rates = learning_rates(made)
    assert rates["lr/decoder"] == 0.5
    assert not [key for key in rates if "no_decay" in key]
    if groups == ParameterGroups():
        assert rates == {"lr/encoder": 0.5, "lr/decoder": 0.5}


def test_a_net_without_an_encoder() -> None:
    (group,) = ParameterGroups()(nn.Conv2d(3, 2, 1, bias=False))
    assert group["name"] == "decoder"
    with pytest.raises(UserError, match="layer_decay"):
        ParameterGroups(layer_decay=0.9)(nn.Conv2d(3, 2, 1))


class Net(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder


@pytest.mark.parametrize("name", ["convnext_atto", "mobilenetv3_small_050", "pvt_v2_b0", "resnet18"])
def test_layer_decay_is_timms(name: str) -> None:
    whole = timm.create_model(name)
    names = {id(parameter): name for name, parameter in whole.named_parameters()}
    expected = {
        names[id(p)].replace(".", "_"): group["lr_scale"]
        for group in param_groups_layer_decay(whole, layer_decay=0.7)
        for p in group["params"]
    }
    encoder = TimmEncoder(name, weights=None)
    found = {id(p): group["lr_scale"] for group in ParameterGroups(0.5, 0.7)(Net(encoder)) for p in group["params"]}
    scales = {key.replace(".", "_"): found[id(p)] for key, p in encoder.net.named_parameters()}
    assert scales == {key: pytest.approx(0.5 * expected[key]) for key in scales}
    assert len(set(scales.values())) > 3


def rates(
    total: int, warmup: int, power: float, steps: int, schedule_of: Callable[..., object] = WarmupPoly
) -> list[list[float]]:
    """The learning rate of both groups at each optimizer step; `power` is the schedule's last argument."""
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.01)]
    optimizer = torch.optim.SGD(groups)
    schedule = schedule_of(optimizer, total, warmup, power)
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


def test_cosine_is_torchs() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40, eta_min=0.1 * 0.05)
    expected = []
    for _ in range(41):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    found = [pair[0] for pair in rates(40, 0, 0.05, 43, WarmupCosine)]
    assert found[:41] == pytest.approx(expected)
    assert found[41:] == pytest.approx([0.005, 0.005])


def test_warmup_of_the_cosine_by_hand() -> None:
    rate = [pair[0] for pair in rates(100, 9, 0.0, 20, WarmupCosine)]
    assert rate[4] == pytest.approx(0.1 * 5 / 10 * (1 + math.cos(0.04 * math.pi)) / 2)
    assert rate[10] == pytest.approx(0.1 * (1 + math.cos(0.1 * math.pi)) / 2)
