"""A model file to label maps: whole image, sliding window, test-time augmentation. Lazy: an ONNX file needs no torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
