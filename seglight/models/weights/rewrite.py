"""Families of published weights, their state dicts under our names, and layers that are one layer with us."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of R, G, B in [0, 1]."""

State = dict[str, Tensor]

Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Beginnings of names, as regular expressions, and what stands there with us, as in `re.sub`."""


class Family(NamedTuple):
    """Files that are written alike.

    Attributes:
        name: For people.
        marks: A regular expression that some tensor's name matches from its beginning, in no other family.
        convert: Their state dict into one of an EncoderDecoder.
        mean: Of R, G, B in [0, 1] as these nets are trained; None: as the encoder has it.
        std: Likewise.
    """

    name: str
    marks: str
    convert: Callable[[State], State]
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None

    def wrote(self, state: State) -> bool:
        """Whether a state dict is one of these."""
        return any(re.match(self.marks, name) for name in state)


def renamed(state: State, rules: Rules) -> State:
    """A state dict under the names that the first fitting rule gives; what no rule fits keeps its name."""
    new = {}
    for name, value in state.items():
        for start, ours in rules:
            if re.match(start, name):
                name = re.sub(f"^{start}", ours, name)
                break
        new[name] = value
    return new


def fold(state: State, conv: str, norm: str, ours: str, eps: float = 1e-5) -> State:
    """A state dict with a convolution and its norm as one convolution with a bias: the same in evaluation."""
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
