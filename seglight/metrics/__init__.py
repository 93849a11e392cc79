"""Scores from one integer confusion matrix, of boundaries, and of confidence."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
