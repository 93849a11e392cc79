"""Read checkpoints without running any code that they contain, and build the nets that they describe."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seglight.checkpoints.allocation import AllocationLimit
from seglight.checkpoints.model_card import KEY, ModelCard, Normalisation, Provenance
from seglight.checkpoints.net_bands import use_bands
from seglight.checkpoints.net_config import build_net, without_encoder_weights
from seglight.checkpoints.release import is_release, read_release
from seglight.checkpoints.torch_file import read_weights_only
from seglight.checkpoints.trust import check_classes
from seglight.data.classes import Classes
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.interfaces import Encoder, bands_of
from seglight.ops.finite import check_weights, nonfinite
from seglight.system.parsing import complaint
from seglight.system.recipe_files import check_one_training
from seglight.system.run_files import BEST, CHECKPOINTS

SCORES = "scores"
"""Key of a checkpoint: scores of the last validation before it was saved, and the fingerprint of its data."""

SPARE = 2**30
"""Bytes that building a net may take in addition to three times those of its weights.

timm builds a whole classifier and keeps the stages that are asked for: VGG's fully connected layers are 495 MB.
"""


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Content of a checkpoint on the CPU, loaded weights-only, with its `ModelCard` under `KEY`.

    Args:
        path: A checkpoint of `seglight fit`, or a folder of `seglight release`, which is read as a checkpoint.

    Raises:
        UserError: The file does not exist, can't be read safely, or was not written by seglight.
    """
    if is_release(path):
        card, weights = read_release(path)
        state = {f"net.{name}": tensor for name, tensor in weights.items()}
        return {KEY: card, "state_dict": state, "global_step": card.provenance.step}
    if (best := Path(path, CHECKPOINTS, BEST)).is_file():
        raise UserError(f"{path}: a run folder, not a checkpoint: give {best}")
    check_one_training(Path(path))
    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint")
    checkpoint = read_weights_only(path)
    if not isinstance(checkpoint, dict) or KEY not in checkpoint or not _is_state(checkpoint):
        raise UserError(f"{path}: not a checkpoint of `seglight fit`")
    return {**checkpoint, KEY: ModelCard.from_dict(checkpoint[KEY], path)}


def _is_state(checkpoint: dict[str, Any]) -> bool:
    state = checkpoint.get("state_dict")
    return isinstance(state, dict) and all(isinstance(tensor, Tensor) for tensor in net_weights(checkpoint).values())


def load_net(path: str | Path, trusted: Sequence[str] = ()) -> tuple[nn.Module, ModelCard]:
    """Build the net of a checkpoint or a release with its weights, in evaluation mode.

    Args:
        path: A checkpoint of `seglight fit`, or a folder of `seglight release`.
        trusted: Packages whose classes it may name, beside those of `seglight.checkpoints.trust`.

    Raises:
        UserError: The checkpoint can't be read; it names a class that is not trusted or does not exist; its arguments
            or its weights do not fit the class; or its weights are not finite.
    """
    checkpoint = read_checkpoint(path)
    card: ModelCard = checkpoint[KEY]
    packages = check_classes(str(path), card.net, trusted)
    size = sum(tensor.untyped_storage().nbytes() for tensor in net_weights(checkpoint).values())
    limit = AllocationLimit(3 * size + SPARE)
    try:
        net = build_net(without_encoder_weights(card.net), card.num_classes, packages, limit)
        use_bands(net, card.image or RGB)
    except Exception as error:  # constructors raise what they like
        raise UserError(f"{path}: the net that it describes can't be built: {complaint(error)}") from error
    load_weights(net, checkpoint, path)
    if card.channels_last:
        net.to(memory_format=torch.channels_last)
    return net.eval(), _completed(card, net)


def _completed(card: ModelCard, net: nn.Module) -> ModelCard:
    """A card with what earlier versions did not write, read from the net."""
    return replace(
        card,
        bands=bands_of(net) if card.bands is None else card.bands,
        normalisation=normalisation_of(net) if card.normalisation is None else card.normalisation,
    )


def card_of(
    net: nn.Module,
    config: dict[str, Any],
    classes: Classes,
    ignore_index: int,
    channels_last: bool = False,
    provenance: Provenance | None = None,
    image: Bands = RGB,
) -> ModelCard:
    """The card of a net.

    Args:
        net: The net, with its weights.
        config: Configuration of the net: class_path and init_args.
        classes: Classes that it predicts.
        ignore_index: Mask value that is ignored.
        channels_last: Memory format of the net.
        provenance: Where the net comes from; None: only the version of seglight is known.
        image: What the images hold that it reads.
    """
    return ModelCard(
        net=config,
        class_names=classes.names,
        palette=classes.palette,
        ignore_index=ignore_index,
        channels_last=channels_last,
        bands=bands_of(net),
        normalisation=normalisation_of(net),
        image=None if image.is_rgb8 else image,
        provenance=provenance or Provenance(),
    )


def normalisation_of(net: nn.Module) -> tuple[Normalisation, ...]:
    """What each encoder of a net normalises images with, in [0, 1]."""
    encoders = [module for module in net.modules() if isinstance(module, Encoder)]
    found = [encoder.normalisation() for encoder in encoders]
    return tuple(Normalisation(*entry) for entry in found if entry is not None)


def load_weights(net: nn.Module, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Load all weights of a checkpoint into a net.

    Raises:
        UserError: The weights are those of another net, or not finite.
    """
    theirs = net_weights(checkpoint)
    ours = net.state_dict()
    strange = [key for key in {**theirs, **ours} if key not in theirs or key not in ours]
    strange += [key for key in ours if key in theirs and ours[key].shape != theirs[key].shape]
    if strange:
        raise UserError(
            f"{path}: of another net, {len(strange)} tensors do not fit, such as {strange[0]}: use its own recipe"
        )
    check_weights(theirs, str(path), nonfinite(ours))
    net.load_state_dict(theirs)


def net_weights(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """State dict of the net, taken from that of the whole module."""
    return {
        key.removeprefix("net."): value
        for key, value in checkpoint["state_dict"].items()
        if str(key).startswith("net.")
    }


def weights_checksum(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of a net's parameters and buffers by name: it tells to which weights scores belong."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
