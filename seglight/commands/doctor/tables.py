"""The codec of a data set as the doctor's workers take it."""

from seglight.commands.doctor.facts import IGNORED, UNKNOWN, LabelTable
from seglight.data.classes import Classes
from seglight.data.labels import Codec, ColorCodec, LabelCodec


def label_table(codec: Codec, classes: Classes) -> LabelTable | None:
    """The table of a codec; None for a codec of another kind, which has to be asked file by file."""
    if isinstance(codec, LabelCodec):
        values, ignored, colour = dict(codec.values), list(codec.ignored), False
    elif isinstance(codec, ColorCodec):
        values = {code(color): index for color, index in codec.colors.items()}
        ignored, colour = [code(color) for color in codec.ignored], True
    else:
        return None
    others = UNKNOWN if codec.others == "refuse" else IGNORED
    return LabelTable(classes.names, classes.palette, values | dict.fromkeys(ignored, IGNORED), others, colour)


def code(color: tuple[int, int, int]) -> int:
    """A colour as one number."""
    return color[0] << 16 | color[1] << 8 | color[2]
