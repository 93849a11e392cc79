"""Attacks on nets and corruptions of images: pure functions of (net, image, mask, seed).

Imported when asked for: corruptions need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
