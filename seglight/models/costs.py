"""Costs of a net by its parts: parameters, multiply-adds, activations and time; and the receptive field."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from seglight.models.bands import blank_image, noise
from seglight.models.encoders.band_inputs import BandInputs

SIGHT = (2048, 64)
"""Height and width of the image on which receptive fields are measured: as wide as coarse maps need."""


@dataclass
class Costs:
    """Costs of a part, or of the whole net, for one image. `seglight summary` prints them for a recipe.

    Attributes:
        part: Name of the part within the net; "" is the whole net.
        parameters: Number of parameters.
        multiply_adds: Multiply-adds of convolutions, matrix products and attention.
        activation_bytes: Bytes that a training step keeps from the forward pass for the backward pass.
        strides: Stride of each of its outputs in rows of the image; empty if it is not used in evaluation.
        receptive_field: Rows of the image that a middle entry of its last output depends on; None: all of `SIGHT`.
        seconds: Median time of five passes; only of the whole net.
    """

    part: str
    parameters: int
    multiply_adds: int
    activation_bytes: int
    strides: list[int] = field(default_factory=list)
    receptive_field: int | None = None
    seconds: float | None = None


def costs(net: nn.Module, size: tuple[int, int], device: torch.device) -> list[Costs]:
    """Costs of the parts of a net, and last of the whole net.

    Args:
        net: Net that takes images (1, bands, H, W). The statistics of its batch norms change.
        size: Size (H, W) of the image.
        device: Device on which passes are timed; everything else is counted on the CPU.
    """
    image = noise(net, size)
    parts = dict(parts_of(net))
    strides: dict[str, list[int]] = {}
    adds = _multiply_adds(net, parts, image)
    with torch.no_grad(), _outputs(parts, lambda name, maps: strides.update({name: _strides(size[0], maps)})):
        net.eval()(image)
    fields = _receptive_fields(net, {name: parts[name] for name, maps in strides.items() if maps})
    seconds = _seconds(net, image, device)
    kept = _activation_bytes(net.cpu(), parts, image)
    return [
        Costs(
            name,
            sum(parameter.numel() for parameter in part.parameters()),
            adds[name],
            kept[name],
            strides.get(name, []),
            fields.get(name),
            None if name else seconds,
        )
        for name, part in parts.items()
    ]


class InferenceCosts(NamedTuple):
    """Costs of a forward pass of one image.

    Attributes:
        parameters: Number of parameters of the net.
        multiply_adds: Multiply-adds of convolutions, matrix products and attention.
        seconds: Median time of five passes.
    """

    parameters: int
    multiply_adds: int
    seconds: float


def inference_costs(net: nn.Module, size: tuple[int, int], device: torch.device) -> InferenceCosts:
    """Costs of a net in evaluation only, without a training pass and the search for its receptive field.

    Args:
        net: Net that takes images (1, bands, H, W). It is left in evaluation mode on the device.
        size: Size (H, W) of the image.
        device: Device on which passes are timed; multiply-adds are counted on the CPU.
    """
    image = noise(net, size)
    adds = _multiply_adds(net.cpu(), {"": net}, image)[""]
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return InferenceCosts(parameters, adds, _seconds(net, image, device))


def parts_of(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The children of a net, those of its lists one by one, and last the net itself as ""."""
    for name, child in net.named_children():
        if isinstance(child, nn.ModuleList):
            yield from ((f"{name}.{index}", entry) for index, entry in child.named_children())
        else:
            yield name, child
    yield "", net


@contextmanager
def _outputs(parts: dict[str, nn.Module], see: Callable[[str, list[Tensor]], None]) -> Iterator[None]:
    """Call `see` with the name and the output maps (B, C, h, w) of each part."""
    handles = [
        part.register_forward_hook(lambda _, __, out, name=name: see(name, list(_maps(out))))
        for name, part in parts.items()
    ]
    yield
    for handle in handles:
        handle.remove()


