"""Activations that are computed again in the backward pass instead of being kept (arXiv 1604.06174)."""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from seglight.errors import UserError


def recompute_activations(name: str, net: Any) -> None:
    """Let timm recompute the activations of a net; batch norms still count each batch once.

    Args:
        name: Name of the net for error messages.
        net: A timm model.

    Raises:
        UserError: timm does not support it for this model.
    """
    try:
        net.set_grad_checkpointing(True)
    except (AssertionError, AttributeError) as error:
        raise UserError(f"encoder.checkpoint_activations: timm can't with '{name}': leave it out") from error
    passes = _Passes()
    net.register_forward_pre_hook(passes.begin)
    net.register_forward_hook(passes.end)


class _Passes:
    """Tells a forward pass from the recomputation in the backward pass, which does not call the net as a whole."""

    def __init__(self) -> None:
        self.forward = self.hooked = False
        self.momenta: dict[Any, float | None] = {}

    def begin(self, net: nn.Module, inputs: Any) -> None:
        # not before the first pass of training: until then Lightning may put other batch norms in their place
        if not self.hooked and net.training:
            self.hooked = True
            for module in net.modules():
                if isinstance(module, _BatchNorm):
                    module.register_forward_pre_hook(self.count)
        self.forward = True
        for norm, momentum in self.momenta.items():
            norm.momentum = momentum
        self.momenta.clear()

    def end(self, net: nn.Module, inputs: Any, features: Any) -> None:
        self.forward = False

    def count(self, norm: Any, inputs: Any) -> None:
        if not self.forward and norm.training:
            self.momenta.setdefault(norm, norm.momentum)
            norm.momentum = 0.0
            norm.num_batches_tracked -= 1
