"""The LightningModules, and what a run of one needs before, while and after it trains."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
