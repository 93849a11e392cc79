"""Published weights of other projects in seglight's nets."""

from pathlib import Path

from torch import nn

from seglight.checkpoints.net_bands import pixels_read
from seglight.errors import UserError
from seglight.interfaces import heads_of
from seglight.models.encoders.normalized import per_channel
from seglight.models.weights.dpt import DPT
from seglight.models.weights.eomt import EOMT
from seglight.models.weights.mask2former import MASK2FORMER
from seglight.models.weights.robust import PIR_AT
from seglight.models.weights.segformer import SEGFORMER
from seglight.models.weights.smp import SMP
from seglight.models.weights.state import Imported, fill, read_state
from seglight.models.weights.torchvision import TORCHVISION
from seglight.models.weights.upernet import UPERNET

# PIR-AT before UPerNet: its decoder has the names of that one
FAMILIES = (*TORCHVISION, SEGFORMER, PIR_AT, UPERNET, DPT, *EOMT, MASK2FORMER, *SMP)


def import_weights(net: nn.Module, file: str | Path) -> Imported:
    """Load weights of torchvision, transformers, segmentation_models.pytorch, PIR-AT, EoMT or Mask2Former into a net.

    In evaluation the net then computes the logits of the original, at its own stride. The encoder normalises as in the
    original's training, if that is known. A head for another number of classes, and an auxiliary head that the original
    does not have, keep their initial values. Files of EoMT's authors over DINOv3 hold the encoder as differences from
    Meta's weights, with which the net has to be built: they are added.

    Args:
        net: A net of the same parts, channels and dilations.
        file: Safetensors file, or a .pth file that loads weights-only.

    Raises:
        UserError: The file can't be read safely, belongs to no known family, or to another net.
    """
    theirs = read_state(file)
    family = next((family for family in FAMILIES if family.wrote(theirs)), None)
    if family is None:
        known = ", ".join(family.name for family in FAMILIES)
        raise UserError(
            f"{file}: its tensors, such as {min(theirs)}, are none of {known}: convert them to one of these"
        )
    imported = fill(net, family.convert(theirs), f"{file} ({family.name})", heads_of(net), family.differences)
    if pixels_read(net).mean:  # images of other bands are normalised by their own statistics
        return imported
    for name, values in (("mean", family.mean), ("std", family.std)):
        buffer = net.get_buffer(f"encoder.{name}")
        if values is not None:
            buffer.copy_(255 * per_channel(name, values, buffer.numel()))
    return imported
