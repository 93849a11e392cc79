"""Warm start: a net begins with the weights of a checkpoint, also one for other classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from seglight.checkpoints.checkpoint import net_weights, read_checkpoint
from seglight.checkpoints.model_card import KEY, ModelCard
from seglight.checkpoints.net_bands import MatchingEncoder, pixels_read
from seglight.errors import UserError
from seglight.images.band_names import plain_names
from seglight.images.bands import RGB, Bands
from seglight.interfaces import Encoder, heads_of
from seglight.ops.finite import check_weights, nonfinite

NAMED = 3
"""Layers that a message names of each kind; of more the number is given."""


class WarmStart(NamedTuple):
    """What was loaded from a checkpoint, and what was not.

    Attributes:
        path: The checkpoint.
        num_classes: Number of its classes.
        class_names: Names of its classes.
        loaded: Number of the net's tensors that were loaded.
        differing: Keys of the net whose tensor in the checkpoint has another shape; they keep their initial values.
        absent: Keys of the net that the checkpoint does not have; they keep their initial values.
        unused: Keys of the checkpoint that the net does not have.
        temperature: Temperature of the checkpoint, which does not fit what is trained from it; None: it has none.
        own_statistics: Whether images are normalised by the mean and std that the net had, not by the checkpoint's.
        bands: How the first convolution starts from one for other bands, in words; empty: the bands are the same.
    """

    path: str
    num_classes: int
    class_names: tuple[str, ...]
    loaded: int
    differing: list[str]
    absent: list[str]
    unused: list[str]
    temperature: float | None = None
    own_statistics: bool = False
    bands: str = ""

    def line(self, class_names: Sequence[str] = ()) -> str:
        """Summary in one line.

        Args:
            class_names: Names of the classes to train, to compare with those of the checkpoint; empty: not compared.
        """
        parts = [f"model.weights {self.path}: {self.loaded} tensors are loaded"]
        if not self.differing and class_names and tuple(class_names) != self.class_names:
            theirs = ", ".join(self.class_names[:NAMED]) + (", ..." if len(self.class_names) > NAMED else "")
            parts.append(f"its head too, which was trained for the classes {theirs}")
        if self.differing:
            parts.append(f"{layers(self.differing)} untrained, as the checkpoint is for {self.num_classes} classes")
        if self.absent:
            parts.append(f"{layers(self.absent)} untrained, as the checkpoint does not have it")
        if self.unused:
            parts.append(f"{layers(self.unused)} of the checkpoint not used")
        if self.temperature is not None:
            parts.append(f"its temperature {self.temperature:.4g} is dropped, as training changes the weights")
        if self.own_statistics:
            parts.append("its mean and std of the bands are not used, as these images have others")
        if self.bands:
            parts.append(self.bands)
        return "; ".join(parts)


def load_fitting_weights(net: nn.Module, path: str | Path) -> WarmStart:
    """Load the weights of a checkpoint into a net.

    Tensors under the net's `heads` keep their initial values where the checkpoint has none of their shape, as for other
    classes. All other tensors must be there. Where the declared mean and std of the bands differ from those of the
    checkpoint, the net keeps its own. Of a checkpoint for other bands, or for the same in another order, the first
    convolution is rebuilt: bands of the same name keep their filters, and others start from the mean of all.

    Args:
        net: The net to train.
        path: A checkpoint of `seglight fit`, or a folder of `seglight release`.

    Raises:
        UserError: The checkpoint can't be read, is of another net, of other bands than an encoder can match, or has
            weights that are not finite.
    """
    checkpoint = read_checkpoint(path)
    card: ModelCard = checkpoint[KEY]
    theirs = net_weights(checkpoint)
    ours = net.state_dict()
    own, read = pixels_read(net), card.image or RGB
    matched = bool(own.mean or read.mean) and plain_names(own.inputs) != plain_names(read.inputs)
    if matched:
        theirs = _matched(net, theirs, read, path)
    own_statistics = (own.mean, own.std) != (read.mean, read.std)
    if own_statistics:
        theirs |= {key: ours[key] for key in _statistics(net) if key in ours}
    fitting = {key: value for key, value in theirs.items() if key in ours and value.shape == ours[key].shape}
    fresh = [key for key in ours if key not in fitting]
    strange = [key for key in fresh if not key.startswith(heads_of(net))]
    if strange:
        raise UserError(
            f"model.weights {path}: of another net, {len(strange)} tensors are missing or of another shape, such as "
            f"{strange[0]}: build the net as that one is built; only what is under the net's `heads` may differ"
        )
    check_weights(fitting, f"model.weights {path}", nonfinite(ours))
    net.load_state_dict(fitting, strict=False)
    return WarmStart(
        path=str(path),
        num_classes=card.num_classes,
        class_names=card.class_names,
        loaded=len(fitting),
        differing=[key for key in fresh if key in theirs],
        absent=[key for key in fresh if key not in theirs],
        unused=[key for key in theirs if key not in ours],
        temperature=card.temperature,
        own_statistics=own_statistics,
        bands=_unmatched(own, read) if matched else "",
    )


def _matched(net: nn.Module, weights: dict[str, Tensor], trained: Bands, path: str | Path) -> dict[str, Tensor]:
    """Weights of a net of other bands, with a filter for each band that the encoders of a net read."""
    found = dict(weights)
    for name, encoder in net.named_modules():
        if isinstance(encoder, Encoder) and not isinstance(encoder, MatchingEncoder):
            raise UserError(
                f"model.weights {path}: it reads {trained.line()}, which {type(encoder).__name__} does not match with "
                "those of the images: give a checkpoint of the same bands and `ratios` in the same order"
            )
        if isinstance(encoder, MatchingEncoder):
            prefix = f"{name}." if name else ""
            own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
            found |= {prefix + key: value for key, value in encoder.matched_weights(own, trained).items()}
    return found


def _unmatched(own: Bands, read: Bands) -> str:
    """How the inputs of a net start from those of a checkpoint, in words."""
    known = plain_names(read.inputs)
    new = [name for name, plain in zip(own.inputs, plain_names(own.inputs), strict=True) if plain not in known]
    line = "its first convolution is matched by the names of the bands"
    if not new:
        return line
    shown = ", ".join(new[:NAMED]) + (f" and {len(new) - NAMED} more" if len(new) > NAMED else "")
    return (
        f"{line}, and {shown} start from the mean of {', '.join(read.inputs[:8])}: bands that were only renamed need "
        "their former names"
    )


def _statistics(net: nn.Module) -> list[str]:
    """Keys of the buffers that encoders normalise by."""
    encoders = [name for name, part in net.named_modules() if isinstance(part, Encoder)]
    return [f"{name}.{key}".lstrip(".") for name in encoders for key in ("mean", "std")]


def layers(keys: Sequence[str]) -> str:
    """The layers that some keys of a state dict belong to, for a message."""
    names = list(dict.fromkeys(key.rpartition(".")[0] or key for key in keys))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
