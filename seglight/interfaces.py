"""Types shared by all rooms: samples, batches, outputs of nets, base classes, and factories given by YAML."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, Protocol, Self, TypedDict

from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.ops.mask_reading import semantic_logits
from seglight.ops.temperature import tempered
from seglight.ops.upsample import upsampled_argmax


class Labelled(Protocol):
    """A split of a data set: labelled images by index."""

    def __len__(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Identity of all that the samples depend on except the files' content; a cache belongs to one fingerprint."""

    def sources(self, index: int) -> tuple[Path, ...]:
        """Files that a sample is read from, its image first; empty if it is generated."""

    def read(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str]:
        """Return an image (H, W, bands) of its type, a mask (H, W) of class index or ignore_index, and a name.

        8-bit RGB is uint8 (H, W, 3). A mask is uint8, or uint16 for more than 255 classes.
        """


class Sample(TypedDict):
    """One labelled image: `image` (bands, H, W) of its type, `mask` (H, W) class index or ignore_index.

    8-bit RGB is uint8 (3, H, W). A mask is uint8, or int32 for more than 255 classes.

    Samples of data sets with instances have three more: `segments` int32 (H, W), k + 1 where segment k is, 0 where
    there is none; `segment_classes` int64 (n,), the class of each segment; and `segment_crowds` bool (n,), whether it
    is a region of several instances that are not told apart. A segment may have no pixel, outside of a crop.
    """

    image: Tensor
    mask: Tensor
    name: str
    segments: NotRequired[Tensor]
    segment_classes: NotRequired[Tensor]
    segment_crowds: NotRequired[Tensor]


class Batch(TypedDict):
    """Stacked samples: `image` (B, bands, H, W), `mask` (B, H, W), and the `name` and `size` of each image.

    In evaluation images of different sizes can share a batch: each is in the upper left corner, of its own size (H, W).
    Of data sets with instances there are `segments` (B, H, W), and lists of `segment_classes` and `segment_crowds`.
    """

    image: Tensor
    mask: Tensor
    name: list[str]
    size: list[tuple[int, int]]
    segments: NotRequired[Tensor]
    segment_classes: NotRequired[list[Tensor]]
    segment_crowds: NotRequired[list[Tensor]]


class SegOutput(NamedTuple):
    """Output of a net: `logits` (B, C, h, w) at its head's stride, and those of auxiliary heads in training."""

    logits: Tensor
    aux: tuple[Tensor, ...] = ()


class MaskOutput(NamedTuple):
    """Output of a net that predicts masks with classes: Q queries, each with a class and a mask.

    Attributes:
        class_logits: (B, Q, C + 1); the last class is "no object".
        mask_logits: (B, Q, h, w) at the head's stride; a pixel is in a mask where its logit is above 0.
        aux: Outputs of earlier layers for deep supervision, first to last, each with an empty `aux`; empty in
            evaluation.
    """

    class_logits: Tensor
    mask_logits: Tensor
    aux: "tuple[MaskOutput, ...]" = ()


class Described:
    """Base of classes whose objects remember the arguments they were built with, so that recipes can name them.

    A checkpoint of a net that was built in Python holds the description that `seglight.system.description` makes of
    these arguments, and the net is built from it again.

    Attributes:
        built_with: Arguments of the constructor by position and by name.
    """

    built_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remember the arguments of the outermost class; copies and unpickled objects get theirs with the state."""
        new = super().__new__(cls)
        new.__dict__["built_with"] = (args, kwargs)
        return new


class Encoder(Described, nn.Module):
    """Base class of encoders: `forward(image)` takes images (B, bands, H, W) and returns features, fine to coarse.

    Attributes:
        out_channels: Number of channels of each feature.
        strides: Stride of each feature in pixels of the image.
        in_channels: Number of bands of the image.
        bands: What the images hold, after `use_bands`; None: 8-bit RGB.
    """

    out_channels: list[int]
    strides: list[int]
    in_channels: int = 3
    bands: Bands | None = None

    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation of the bands, in [0, 1], for normalisation; None: not known, or in `bands`."""
        return None

    def use_bands(self, bands: Bands) -> None:
        """Prepare for images of these bands, once, also for 8-bit RGB; a UserError says that they can't be read."""
        if not bands.is_rgb8:
            name = type(self).__name__
            raise UserError(f"{name} reads 8-bit RGB, and the images are {bands.line()}: take TimmEncoder, or another")


