import copy

import pytest
import timm
import torch
from torch import nn

from seglight.models.encoders.phases import PhasedConv2d, phased


@pytest.mark.parametrize("size", [(18, 18), (7, 10), (1, 5)])
@pytest.mark.parametrize(("kernel", "dilation"), [(5, 2), (3, 2), (3, 6), (3, 18)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_the_dilated_convolution(
    size: tuple[int, int], kernel: int, dilation: int, memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(6, 6, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=6))
    ours = copy.deepcopy(plain)
    phased(ours)
    assert isinstance(ours[0], PhasedConv2d)
    results = []
    for net in (plain, ours):
        x = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(1)).contiguous(memory_format=memory_format)
        x.requires_grad_()
        y = net.train()(x)
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
        results.append((y.detach(), x.grad, net[0].weight.grad, net[0].bias.grad))
    for theirs, mine in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_outside_training_it_is_the_plain_operator() -> None:
    net = nn.Sequential(nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4))
    phased(net)
    x = torch.randn(1, 4, 9, 9)
    graph = torch.export.export(net.eval(), (x,)).graph
    assert [node.target for node in graph.nodes if node.op == "call_function"] == [torch.ops.aten.conv2d.default]


def test_names_and_parameters_stay() -> None:
    net = timm.create_model("tf_efficientnet_lite0", features_only=True, output_stride=16)
    before, parameters = list(net.state_dict()), list(net.parameters())
    phased(net)
    assert list(net.state_dict()) == before
    assert all(a is b for a, b in zip(net.parameters(), parameters, strict=True))
    assert sum(isinstance(module, PhasedConv2d) for module in net.modules()) == 4


def test_other_convolutions_are_left_alone() -> None:
    net = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1, groups=4),  # not dilated
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),  # not depthwise
        nn.Conv2d(4, 4, 3, stride=2, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, padding=1, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, padding_mode="reflect"),
        nn.Conv2d(4, 4, (3, 5), padding=(2, 4), dilation=2, groups=4),
    )
    phased(net)
    assert all(type(conv) is nn.Conv2d for conv in net)
