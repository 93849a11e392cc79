from .attacks.apgd import APGD
from .attacks.attack import Attack, AttackFactory
from .attacks.cospgd import CosPGD
from .attacks.fgsm import FGSM
from .attacks.pgd import PGD
from .attacks.pixel_losses import (
    BalancedMaskedCrossEntropy,
    JensenShannon,
    MaskedCrossEntropy,
    PlainCrossEntropy,
)
from .attacks.sea import SEA
from .attacks.segpgd import SegPGD
from .corruptions.corrupt import CAMERA_CORRUPTIONS, CORRUPTIONS, VALIDATION_CORRUPTIONS, corrupt

__all__ = [
    "APGD",
    "CAMERA_CORRUPTIONS",
    "CORRUPTIONS",
    "FGSM",
    "PGD",
    "SEA",
    "VALIDATION_CORRUPTIONS",
    "Attack",
    "AttackFactory",
    "BalancedMaskedCrossEntropy",
    "CosPGD",
    "JensenShannon",
    "MaskedCrossEntropy",
    "PlainCrossEntropy",
    "SegPGD",
    "corrupt",
]
