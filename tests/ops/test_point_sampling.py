import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.ops.point_sampling import corners, random_points, samples, samples_backward

SIZES = [(9, 7), (1, 5), (16, 16)]


def drawn(size: tuple[int, int], maps: int = 3, points: int = 200) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(size[0])
    places = torch.rand(points, 2, generator=generator)
    places[:4] = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.5, 0.5]])
    return torch.randn(maps, *size, generator=generator), places


def torchs(maps: Tensor, points: Tensor) -> Tensor:
    """`grid_sample` of each map by itself."""
    grid = (2 * points - 1).expand(len(maps), 1, -1, 2)
    return F.grid_sample(maps.unsqueeze(1), grid, align_corners=False)[:, 0, 0]


@pytest.mark.parametrize("size", SIZES)
def test_samples_and_corners_are_those_of_grid_sample(size: tuple[int, int]) -> None:
    maps, points = drawn(size)
    cells, weights = corners(points, size)
    torch.testing.assert_close(samples(maps, points), torchs(maps, points))
    by_hand = (maps.flatten(1)[:, cells] * weights).sum(1)
    torch.testing.assert_close(by_hand, torchs(maps, points), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_the_gradient_is_that_of_grid_sample(size: tuple[int, int]) -> None:
    maps, points = drawn(size)
    chosen = torch.stack([torch.randperm(200, generator=torch.Generator().manual_seed(k))[:50] for k in range(3)])
    upstream = torch.randn(3, 50, generator=torch.Generator().manual_seed(1)) * torch.tensor([[1.0], [1e-4], [0.0]])
    maps.requires_grad_()
    (expected,) = torch.autograd.grad((torchs(maps, points).gather(1, chosen) * upstream).sum(), maps)
    found = samples_backward(upstream, corners(points, size), chosen, size)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-9)


def test_the_gradient_does_not_depend_on_the_order_of_points() -> None:
    _, points = drawn((9, 7), points=1000)
    around, chosen = corners(points, (9, 7)), torch.arange(1000).expand(3, -1)
    upstream = torch.randn(3, 1000, generator=torch.Generator().manual_seed(1))
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(2))
    one = samples_backward(upstream, around, chosen, (9, 7))
    assert torch.equal(samples_backward(upstream[:, order], around, chosen[:, order], (9, 7)), one)


def test_a_gradient_of_nothing_is_zero() -> None:
    _, points = drawn((9, 7))
    found = samples_backward(torch.zeros(2, 5), corners(points, (9, 7)), torch.zeros(2, 5, dtype=torch.int64), (9, 7))
    assert torch.equal(found, torch.zeros(2, 9, 7))


def test_points_are_a_function_of_their_key() -> None:
    cpu = torch.device("cpu")
    points = random_points((3, 10, 2), (500, 1500, 125), cpu)
    assert [tuple(each.shape) for each in points] == [(500, 2), (1500, 2), (125, 2)]
    torch.manual_seed(1)
    again = random_points((3, 10, 2), (500, 1500, 125), cpu)
    assert all(map(torch.equal, points, again))
    for key in ((4, 10, 2), (3, 11, 2), (3, 10, 3)):
        assert not torch.equal(random_points(key, (500, 1500, 125), cpu).matching, points.matching)
    every = torch.cat(points)
    assert every.min() >= 0
    assert every.max() <= 1
    assert abs(float(every.mean()) - 0.5) < 0.02
