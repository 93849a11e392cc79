"""Data sets from their servers to a folder that trains: fetched, checked, unpacked, verified; one data set a file."""

from seglight.prepare.download import Archive
from seglight.prepare.steps import DataSet, prepared

__all__ = ["Archive", "DataSet", "prepared"]