def _strides(height: int, maps: list[Tensor]) -> list[int]:
    return [height // entry.shape[-2] for entry in maps]


def _maps(out: Any) -> Iterator[Tensor]:
    if isinstance(out, Tensor):
        if out.ndim == 4:
            yield out
    else:
        for entry in out.values() if isinstance(out, dict) else out:
            yield from _maps(entry)


def _multiply_adds(net: nn.Module, parts: dict[str, nn.Module], image: Tensor) -> dict[str, int]:
    root = type(net).__name__
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(image)
    counts = counter.get_flop_counts()
    return {name: sum(counts.get(f"{root}.{name}".strip("."), {}).values()) // 2 for name in parts}


def _activation_bytes(net: nn.Module, parts: dict[str, nn.Module], image: Tensor) -> dict[str, int]:
    """Storages that autograd keeps, each for the part that first kept it, without parameters and buffers."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*net.parameters(), *net.buffers())}
    sizes = dict.fromkeys(parts, 0)
    inside: list[str] = []
    kept: list[Tensor] = []  # otherwise another tensor could get the address of one that was freed

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            own.add(storage.data_ptr())
            kept.append(tensor)
            for name in inside:
                sizes[name] += storage.nbytes()
        return tensor

    def leave(name: str, maps: list[Tensor]) -> None:
        inside.pop()

    enter = [
        part.register_forward_pre_hook(lambda _, __, name=name: inside.append(name)) for name, part in parts.items()
    ]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x), _outputs(parts, leave):
        out = net.train()(image)
    del out
    for handle in enter:
        handle.remove()
    return sizes


def _receptive_fields(net: nn.Module, parts: dict[str, nn.Module]) -> dict[str, int | None]:
    """Receptive fields, measured with NaN, which spreads to exactly the outputs that depend on it."""
    seen: dict[tuple[int, bool], dict[str, bool]] = {}

    def reached(name: str, rows: int, below: bool) -> bool:
        """Whether an entry in the middle of a part's output depends on any of the outermost rows."""
        if (rows, below) not in seen:
            marked = slice(SIGHT[0] - rows, None) if below else slice(rows)
            hit = seen[rows, below] = {}
            with (
                torch.no_grad(),
                _unknown(net, marked) as image,
                _outputs(parts, lambda key, maps: hit.update({key: _middle_is_nan(maps)})),
            ):
                net.eval()(image)
        return seen[rows, below].get(name, False)

    return {name: _field(partial(reached, name)) for name in parts}


@contextmanager
def _unknown(net: nn.Module, rows: slice) -> Iterator[Tensor]:
    """Context with an image for which some rows of the net's input are NaN: for declared bands NaN would be no data."""

    def mark(_: nn.Module, __: object, inputs: Tensor) -> None:
        inputs[:, :, rows] = torch.nan

    declared = [part for part in net.modules() if isinstance(part, BandInputs)]
    handles = [part.register_forward_hook(mark) for part in declared]
    image = blank_image(net, SIGHT)
    if not declared:
        image = torch.ones(image.shape)
        image[:, :, rows] = torch.nan
    try:
        yield image
    finally:
        for handle in handles:
            handle.remove()


def _middle_is_nan(maps: list[Tensor]) -> bool:
    return bool(maps) and bool(maps[-1][:, :, maps[-1].shape[-2] // 2].isnan().any())


def _field(reached: Callable[[int, bool], bool]) -> int | None:
    """The rows between the outermost that are reached, by bisection from above and below; None: an outermost one is."""
    unseen = []
    for below in (False, True):
        if reached(1, below) or not reached(SIGHT[0], below):
            return None
        low, high = 1, SIGHT[0]
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reached(middle, below) else (middle, high)
        unseen.append(low)
    return SIGHT[0] - sum(unseen)


def _seconds(net: nn.Module, image: Tensor, device: torch.device) -> float:
    net.eval().to(device)
    image = image.to(device)
    times = []
    with torch.no_grad():
        for _ in range(6):
            start = time.perf_counter()
            net(image)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - start)
    return median(times[1:])
