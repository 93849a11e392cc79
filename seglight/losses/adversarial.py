"""Former name of adversarial training in recipes of earlier versions."""

from seglight.errors import UserError
from seglight.interfaces import Loss, LossFactory
from seglight.losses.cross_entropy import CrossEntropy


class Adversarial(Loss):
    """Placeholder in recipes of earlier versions, which `fit` reads as `model.loss` and `model.method`.

    `seglight.training.former_recipes` translates the arguments; the class itself is never built.
    Training on attacked images is the method `seglight.training.AdversarialTraining`.

    Args:
        ignore_index: Mask value that is ignored.
        num_classes: Number of classes, which the method now takes from the data.
        weight: Argument `weight` of the method.
        lr: Argument `lr` of the method.
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
            "seglight.training.methods.AdversarialNetwork, and model.loss to the loss of the labels. Within "
            "seglight.losses.Distillation it never had a discriminator: give the loss of the labels in its place."
        )
