"""Layouts of data sets as labelling tools write them, one file per tool: recognised in a folder, and read."""
