"""The memory format in which a net trains faster, found by trying both."""

import time
from copy import deepcopy

import torch
from torch import Tensor, nn

from seglight.interfaces import seg_output
from seglight.system.ranks import sum_over_ranks

FORMATS = {False: torch.contiguous_format, True: torch.channels_last}
"""Memory format by whether channels come last."""


def seconds_a_pass(net: nn.Module, image: Tensor, repeats: int = 3) -> dict[bool, float]:
    """Seconds of a forward and backward pass with channels last or not, summed over all processes.

    Copies of the net are used: its weights, its batch norms and later random numbers do not change.

    Args:
        net: Net in training mode, on the device of the training.
        image: Batch of images (B, bands, H, W).
        repeats: Number of passes in each format, in turn; the fastest counts. One more pass before them does not.
    """
    trials = {last: deepcopy(net).to(memory_format=memory_format) for last, memory_format in FORMATS.items()}
    images = {last: image.contiguous(memory_format=memory_format) for last, memory_format in FORMATS.items()}
    devices = [image.device] if image.is_cuda else []
    best = torch.full((2,), torch.inf, dtype=torch.float64, device=image.device)
    with torch.random.fork_rng(devices):
        for repeat in range(repeats + 1):
            for last in FORMATS:
                _synchronize(image)
                start = time.perf_counter()
                logits, aux = seg_output(trials[last](images[last]))
                torch.autograd.backward([x.float().mean() for x in (logits, *aux)])
                _synchronize(image)
                if repeat:
                    best[int(last)] = min(float(best[int(last)]), time.perf_counter() - start)
    (total,) = sum_over_ranks(best)
    return {last: float(total[int(last)]) for last in FORMATS}


def _synchronize(image: Tensor) -> None:
    if image.is_cuda:
        torch.cuda.synchronize(image.device)
