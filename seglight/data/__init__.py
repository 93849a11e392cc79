"""Data modules: file pairs, label codecs, loaders, sample order, cache."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
