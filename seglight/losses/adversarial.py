"""The name under which recipes of earlier versions ask for adversarial training."""

from seglight.errors import UserError
from seglight.interfaces import Loss, LossFactory
from seglight.losses.cross_entropy import CrossEntropy


class Adversarial(Loss):
    """Placeholder in recipes of earlier versions: `fit` reads it as its `loss` and a `model.method`.

    `seglight.training.former_recipes` makes them of these arguments; nothing else can build this class.

    Args:
        ignore_index: Mask value that is ignored.
        num_classes: Number of classes, which the method now takes from the data.
        weight: `weight` of the method.
        lr: `lr` of the method.
        loss: Loss of the labels, which becomes `model.loss`.

    Raises:
        UserError: Always.
    """

    def __init__(
        self,
        ignore_index: int,
        num_classes: int,
        weight: float = 0.1,
        lr: float = 1e-4,
        loss: LossFactory = CrossEntropy,
    ) -> None:
        raise UserError(
            "seglight.losses.Adversarial is no longer a loss: set model.method to "
            "seglight.training.methods.AdversarialNetwork, and model.loss to the loss of the labels."
        )
