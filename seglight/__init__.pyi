from .commands.fit.python import Run, evaluate, fit
from .inference.load import load

__version__: str

__all__ = ["Run", "evaluate", "fit", "load"]
