"""Activation checkpointing: less is kept, and nothing else changes."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from seglight.models import TimmEncoder

MODELS = ["convnext_atto", "mobilenetv3_small_050", "pvt_v2_b0", "resnet18"]


def step(encoder: TimmEncoder, image: Tensor) -> tuple[int, dict[str, Tensor]]:
    """Numbers kept for the backward pass, and after it all gradients and buffers."""
    kept: list[int] = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x.numel())
        return x

    torch.manual_seed(0)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        features = encoder(image)
    before = sum(kept)
    torch.stack([x.square().mean() for x in features]).sum().backward()
    gradients = {name: p.grad for name, p in encoder.named_parameters() if p.grad is not None}
    return before, gradients | {name: buffer.clone() for name, buffer in encoder.named_buffers()}


@pytest.mark.parametrize("name", MODELS)
def test_gradients_and_statistics_are_the_same(name: str) -> None:
    torch.manual_seed(0)
    plain = TimmEncoder(name, weights=None)
    frugal = TimmEncoder(name, weights=None, checkpoint_activations=True)
    frugal.load_state_dict(plain.state_dict())
    image = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    start = deepcopy(plain.state_dict())
    kept, expected = step(plain, image)
    for again in (deepcopy(frugal), frugal):  # a copy, as EMA makes it
        again.load_state_dict(start)
        less, found = step(again, image)
        assert less < 0.75 * kept
        assert found.keys() == expected.keys()
        for key, value in found.items():
            torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-6)


def test_evaluation_is_the_same() -> None:
    plain, frugal = (TimmEncoder("resnet18", weights=None, checkpoint_activations=on) for on in (False, True))
    frugal.load_state_dict(plain.state_dict())
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    for a, b in zip(frugal.eval()(image), plain.eval()(image), strict=True):
        assert torch.equal(a, b)
