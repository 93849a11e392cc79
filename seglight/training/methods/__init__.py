"""Methods: what a training step computes from net, batch and loss, one per file."""

from seglight.training.methods.adversarial import AdversarialNetwork
from seglight.training.methods.adversarial_training import AdversarialTraining
from seglight.training.methods.supervised import Supervised

__all__ = ["AdversarialNetwork", "AdversarialTraining", "Supervised"]
