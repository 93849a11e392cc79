"""Data sets: a LightningDataModule each, imported when it is asked for: `seglight.images.decode` needs none of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
