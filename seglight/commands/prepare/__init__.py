"""`prepare`: downloads, checks and unpacks data sets."""

from seglight.commands.prepare.download import Archive
from seglight.commands.prepare.steps import DataSet, prepared

__all__ = ["Archive", "DataSet", "prepared"]
