"""What a training step computes from net, batch and loss, one method a file."""

from seglight.training.methods.adversarial import AdversarialNetwork
from seglight.training.methods.supervised import Supervised

__all__ = ["AdversarialNetwork", "Supervised"]
