"""Label codecs as tables, which worker processes read without torch."""

from seglight.commands.doctor.facts import IGNORED, UNKNOWN, LabelTable
from seglight.data.classes import Classes
from seglight.data.labels import Codec, ColorCodec, LabelCodec
from seglight.data.pairs import FilePairs


def label_table(codec: Codec, classes: Classes) -> LabelTable | None:
    """The table of a codec, or None for a codec that has no table and has to read each file itself."""
    if isinstance(codec, LabelCodec):
        values = dict(codec.values)
        ignored = list(codec.ignored)
        colour = False
    elif isinstance(codec, ColorCodec):
        values = {code(color): index for color, index in codec.colors.items()}
        ignored = [code(color) for color in codec.ignored]
        colour = True
    else:
        return None
    others = UNKNOWN if codec.others == "refuse" else IGNORED
    return LabelTable(classes.names, classes.palette, values | dict.fromkeys(ignored, IGNORED), others, colour)


def split_table(split: FilePairs, classes: Classes) -> LabelTable | None:
    """The table of a split, or None if its codec has none or a label file is no image."""
    return None if any(path.suffix.lower() == ".npy" for path in split.masks) else label_table(split.codec, classes)


def code(color: tuple[int, int, int]) -> int:
    """A colour as one number."""
    return color[0] << 16 | color[1] << 8 | color[2]
