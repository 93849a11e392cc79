"""What the ops promise on a GPU: the CPU's results, the same ones each time, and no wait for the device."""

import warnings
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.losses.functional import upsampled_cross_entropy
from seglight.ops.confusion import confusion_matrix
from seglight.ops.upsample import upsampled_argmax

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

IGNORE = 255
SIZES = [((32, 64), (128, 256)), ((33, 29), (131, 117)), ((40, 40), (40, 40))]


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(precision)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def waits_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each call says that the mode is a prototype
        torch.cuda.set_sync_debug_mode("error")
        yield
        torch.cuda.set_sync_debug_mode("default")


def drawn(small: tuple[int, int], large: tuple[int, int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 19, *small, generator=generator)
    mask = torch.randint(0, 19, (2, *large), generator=generator, dtype=torch.uint8)
    mask[:, :5] = IGNORE
    return logits, mask


def gradient(logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits.detach().requires_grad_()
    loss = upsampled_cross_entropy(logits, mask, ignore_index=IGNORE)
    return loss.detach(), torch.autograd.grad(loss, logits)[0]


@pytest.mark.parametrize(("small", "large"), SIZES)
def test_cross_entropy_is_the_cpus_and_the_same_each_time(small: tuple[int, int], large: tuple[int, int]) -> None:
    torch.use_deterministic_algorithms(True)  # nothing of it raises
    logits, mask = drawn(small, large)
    loss, slope = gradient(logits, mask)
    first, again = (gradient(logits.cuda(), mask.cuda()) for _ in range(2))
    torch.testing.assert_close(first[0].cpu(), loss, rtol=1e-5, atol=0)
    torch.testing.assert_close(first[1].cpu(), slope, rtol=0, atol=1e-5 * float(slope.abs().max()))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize(("small", "large"), SIZES)
def test_argmax_is_that_of_interpolate(small: tuple[int, int], large: tuple[int, int]) -> None:
    logits = drawn(small, large)[0].cuda()
    expected = F.interpolate(logits, large, mode="bilinear", align_corners=False).argmax(1)
    assert torch.equal(upsampled_argmax(logits, large).long(), expected)


@pytest.mark.usefixtures("waits_are_errors")
def test_counting_does_not_wait() -> None:
    torch.use_deterministic_algorithms(True)
    mask = drawn(*SIZES[0])[1]
    pred = mask.clamp(max=18)
    there = [labels.pin_memory().cuda(non_blocking=True) for labels in (pred, mask)]
    counted = confusion_matrix(*there, 19, IGNORE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(counted.cpu(), confusion_matrix(pred, mask, 19, IGNORE))
