"""Losses on logits at the head's stride, one per file with its gradient."""

from seglight.losses.adversarial import Adversarial
from seglight.losses.boundary import BoundaryLoss
from seglight.losses.cross_entropy import CrossEntropy
from seglight.losses.dice import Dice
from seglight.losses.distillation import Distillation
from seglight.losses.focal import Focal
from seglight.losses.lovasz_softmax import LovaszSoftmax
from seglight.losses.mask_classification import MaskClassificationLoss
from seglight.losses.ohem import OHEMCrossEntropy
from seglight.losses.tversky import Tversky
from seglight.losses.weighted_sum import WeightedSum

__all__ = [
    "Adversarial", "BoundaryLoss", "CrossEntropy", "Dice", "Distillation", "Focal", "LovaszSoftmax",
    "MaskClassificationLoss", "OHEMCrossEntropy", "Tversky", "WeightedSum",
]  # fmt: skip
