"""Pure tensor functions: bands of logits, upsampling, blending, confusion counts, padding."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
