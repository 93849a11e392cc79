"""The states of all random generators of a process, as values that load weights-only."""

import random
from typing import Any

import numpy as np
import torch


def random_states(device: torch.device) -> dict[str, Any]:
    """Return the states of Python, numpy, torch on the CPU and, if `device` is a GPU, of torch on it."""
    mersenne_twister: Any = np.random.get_state()  # noqa: NPY002 the global one is what a user's code may draw from
    _, key, *rest = mersenne_twister
    states = {
        "python": random.getstate(),
        "numpy": (torch.from_numpy(key.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
    }
    return states | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def set_random_states(states: dict[str, Any], device: torch.device) -> None:
    """Restore the result of `random_states`; states of another kind of device are ignored."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    key, *rest = states["numpy"]
    np.random.set_state(("MT19937", key.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
