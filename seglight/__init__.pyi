from .inference.load import load

__version__: str

__all__ = ["load"]
