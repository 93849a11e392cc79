"""From images to label maps."""

from seglight.inference.augmentation import TestTimeAugmentation
from seglight.inference.sliding import SlidingWindow
from seglight.inference.whole import WholeImage

__all__ = ["SlidingWindow", "TestTimeAugmentation", "WholeImage"]
