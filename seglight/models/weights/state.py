"""Weights of other projects: read, and loaded into seglight's nets completely or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import safetensors
import safetensors.torch
from timm.models import adapt_input_conv
from torch import Tensor, nn

from seglight.checkpoints.net_bands import pixels_read
from seglight.checkpoints.torch_file import read_weights_only
from seglight.errors import UserError, say
from seglight.images.bands import RGB
from seglight.models.encoders.first_convolution import filters
from seglight.models.weights.rewrite import Family, State
from seglight.ops.finite import check_weights, nonfinite


class Imported(NamedTuple):
    """Result of an import: number of tensors that fit, and keys of the net that stay untrained."""

    family: str
    fitting: int
    fresh: list[str]

    def line(self) -> str:
        """Summary in one line."""
        rest = f"; untrained: {', '.join(self.fresh)}" if self.fresh else ""
        return f"{self.family}: {self.fitting} tensors fit{rest}"


def read_state(path: str | Path) -> State:
    """Tensors of a safetensors or weights-only file, by name.

    Raises:
        UserError: The file does not exist, can't be read safely, or has no tensors.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file of weights")
    if Path(path).suffix == ".safetensors":
        try:
            return dict(safetensors.torch.load_file(path))
        except (safetensors.SafetensorError, OSError) as error:
            raise UserError(f"{path}: not readable as safetensors, it is cut off or damaged: take another") from error
    found = read_weights_only(path)
    for wrapper in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    entries = found.items() if isinstance(found, Mapping) else ()
    tensors = {key: value for key, value in entries if isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f"{path}: it contains no tensors")
    return tensors


def fill(net: nn.Module, new: State, source: str, heads: tuple[str, ...] = (), differences: str = "") -> Imported:
    """Load a converted state dict into a net or an encoder.

    Heads for other classes keep their initial values, and so do the buffers of the normalisation. An auxiliary head
    that the net does not have is not used, and neither are stages behind the encoder's last one. For images of declared
    bands, the weights of the first convolution are matched by name; see `filters`. For those of another `in_channels`
    than three they are summed to one channel, or repeated at a smaller scale.

    Args:
        net: Net or encoder to fill.
        new: Tensors by the net's keys.
        source: File and family, for error messages.
        heads: Prefixes of keys whose tensors depend on the classes.
        differences: Prefix of keys whose tensors are added to those of the net; empty: none are.

    Raises:
        UserError: Tensors are missing or left over, or not finite.
    """
    ours = net.state_dict()
    new = _for_channels_of(net, new)
    if differences:
        new = {name: _added(ours.get(name), value, name.startswith(differences)) for name, value in new.items()}
    fitting = {name: value for name, value in new.items() if name in ours and ours[name].shape == value.shape}
    missing = [name for name in ours if name not in fitting and not _may_stay(name, heads)]
    stages = {_stage(name) for name in ours}
    over = [name for name in new if name not in fitting and not name.startswith(heads) and _stage(name) in stages]
    if missing or over:
        complaint = ", ".join(
            f"{len(names)} {what} such as {names[0]}"
            for what, names in (("missing", missing), ("left over", over))
            if names
        )
        raise UserError(
            f"{source}: {len(fitting)} of the net's {len(ours)} tensors fit, {complaint}: "
            "build the net as that one is built"
        )
    check_weights(fitting, source, nonfinite(ours))
    net.load_state_dict(fitting, strict=False)
    return Imported(source, len(fitting), [name for name in ours if name not in fitting and name.startswith(heads)])


def fill_encoder(encoder: nn.Module, family: Family, path: str) -> None:
    """Load the encoder's part of a file of one family, and print how many tensors fit.

    Raises:
        UserError: The file can't be read, see `read_state`, or does not fit, see `fill`.
    """
    state = {name.removeprefix("encoder."): value for name, value in family.convert(read_state(path)).items()}
    own = {name: value for name, value in state.items() if not name.startswith(("decoder.", "head.", "aux_head."))}
    imported = fill(encoder, own, f"{path} ({family.name})")
    from lightning.pytorch.utilities import rank_zero_only  # imported here: prediction does not need Lightning

    rank_zero_only(say)(f"weights of {imported.line()}")


def _for_channels_of(net: nn.Module, new: State) -> State:
    name, first = next(((name, p) for name, p in net.named_parameters() if p.ndim == 4), ("", None))
    if first is None or name not in new or new[name].ndim != 4 or new[name].shape[1] != 3:
        return new
    bands = pixels_read(net)
    if bands.mean:
        return {**new, name: filters(new[name], RGB.names, bands.inputs)}
    return {**new, name: adapt_input_conv(first.shape[1], new[name])}


def _added(own: Tensor | None, value: Tensor, is_difference: bool) -> Tensor:
    return own + value if is_difference and own is not None and own.shape == value.shape else value


def _may_stay(name: str, heads: tuple[str, ...]) -> bool:
    buffer = name.removeprefix("encoder.") in ("mean", "std") or name.endswith("num_batches_tracked")
    return buffer or name.startswith(heads)


def _stage(name: str) -> str:
    """Part of the net after which the encoder may end: a child of the wrapped net; elsewhere the first name."""
    return ".".join(name.split(".")[: 3 if name.startswith("encoder.") else 1])
