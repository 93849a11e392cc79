"""Weights that a training starts from: those of a checkpoint, or of another project."""

from collections.abc import Sequence

from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from seglight.checkpoints.release import is_release
from seglight.checkpoints.warm_start import load_fitting_weights
from seglight.errors import say
from seglight.models.weights.published import import_weights


def load_start_weights(net: nn.Module, path: str, class_names: Sequence[str]) -> None:
    """Load weights into a net, and say in one line which were loaded.

    Args:
        net: The net to train.
        path: A checkpoint (.ckpt), a released folder, or a file of another project, as `model.weights` names it.
        class_names: Names of the classes to train.

    Raises:
        UserError: As in `load_fitting_weights` and `import_weights`.
    """
    if path.endswith(".ckpt") or is_release(path):
        line = load_fitting_weights(net, path).line(class_names)
    else:
        line = f"weights of {import_weights(net, path).line()}"
    rank_zero_only(say)(line)
