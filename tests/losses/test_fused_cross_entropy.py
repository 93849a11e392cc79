"""The GPU's kernels for cross-entropy, run by Triton's interpreter: against torch in float64."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton comes with torch for GPUs on Linux")

CASE = """
import warnings

import torch
import torch.nn.functional as F
from seglight.losses.fused_cross_entropy import fused_cross_entropy

warnings.simplefilter("ignore")  # the interpreter computes what a mask leaves out, too


def check(shape, size, dtype=torch.float32, smoothing=0.0, memory_format=torch.contiguous_format, weighted=True):
    generator = torch.Generator().manual_seed(0)
    channels = shape[1]
    logits = (3 * torch.randn(shape, generator=generator)).to(dtype).contiguous(memory_format=memory_format)
    mask = torch.randint(0, channels, (shape[0], *size), generator=generator, dtype=torch.uint8)
    mask[:, :1, :3] = 255
    weight = torch.rand(channels, generator=generator) + 0.5 if weighted else None
    loss, denominator, backward = fused_cross_entropy(logits, mask, 255, weight, smoothing)
    value, found = loss / denominator, backward(1 / denominator)
    exact = logits.double().requires_grad_()
    upsampled = F.interpolate(exact, size, mode="bilinear")
    weight = weight.double() if weighted else None
    expected = F.cross_entropy(upsampled, mask.long(), weight, ignore_index=255, label_smoothing=smoothing)
    (gradient,) = torch.autograd.grad(expected, exact)
    torch.testing.assert_close(value.double(), expected.detach(), rtol=1e-5, atol=0)
    torch.testing.assert_close(found.double(), gradient, rtol=0, atol=1e-5 * float(gradient.abs().max()))
    assert found.stride() == logits.stride()


check((2, 5, 3, 4), (12, 16), weighted=False)
check((1, 19, 3, 4), (7, 11), smoothing=0.1, memory_format=torch.channels_last)
check((2, 3, 4, 4), (4, 4))  # nothing to interpolate
check((1, 4, 7, 7), (4, 5))  # a mask smaller than the logits
check((1, 2, 1, 1), (4, 4))  # all edge
check((1, 150, 2, 3), (8, 12), torch.float16)


logits, mask = torch.zeros(1, 3, 2, 2), torch.zeros(1, 4, 4, dtype=torch.int64)
for label in (3, -1):
    mask[0, 3, 3] = label
    assert fused_cross_entropy(logits, mask, 255, None, 0.0)[0].isnan()
assert fused_cross_entropy(logits, mask, -1, None, 0.0)[0].isfinite()  # ignored
"""


def test_values_and_slopes_are_torchs(tmp_path: Path) -> None:
    environment = dict(os.environ, TRITON_INTERPRET="1", OMP_NUM_THREADS="1")
    ran = subprocess.run([sys.executable, "-c", CASE], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
