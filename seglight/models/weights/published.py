"""Published weights of other projects in our nets."""

from pathlib import Path

from torch import nn

from seglight.errors import UserError
from seglight.interfaces import heads_of
from seglight.models.encoders.normalized import per_channel
from seglight.models.weights.dpt import DPT
from seglight.models.weights.segformer import SEGFORMER
from seglight.models.weights.smp import SMP
from seglight.models.weights.state import Imported, fill, read_state
from seglight.models.weights.torchvision import TORCHVISION
from seglight.models.weights.upernet import UPERNET

FAMILIES = (*TORCHVISION, SEGFORMER, UPERNET, DPT, *SMP)


def import_weights(net: nn.Module, file: str | Path) -> Imported:
    """Fill a net with the weights of torchvision, transformers or segmentation_models.pytorch.

    In evaluation it then gives the logits that theirs gives, at its own stride. The encoder normalises as theirs was
    trained, where that is known; a head for another number of classes and an auxiliary head that theirs lacks stay as
    they are.

    Args:
        net: An EncoderDecoder of the same parts, channels and dilations.
        file: Safetensors, or a weights-only .pth.

    Raises:
        UserError: It can't be read safely, is of no family known here, or is of another net.
    """
    theirs = read_state(file)
    family = next((family for family in FAMILIES if family.wrote(theirs)), None)
    if family is None:
        known = ", ".join(family.name for family in FAMILIES)
        raise UserError(
            f"{file}: its tensors, such as {min(theirs)}, are none of {known}: convert them to one of these"
        )
    imported = fill(net, family.convert(theirs), f"{file} ({family.name})", heads_of(net))
    for name, values in (("mean", family.mean), ("std", family.std)):
        buffer = net.get_buffer(f"encoder.{name}")
        if values is not None:
            buffer.copy_(255 * per_channel(name, values, buffer.numel()))
    return imported
