"""From images to label maps."""

from seglight.inference.augmentation import TestTimeAugmentation
from seglight.inference.sliding import SlidingWindow
from seglight.inference.whole import WholeImage
from seglight.interfaces import Inferer

__all__ = ["Inferer", "SlidingWindow", "TestTimeAugmentation", "WholeImage"]
