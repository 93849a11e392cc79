"""Semantic image segmentation on PyTorch Lightning."""

import lazy_loader

from seglight.system.moved import MOVED as MOVED  # recipes and checkpoints may name modules by former names

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
