"""Graph of a deployed net: from pixels as they are stored to labels at the image's size, with all steps between."""

import copy
import warnings

import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from seglight.errors import UserError
from seglight.interfaces import seg_output
from seglight.models.bands import blank_image, pixels_read
from seglight.models.encoders.band_inputs import BandInputs
from seglight.ops.sizes import DIVISOR

EXAMPLE = (100, 150)
"""Height and width of the image with which a graph of any size is traced: arbitrary, but unequal."""

BROKEN = 255
"""Label of all pixels of an image whose logits are not finite; it is -1 for more than 255 classes."""

NODATA = {torch.uint8: 255}
"""Label of pixels that have data in no band, by the type of the labels; it is 65535 in all types but this one."""

SIDES = (DIVISOR + 1, 2**14)
"""Shortest and longest side that torch.export may assume: it takes other branches if a map has one cell."""

LARGEST_BATCH = 2**10
"""Largest number of images that torch.export may assume in a batch."""


class Deployed(nn.Module):
    """The result of `WholeImage` by operators that every runtime supports.

    If the logits of an image are not finite, all of its labels are `BROKEN`, which is no class of up to 255. Labels of
    more classes are int32, because runtimes have few operators for uint16, and -1 for such an image.

    Pixels that have data in no band have the label `NODATA`, which is ignored, and probabilities of 0.

    Args:
        net: Net in evaluation mode; it is copied.
        probabilities: Whether the probabilities of the classes are returned, too.
        temperature: Divisor of the logits of the probabilities; None: 1. The labels are found without it.
    """

    def __init__(self, net: nn.Module, probabilities: bool = False, temperature: float | None = None) -> None:
        super().__init__()
        self.net = _with_fixed_padding(net)
        bands = pixels_read(net)
        self.pixels = BandInputs(bands) if bands.has_nodata else None
        self.probabilities = probabilities
        self.temperature = temperature

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Images (B, bands, H, W) to labels uint8 (B, H, W), int32 for more than 255 classes; float32 (B, C, H, W)."""
        height, width = image.shape[-2:]
        padded = image.index_select(2, _repeated(height, image)).index_select(3, _repeated(width, image))
        logits = seg_output(self.net(padded)).logits
        upsampled = F.interpolate(logits, padded.shape[-2:], mode="bilinear", align_corners=False)
        upsampled = upsampled[:, :, :height, :width]
        labels = _marked(upsampled.argmax(1), logits)
        missing = None if self.pixels is None else self.pixels.without_data(image)
        if missing is not None:
            labels = torch.where(missing, NODATA.get(labels.dtype, 65535), labels)
        if not self.probabilities:
            return labels
        tempered = upsampled if self.temperature is None else upsampled / self.temperature
        probabilities = tempered.softmax(1)
        return labels, probabilities if missing is None else probabilities.masked_fill(missing[:, None], 0)


def _marked(labels: Tensor, logits: Tensor) -> Tensor:
    """Replace labels by `BROKEN` if the logits of their image are not finite."""
    classes = logits.shape[1]
    broken = logits.isfinite().flatten(1).all(1).logical_not()[:, None, None]
    if classes > BROKEN:
        return torch.where(broken, -1, labels).to(torch.int32)
    return torch.where(broken, BROKEN, labels.to(torch.uint8))


def _repeated(length: int, image: Tensor) -> Tensor:
    """Indices of the rows or columns of the padded image: all of the image, then the last one repeated."""
    padded = (length + DIVISOR - 1) // DIVISOR * DIVISOR
    return torch.arange(padded, device=image.device).clamp(max=length - 1)


def _with_fixed_padding(net: nn.Module) -> nn.Module:
    """A copy in which convolutions with padding that depends on the image get a fixed one: strides divide these images.

    For images of any size, torch.export needs minutes for the formulas of that padding.
    """
    net = copy.deepcopy(net)
    for parent in list(net.modules()):
        for name, conv in list(parent.named_children()):
            if isinstance(conv, Conv2dSame):
                rows, columns = (
                    max(0, dilation * (kernel - 1) + 1 - stride)
                    for kernel, stride, dilation in zip(conv.kernel_size, conv.stride, conv.dilation, strict=True)
                )
                padding = nn.ZeroPad2d((columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
                plain = nn.Conv2d(
                    conv.in_channels,
                    conv.out_channels,
                    conv.kernel_size,  # type: ignore[arg-type]
                    conv.stride,  # type: ignore[arg-type]
                    dilation=conv.dilation,  # type: ignore[arg-type]
                    groups=conv.groups,
                    bias=conv.bias is not None,
                )
                plain.weight = conv.weight
                plain.bias = conv.bias
                setattr(parent, name, nn.Sequential(padding, plain))
    return net


def program_of(deployed: Deployed, size: tuple[int, int] | None, batch: bool = False) -> ExportedProgram:
    """Trace the graph by torch.export.

    Args:
        deployed: Graph to trace.
        size: Height and width of the images, or None for any size.
        batch: Whether the graph takes any number of images; otherwise one.

    Raises:
        UserError: torch.export can't trace the net for images of any size, for batches, or at all.
    """
    if size is None and any(isinstance(layer, nn.RNNBase) for layer in deployed.modules()):
        raise UserError("--size dynamic: the net's recurrent sweeps have a length in a graph: give --size HxW")
    deployed.eval().to(memory_format=torch.contiguous_format)
    # of a batch of one torch.export would assume that it stays one
    image = blank_image(deployed, size or EXAMPLE, 2 if batch else 1)
    smallest, largest = SIDES
    sides = {2: Dim("height", min=smallest, max=largest), 3: Dim("width", min=smallest, max=largest)}
    dynamic = ({0: Dim("batch", max=LARGEST_BATCH)} if batch else {}) | (sides if size is None else {})
    try:
        with warnings.catch_warnings():
            # recurrent layers gather their parameters again in each pass
            warnings.filterwarnings("ignore", r"The tensor attributes? .*_flat_weights", UserWarning)
            program = torch.export.export(
                deployed,
                (image,),
                dynamic_shapes={"image": dynamic} if dynamic else None,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
    except Exception as error:  # torch raises errors of the net's own code, and about ten classes of its own
        raise UserError(_untraceable(size, batch)) from error
    graph = program.graph
    for node in list(graph.nodes):
        # they hold conditions of the net's code, such as whether a map has the size of another one already: both
        # branches give the same values
        if node.target is torch.ops.aten._assert_scalar.default:
            graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    return program


def _untraceable(size: tuple[int, int] | None, batch: bool) -> str:
    if batch:
        return "--batch: torch.export can't trace this net for batches: leave --batch out (see --debug)"
    if size is None:
        return "--size dynamic: torch.export can't trace this net for images of any size: give --size HxW (see --debug)"
    return f"--size {size[0]}x{size[1]}: torch.export can't trace this net: see --debug for its message"
