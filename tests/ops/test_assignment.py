import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from seglight.ops.assignment import assign


def test_the_assignment_is_that_of_scipy_on_one_copy_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = torch.randn(3, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    counts = [5, 0, 8, 6]  # more masks than queries, too
    copy, copies = torch.Tensor.cpu, []
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: copies.append(tensor) or copy(tensor))
    pairs = assign(costs, counts)
    assert len(copies) == 1
    for image, (queries, masks) in enumerate(pairs):
        assert queries.shape == masks.shape == (3, min(6, counts[image]))
        for output in range(3):
            expected = linear_sum_assignment(costs[output, image, :, : counts[image]].numpy())
            np.testing.assert_array_equal(queries[output], expected[0])
            np.testing.assert_array_equal(masks[output], expected[1])


def test_costs_that_are_not_finite_are_taken_last() -> None:
    costs = torch.tensor([[torch.nan, torch.inf], [1.0, 2.0], [0.0, 0.0]])[None, None]
    ((queries, masks),) = assign(costs, [2])
    assert queries.tolist() == [[1, 2]]
    assert masks.tolist() == [[0, 1]]
    ((queries, _),) = assign(costs * torch.nan, [2])
    assert queries.shape == (1, 2)
