"""Depth of each parameter of a timm model, on which layer-wise learning rates depend."""

from typing import Any

import timm
import torch
from timm.models import group_parameters
from torch import nn

from seglight.errors import UserError


def layer_depths(name: str, features: nn.Module) -> dict[str, int]:
    """How many of timm's layers lie above that of each parameter, the classifier's among them.

    Args:
        name: timm's model name.
        features: The model built with features only, whose parameters have other names.

    Raises:
        UserError: timm does not group the layers of this model.
    """
    try:
        with torch.device("meta"):
            whole: Any = timm.create_model(name)
        layers = group_parameters(whole, whole.group_matcher(coarse=False), reverse=True)
        # `stages.0` is called stages_0 in some, and others have all in a `model`
        above = {key.replace(".", "_"): max(layers.values()) - layer for key, layer in layers.items()}
        names = [key for key, _ in features.named_parameters()]
        return {key: above[key.removeprefix("model.").replace(".", "_")] for key in names}
    except (AttributeError, KeyError) as error:
        raise UserError(
            f"model.groups.layer_decay: timm has no order of the layers of '{name}': take 1, or another encoder"
        ) from error