class Decoder(Described, nn.Module):
    """Base class of decoders: `forward(features)` returns one map (B, out_channels, h, w).

    Attributes:
        out_channels: Number of channels of the map.
        heads: Prefixes of the decoder's state-dict keys whose tensors depend on the classes, such as ("scores.",).
    """

    out_channels: int
    heads: Sequence[str] = ()


class GuidedDecoder(Decoder):
    """A decoder that also reads the auxiliary head's class scores, (B, C, h, w): `forward(features, scores)`."""


class Loss(nn.Module):
    """Base class of losses that compare logits with a mask.

    `forward(logits, mask)` is all that a subclass has to define. A plain `nn.Module` with the same `forward` can be
    used wherever a loss is expected: `seglight.losses.plain_loss.as_loss` recognises it by not being a `Loss`, and
    adds the other methods with the defaults below. A loss that needs one of them in another way derives from this
    class.

    Args:
        ignore_index: Mask value that is ignored.

    Attributes:
        needs_image: Whether a training step calls `with_image` with the images, instead of `forward`.
    """

    needs_image: bool = False

    def __init__(self, ignore_index: int) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: (B, C, h, w) at the head's stride.
            mask: (B, H, W), integers: class index or `ignore_index`.

        Returns:
            Scalar; 0 if all pixels are ignored.
        """
        raise NotImplementedError

    def with_image(self, logits: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        """Compute the loss of a training step of a loss that `needs_image`, a scalar.

        Args:
            logits: (B, C, h, w) at the head's stride.
            mask: (B, H, W), integers: class index or `ignore_index`.
            image: (B, C, H, W), the net's input.
        """
        raise NotImplementedError

    def with_labels(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the loss and the predicted labels (B, H, W), those of `seglight.ops.upsampled_argmax`.

        Args:
            logits: (B, C, h, w) at the head's stride.
            mask: (B, H, W), integers: class index or `ignore_index`.
        """
        return self(logits, mask), upsampled_argmax(logits, (mask.shape[-2], mask.shape[-1]))

    def denominator(self, mask: Tensor) -> Tensor:
        """The number that the loss divides by, a scalar; accumulated batches are weighted by it.

        Args:
            mask: (B, H, W), integers: class index or `ignore_index`.

        Returns:
            The number of pixels that are not ignored, unless a subclass says otherwise.
        """
        return (mask != self.ignore_index).sum()


class Inferer:
    """Base class of ways to apply a net to images of any size.

    The net takes images (B, bands, H, W) and returns an output that `seg_output` reads. All inferers of seglight raise
    a UserError if the logits are not finite.

    Attributes:
        takes_batches: Whether images of one batch are passed through the net together.
    """

    takes_batches: bool = True

    def labels(self, net: nn.Module, image: Tensor) -> Tensor:
        """Return label maps (B, H, W), uint8, or int32 for more than 255 classes, of images (B, bands, H, W)."""
        raise NotImplementedError

    def probabilities(self, net: nn.Module, image: Tensor) -> Tensor:
        """Return probabilities float32 (B, C, H, W) of images (B, bands, H, W); they sum to 1 at each pixel."""
        raise NotImplementedError

    def tempered_probabilities(self, net: nn.Module, image: Tensor, temperature: float) -> Tensor:
        """Probabilities of a net that is calibrated by a temperature: those of `probabilities` if it is 1.

        Labels do not depend on it: `labels` has no temperature, and the order of a pixel's classes stays.

        Args:
            net: The net, in evaluation mode.
            image: Images (B, bands, H, W).
            temperature: Divisor of the logits before the softmax.

        Returns:
            Float32 (B, C, H, W). Unless a subclass divides its logits, the softmax of log(p) / temperature for the
            probabilities p of `probabilities`, which is the same but for rounding.
        """
        return tempered(self.probabilities(net, image), temperature)

    def label_bands(self, net: nn.Module, image: Tensor) -> Iterator[Tensor]:
        """Label rows (h, W), from the top, of an image (1, bands, H, W), as they are finished.

        Together they are `labels`. Unless a subclass goes through the image from top to bottom, they are one band.

        Args:
            net: The net, in evaluation mode.
            image: Image (1, bands, H, W).
        """
        yield self.labels(net, image)[0]

    def rows(self, net: nn.Module, image: Any) -> Iterator[tuple[int, Tensor]] | None:
        """Labels of an image that is read by windows, from top to bottom.

        Args:
            net: The net, in evaluation mode.
            image: `seglight.images.types.Windows`.

        Returns:
            Pairs of an image row and the labels (rows, W) from there on. None: this inferer takes images in memory
            only, and a `SlidingWindow` takes its place.
        """
        return None


