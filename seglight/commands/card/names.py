"""The names of a split's images, before any of them is predicted."""

from seglight.interfaces import Labelled


def names_of(split: Labelled) -> list[str]:
    """Names of the images, in the order of the split.

    The name of an image of files is its path, for which no file is opened. Where three images, or generated ones, have
    other names, all are read.
    """
    paths = [str(next(iter(split.sources(index)), "")) for index in range(len(split))]
    few = sorted({0, len(paths) // 2, len(paths) - 1}) if paths else []
    if all(split.read(index)[2] == paths[index] for index in few):
        return paths
    return [split.read(index)[2] for index in range(len(paths))]
