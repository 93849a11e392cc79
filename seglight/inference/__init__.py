"""Prediction of label maps: whole image, sliding window, test-time augmentation, memory plan.

Imported when asked for: an ONNX file predicts without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
