from .augmentation import TestTimeAugmentation
from .sliding import SlidingWindow
from .whole import WholeImage

__all__ = ["SlidingWindow", "TestTimeAugmentation", "WholeImage"]
