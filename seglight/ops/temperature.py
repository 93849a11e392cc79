"""The temperature of a softmax (Guo et al. 2017, section 4.2), applied to probabilities instead of logits."""

import torch
from torch import Tensor

from seglight.ops.bands import budget


def tempered(probabilities: Tensor, temperature: float) -> Tensor:
    """The softmax of `log(probabilities) / temperature`, in bands of rows.

    A constant that is added to all logits changes no softmax: for probabilities that are the softmax of some logits,
    this is the softmax of these logits divided by the temperature.

    Args:
        probabilities: (B, C, H, W), at least 0; their sums over C do not matter.
        temperature: Divisor, above 0: above 1 it makes the probabilities more alike, below 1 less.

    Returns:
        A new tensor of the same shape, whose sums over C are 1.
    """
    images, classes, _, width = probabilities.shape
    rows = max(1, budget(probabilities.device) // max(1, 4 * images * classes * width))
    found = torch.empty_like(probabilities)
    for source, target in zip(torch.split(probabilities, rows, 2), torch.split(found, rows, 2), strict=True):
        target.copy_(source.log().div_(temperature).softmax(1))
    return found