class Net(Described, nn.Module):
    """`forward(image)` takes images (B, bands, H, W) and gives what `seg_output` reads.

    Any other module with such a `forward` may be trained, too.

    Attributes:
        heads: Prefixes of the state-dict keys whose tensors depend on the classes, such as ("head.", "aux_head.").
            A warm start leaves these untrained where the checkpoint is for other classes.
    """

    heads: Sequence[str] = ()


class MaskClassifier(Net):
    """Base class of nets that predict masks with classes: `forward(image)` gives a `MaskOutput`.

    Args:
        num_classes: Number of classes C, without "no object".

    Attributes:
        num_classes: Number of classes C.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, image: Tensor) -> MaskOutput:
        """Images (B, bands, H, W) to classes and masks of queries."""
        raise NotImplementedError

    def set_progress(self, fraction: float) -> None:
        """Tell the net how much of the run is done, before each training step; by default nothing depends on it.

        Args:
            fraction: Optimizer steps that are done over all steps of the run, from 0 to 1.
        """


DecoderFactory = Callable[[Sequence[int], Sequence[int]], Decoder]
"""Called with the encoder's `out_channels` and `strides`."""

NetFactory = Callable[[int], nn.Module]
"""Called with `num_classes`."""

LossFactory = Callable[[int], nn.Module]
"""Called with `ignore_index`; returns a `Loss`, or a plain module with `forward(logits, mask)` like that of `Loss`."""

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
"""Called with the parameter groups."""

ScheduleFactory = Callable[[Optimizer, int], LRScheduler]
"""Called with the optimizer and the number of optimizer steps of the whole run."""


def heads_of(net: nn.Module) -> tuple[str, ...]:
    """Prefixes of a net's state-dict keys whose tensors depend on the classes.

    A net that is no `Net` declares none: there, keys that contain "head" are taken for them.
    """
    if isinstance(net, Net):
        return (net.heads,) if isinstance(net.heads, str) else tuple(net.heads)
    return tuple(key for key in net.state_dict() if "head" in key)


def bands_of(net: nn.Module) -> int:
    """Number of bands of the images that a net reads: that of its first encoder, or 3 if it has none."""
    return next((module.in_channels for module in net.modules() if isinstance(module, Encoder)), 3)


def seg_output(out: "SegOutput | MaskOutput | Tensor | Mapping[str, Tensor]") -> SegOutput:
    """Read the output of any net as logits of pixels.

    It is a SegOutput, plain logits (B, C, h, w), a dict with `out` as torchvision gives, or a MaskOutput, of whose
    last output `semantic_logits` makes them.
    """
    if isinstance(out, SegOutput):
        return out
    if isinstance(out, MaskOutput):
        return SegOutput(semantic_logits(out.class_logits, out.mask_logits))
    if isinstance(out, Tensor):
        return SegOutput(out)
    return SegOutput(out["out"], (out["aux"],) if "aux" in out else ())


Criterion = Callable[[SegOutput, Batch], Tensor]
"""Called with a net's output for the images of a batch and with the batch; gives the loss of the recipe, a scalar."""


class Method(nn.Module):
    """What a training step computes from a net, a batch and a loss; `model.method` of a recipe names a subclass.

    A method may have parameters of its own, such as those of a second net. They are trained by the run's optimizer, in
    the groups of `parameter_groups`, so that precision, clipping, accumulated batches, checks for values that are not
    finite, schedules and exact resume apply to them as to those of the net. Checkpoints hold them as `method.<name>`.

    Args:
        num_classes: Number of classes C, from the module.
        ignore_index: Mask value that is ignored, from the module.
    """

    def __init__(self, num_classes: int, ignore_index: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def forward(self, net: nn.Module, batch: Batch, criterion: Criterion) -> Tensor:
        """The scalar that a training step minimises by all parameters of the optimizer.

        Args:
            net: Called with images (B, bands, H, W); gives a SegOutput.
            batch: The training batch.
            criterion: The loss of the recipe, auxiliary heads included.
        """
        raise NotImplementedError

    def check_net(self, net: nn.Module) -> None:
        """Refuse a net that the method cannot train, by a UserError; called before a run starts."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups of the optimizer for the method's own parameters, each with a `name` of its own.

        A group with `lr_scale` takes that share of the net's learning rate; one without it has an `lr` of its own.
        """
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [{"params": parameters, "name": "method", "lr_scale": 1.0}] if parameters else []


MethodFactory = Callable[[int, int], Method]
"""Called with `num_classes` and `ignore_index`."""
