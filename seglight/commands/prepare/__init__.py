"""prepare: data sets fetched, checked and unpacked."""

from seglight.commands.prepare.download import Archive
from seglight.commands.prepare.steps import DataSet, prepared

__all__ = ["Archive", "DataSet", "prepared"]
