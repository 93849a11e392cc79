from .loading import load

__version__: str

__all__ = ["load"]
