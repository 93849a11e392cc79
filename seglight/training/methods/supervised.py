"""Training by the labels only."""

from torch import Tensor, nn

from seglight.interfaces import Batch, Criterion, Method


class Supervised(Method):
    """The loss of the recipe on the labels of the batch."""

    def forward(self, net: nn.Module, batch: Batch, criterion: Criterion) -> Tensor:
        """The loss of the net's output."""
        return criterion(net(batch["image"]), batch)
