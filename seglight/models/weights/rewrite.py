"""Families of published weights: their state dicts with seglight's keys, and layers that are joined."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of R, G, B in [0, 1]."""

State = dict[str, Tensor]

Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Regular expressions for prefixes of names, and the replacements, as in `re.sub`."""


class Family(NamedTuple):
    """Files with the same layout.

    Attributes:
        name: Name for messages.
        marks: Regular expression that matches the beginning of some tensor's name, in no other family.
        convert: Function from their state dict to that of an EncoderDecoder.
        mean: Mean of R, G, B in [0, 1] of their training; None: as in the encoder.
        std: Standard deviation of R, G, B in [0, 1] of their training; None: as in the encoder.
        differences: Prefix of keys whose tensors are differences from the weights that the net has; empty: none are.
    """

    name: str
    marks: str
    convert: Callable[[State], State]
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    differences: str = ""

    def wrote(self, state: State) -> bool:
        """Whether a state dict belongs to this family."""
        return any(re.match(self.marks, name) for name in state)


def renamed(state: State, rules: Rules) -> State:
    """State dict with the names of the first rule that matches; other names stay."""
    new = {}
    for name, value in state.items():
        for start, ours in rules:
            if re.match(start, name):
                name = re.sub(f"^{start}", ours, name)
                break
        new[name] = value
    return new


def fold(state: State, conv: str, norm: str, ours: str, eps: float = 1e-5) -> State:
    """State dict with a convolution and its norm as one convolution with a bias, equal in evaluation."""
    rest = {name: value for name, value in state.items() if not name.startswith((f"{conv}.", f"{norm}."))}
    scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + eps).sqrt()
    rest[f"{ours}.weight"] = state[f"{conv}.weight"] * scale.view(-1, 1, 1, 1)
    rest[f"{ours}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return rest


def fuse_linear(new: State) -> State:
    """The head's linear maps, which go from coarse to fine into the mix with them, and have biases.

    Ours have none: the norm after the mix, whose running mean takes them up, would take them away again.
    """
    levels = sorted(name for name in new if re.fullmatch(r"decoder\.linear\.\d\.weight", name))
    biases = [new.pop(name.replace("weight", "bias")) for name in levels]
    for name in levels:
        new[name] = new[name][..., None, None]
    columns = new["decoder.mix.0.weight"].chunk(len(levels), 1)[::-1]
    new["decoder.mix.0.weight"] = torch.cat(columns, 1)
    shift = new["decoder.mix.0.weight"][..., 0, 0] @ torch.cat(biases)
    new["decoder.mix.1.running_mean"] = new["decoder.mix.1.running_mean"] - shift
    return new
