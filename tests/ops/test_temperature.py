"""The temperature of probabilities against those of logits, and by hand."""

import pytest
import torch

from seglight.ops import temperature
from seglight.ops.temperature import tempered


def test_by_hand() -> None:
    """Odds of 4 to 1 are at temperature 2 their root, 2 to 1; at 1/2 their square, 16 to 1."""
    shares = torch.tensor([0.8, 0.2]).view(1, 2, 1, 1)
    assert tempered(shares, 2.0).flatten().tolist() == pytest.approx([2 / 3, 1 / 3])
    assert tempered(shares, 0.5).flatten().tolist() == pytest.approx([16 / 17, 1 / 17])
    assert shares.flatten().tolist() == pytest.approx([0.8, 0.2]), "what was given stays"


@pytest.mark.parametrize("value", [0.3, 1.0, 1.7, 16.0])
def test_equals_the_softmax_of_logits_divided_by_it(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = 5 * torch.randn(2, 7, 13, 9, generator=torch.Generator().manual_seed(0))
    for size in (2**20, 1):  # all rows at once, and each by itself
        monkeypatch.setattr(temperature, "budget", lambda device, size=size: size)
        found = tempered(logits.softmax(1), value)
        torch.testing.assert_close(found, (logits / value).softmax(1), rtol=1e-4, atol=1e-6)


def test_a_class_without_a_chance_gets_none() -> None:
    certain = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    assert tempered(certain, 3.0).flatten().tolist() == [1.0, 0.0]
