"""Nets to choose from, the best first, and which one a machine has time and memory for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Net:
    """A net with the optimizer that is known to train it.

    Args:
        encoder: timm's name of the encoder.
        decoder: Name of the decoder's class in seglight.models.decoders.
        decoder_args: Arguments of the decoder.
        lr: Learning rate of AdamW for batches of 8.
        weight_decay: Weight decay of AdamW.
        steps: Steps for which this net is worth its time.
        reason: Why it is chosen.
        net_args: Further arguments of EncoderDecoder.
        groups: Arguments of model.groups.
    """

    encoder: str
    decoder: str
    decoder_args: dict[str, Any]
    lr: float
    weight_decay: float
    steps: int
    reason: str
    net_args: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, float] = field(default_factory=dict)


SMALL = Net(
    "tf_efficientnet_lite0", "FPN", {"pyramid_channels": 128, "channels": 64}, 2e-3, 1e-2, 0,
    "learns most in a short training: 12 epochs of CamVid gave 0.71, DeepLabV3+ 0.67, U-Net 0.64",
)  # fmt: skip

MEDIUM = Net(
    "resnet50", "FPN", {}, 5e-4, 1e-2, 1500,
    "time for 1,500 steps or more, too little for ConvNeXt; usual learning rates, not tuned here",
    groups={"encoder_lr_scale": 0.2},
)  # fmt: skip

LARGE = Net(
    "convnext_tiny", "UPerNet", {"channels": 256, "norm_features": True}, 2e-4, 5e-2, 3000,
    "time for 3,000 steps or more; usual decoder and learning rates of ConvNeXt, not tuned here",
    net_args={"aux_index": -2}, groups={"layer_decay": 0.9},
)  # fmt: skip

CANDIDATES = {"cpu": (SMALL,), "gpu": (LARGE, MEDIUM, SMALL)}
"""Nets by kind of device, the best first. On a CPU, the larger ones learn too little in hours."""

BATCHES = (8, 4, 2, 1)
"""Batch sizes that are tried; smaller ones are accumulated to the first."""


@dataclass(frozen=True)
class Batch:
    """Images of a step.

    Args:
        size: Images in a pass.
        accumulated: Passes of an optimizer step.
    """

    size: int
    accumulated: int


def batches(train: int) -> Sequence[Batch]:
    """Batch sizes for a number of training images, the largest first; smaller ones are accumulated to it."""
    sizes = [size for size in BATCHES if size <= train]
    return [Batch(size, sizes[0] // size) for size in sizes]


def batch_reason(batch: Batch, train: int, memory: str) -> str:
    """Why a batch size was chosen.

    Args:
        batch: The batch.
        train: Number of training images.
        memory: Memory of the device and of the trial step, such as "1.9 GB of 8 GB".
    """
    if batch.accumulated > 1:
        return f"as many as fit into the memory: {memory}"
    few = f"no more than the {train} training images" if train < BATCHES[0] else "usual for this learning rate"
    return f"{few}; a trial step took {memory}"
