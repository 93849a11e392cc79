"""What every loss promises on a GPU: the CPU's value and gradient, and the same ones each time."""

from collections.abc import Iterator

import pytest
import torch

from tests.support.loss_cases import LOSSES, drawn, value_and_gradient

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.fixture(autouse=True)
def deterministic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(True)  # nothing of it raises
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision(precision)


@pytest.mark.parametrize("name", LOSSES)
def test_as_on_the_cpu_and_the_same_each_time(name: str) -> None:
    logits, mask = drawn("x4")
    value, gradient = value_and_gradient(LOSSES[name](255), logits, mask)
    loss = LOSSES[name](255).cuda()
    first, again = (value_and_gradient(loss, logits.cuda(), mask.cuda()) for _ in range(2))
    torch.testing.assert_close(first[0].cpu(), value, rtol=1e-5, atol=0)
    torch.testing.assert_close(first[1].cpu(), gradient, rtol=0, atol=1e-5 * float(gradient.abs().max()))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
