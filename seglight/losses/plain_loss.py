"""The interface of `Loss` for losses that are plain modules."""

from collections.abc import Collection

from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Loss, LossFactory

OF_LOSS = {"mass": "denominator", "with_image": "with_image, with needs_image = True", "with_labels": "with_labels"}
"""Methods that were called on any module in version 0.1, and what they are in a `Loss`."""


def as_loss(module: nn.Module, ignore_index: int) -> Loss:
    """Return a module that is a `Loss` unchanged, and any other one within a `PlainLoss`.

    Args:
        module: Module with `forward(logits, mask)` that returns a scalar.
        ignore_index: Mask value that is ignored.

    Raises:
        UserError: The module is not a `Loss` but has one of its methods, which would never be called.
    """
    return module if isinstance(module, Loss) else PlainLoss(module, ignore_index)


def made_loss(factory: LossFactory, ignore_index: int) -> nn.Module:
    """The loss of a factory.

    Args:
        factory: Called with `ignore_index`.
        ignore_index: Mask value that is ignored.

    Raises:
        UserError: The factory takes something else, as torch.nn.CrossEntropyLoss does, or is a loss itself.
    """
    example = "give a class whose first argument is ignore_index, such as seglight.losses.CrossEntropy"
    try:
        loss = factory(ignore_index)
    except TypeError as error:
        raise UserError(f"model.loss: it is called with ignore_index, and fails: {error}: {example}") from error
    if not isinstance(loss, nn.Module):
        raise UserError(f"model.loss: it is called with ignore_index, and returns no torch.nn.Module: {example}")
    return loss


class PlainLoss(Loss):
    """Adapter that gives a plain module with `forward(logits, mask)` the other methods of `Loss`.

    Labels are computed in a pass of their own, and the loss counts as a mean over the labelled pixels. The adapter does
    not register the module, so that the names of its parameters in a checkpoint do not depend on the adapter: whoever
    holds the loss registers the module itself, and calls `as_loss` where it needs these methods.

    Args:
        module: Module with `forward(logits, mask)` that returns a scalar.
        ignore_index: Mask value that is ignored.

    Raises:
        UserError: The module has a method that would never be called.
    """

    def __init__(self, module: nn.Module, ignore_index: int) -> None:
        super().__init__(ignore_index)
        check_plain(type(module))
        self.unregistered = (module,)  # torch registers modules, but not tuples of them

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the module's own loss, a scalar, of logits (B, C, h, w) and a mask (B, H, W)."""
        loss: Tensor = self.unregistered[0](logits, mask)
        return loss


def check_plain(kind: type[nn.Module], names: Collection[str] = tuple(OF_LOSS)) -> None:
    """Check that a plain module has none of the methods that only a `Loss` has.

    Args:
        kind: Class of the module.
        names: Keys of `OF_LOSS`.

    Raises:
        UserError: The class has one of the methods, which would never be called.
    """
    for name in sorted(set(names) & set(dir(kind))):
        raise UserError(
            f"model.loss: {kind.__name__}.{name} would not be called, because {kind.__name__} is a plain module: "
            f"derive it from seglight.interfaces.Loss and define {OF_LOSS[name]}"
        )
