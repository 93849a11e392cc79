"""Data sets from their servers to a folder that trains: fetched, checked, unpacked, verified; one data set a file."""

from seglight.commands.prepare.download import Archive
from seglight.commands.prepare.steps import DataSet, prepared

__all__ = ["Archive", "DataSet", "prepared"]
