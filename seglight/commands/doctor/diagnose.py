"""Diagnosis of one image or one mask: the slug of the rule that it most likely breaks, and a note."""

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from seglight.commands.doctor.facts import IGNORED, UNKNOWN, LabelTable, MaskFacts, PairFacts, brightness
from seglight.commands.doctor.headers import Header
from seglight.commands.doctor.rules import FILES

Diagnosis = tuple[str, str]
"""Slug of a rule, and a note."""

VOIDS = {0x000000, 0xFFFFFF, 0xE0E0C0}
"""Colours that commonly stand for no class: black, white, VOC's border."""

VOID_LUMAS = {int(brightness(np.array(code))) for code in VOIDS}

SHOWN = 6
"""Number of values named in a note."""


def diagnose_file(header: Header) -> Diagnosis | None:
    """Why a file can't be read, or None; missing files are found with the pairs."""
    return (header.problem, header.error) if header.problem in FILES else None


def diagnose_sizes(image: Header, mask: Header, drawn: bool = False) -> Diagnosis | None:
    """Why image and mask do not match, or None.

    Args:
        image: Header of the image.
        mask: Header of the label file.
        drawn: Whether the labels are shapes, which tools draw on the image as EXIF turns it.
    """
    if image.problem or mask.problem:
        return None
    note = f"the image is {_size(image.size)} and its mask {_size(mask.size)} (height x width)"
    if mask.size == image.size:
        certain = drawn or image.orientation == 1 or image.stored != image.size
        return None if certain else ("exif-tagged", f"orientation {image.orientation}: {note}")
    if mask.size == image.stored:
        return "exif-rotated", f"orientation {image.orientation}: turned, {note}"
    if mask.size == image.size[::-1]:
        note += ", transposed"
    elif abs(mask.size[0] * image.size[1] - mask.size[1] * image.size[0]) < 2 * max(image.size):
        note += ", scaled"
    return "size-mismatch", note


def diagnose_image(facts: PairFacts) -> Iterator[Diagnosis]:
    """Defects of an image that can be read, except grey pixels, which may be normal for the data set."""
    header = facts.image.header
    if header.problem:
        return
    if header.mode == "CMYK":
        yield "cmyk-image", header.format
    if header.alpha:
        yield "alpha-image", f"mode {header.mode}"


def diagnose_mask(mask: MaskFacts, table: LabelTable) -> Diagnosis | None:
    """The first defect of a mask that can be read, or None; later ones may be its consequences."""
    if mask.header.problem:
        return None
    for diagnose in DIAGNOSES:
        diagnosis = diagnose(mask, table)
        if diagnosis is not None:
            return diagnosis
    return None


def _jpeg(mask: MaskFacts, table: LabelTable) -> Diagnosis | None:
    if mask.header.format in ("JPEG", "MPO"):
        return "jpeg-mask", f"a JPEG file with {len(mask.values)} values"
    return None


def _layout(mask: MaskFacts, table: LabelTable) -> Diagnosis | None:
    mode = f"mode {mask.header.mode}"
    if mask.content == "deep":
        return "deep-mask", mode
    if mask.content == "grey-rgb" and not table.colour:
        return "rgb-index-mask", mode
    if mask.content == "index" and table.colour:
        return "grey-mask", mode
    if mask.content == "index" and mask.header.mode == "L" and mask.header.bits < 8:
        return "packed-mask", f"{mask.header.bits} bits"
    return None


def _colours(mask: MaskFacts, table: LabelTable) -> Diagnosis | None:
    if mask.content != "colour" or table.colour:
        return None
    mode = f"mode {mask.header.mode}"
    of_class = colour_classes(table)
    known = [table.names[of_class[code]] for code in mask.values.tolist() if code in of_class]
    if 2 * len(known) < len(mask.values):
        return "colour-mask", f"{mode}, {len(mask.values)} colours that are not the classes'"
    return "colour-mask", f"{mode}, colours of {', '.join(known[:SHOWN])}{', ...' if len(known) > SHOWN else ''}"


def _palette(mask: MaskFacts, table: LabelTable) -> Diagnosis | None:
    """The palette identifies the classes if every class index has the colour of a class, no two the same."""
    if not mask.palette or mask.content != "index":
        return None
    of_class = colour_classes(table)
    pairs = zip(table.classes_of(mask.values).tolist(), mask.palette, mask.values.tolist(), strict=True)
    used = [
        (index, of_class.get(color, -1), value)
        for index, color, value in pairs
        if index != IGNORED and (color in of_class or color not in VOIDS)
    ]
    meant = [there for _, there, _ in used]
    wrong = [(value, there) for index, there, value in used if there != index]
    if not wrong or -1 in meant or len(set(meant)) < len(meant) or len(used) < 2:
        return None
    value, there = wrong[0]
    return "adaptive-palette", f"index {value} has the colour of '{table.names[there]}'"


def _smeared(mask: MaskFacts, table: LabelTable) -> Diagnosis | None:
    if not mask.edges.smeared:
        return None
    if mask.edges.blocky:
        return "jpeg-mask", f"a {mask.header.format} file with JPEG's blocks of 8x8 pixels"
    share = mask.edges.ramps / mask.edges.passes
    return "interpolated-mask", f"{share:.0%} of the steps from value to value end between two others"


def _stretched(mask: MaskFacts, table: LabelTable) -> Diagnosis | None:
    if table.colour or not mask.unknown or len(table.names) < 2:
        return None
    if mask.values.tolist() == [0, 255]:
        known = len(table.names) == 2
        return "binary-mask", "0 and 255" if known else f"255 could be any of {len(table.names)} classes"
    if len(mask.values) < 2 or stretch_step(mask, table) is None:
        return None
    return "stretched-mask", _numbers(mask)


def stretch_step(mask: MaskFacts, table: LabelTable) -> float | None:
    """Factor between class indices and the values of a mask, or None if there is none."""
    number = len(table.names)
    for step in (255 / (number - 1), 255 // (number - 1), 255 // number, 256 // number):
        spread = {round(index * step) for index in range(number)} | {int(index * step) for index in range(number)}
        if step >= 2 and set(mask.values.tolist()) <= spread:
            return step
    return None


def _luma(mask: MaskFacts, table: LabelTable) -> Diagnosis | None:
    of_class = luma_classes(table)
    meant = [value for value in mask.values.tolist() if value in of_class or value not in VOID_LUMAS]
    classes = [of_class.get(value) for value in meant if table.values.get(value) != IGNORED]
    if table.colour or not mask.unknown or None in classes or len(set(classes)) < 2:
        return None
    return "luma-mask", _numbers(mask)


def _noise(mask: MaskFacts, table: LabelTable) -> Diagnosis | None:
    known = sum(value in table.values for value in mask.values.tolist())
    if mask.unknown and mask.edges.noisy and len(mask.values) > known + 4:
        return "jpeg-mask", f"the noise of JPEG in a {mask.header.format} file: {len(mask.values)} values"
    return None


def _shifted(mask: MaskFacts, table: LabelTable) -> Diagnosis | None:
    """Classes from 0 of which 0 is missing and one value is too large; or classes from 1 with 255 in place of 0."""
    if table.colour or not mask.unknown or len(mask.values) < 2:
        return None
    meant = sorted(value for value, index in table.values.items() if index != IGNORED)
    present = mask.values.tolist()
    strange = [value for value in present if table.values.get(value, UNKNOWN) == UNKNOWN]
    beyond = next(value for value in range(meant[0], 2**16 + 1) if value not in table.values)
    if strange == [beyond] and meant[0] not in present and present[0] == meant[0] + 1:
        return "shifted-up", _numbers(mask)
    if strange == [255] and meant[0] == 1 and table.values.get(0) == IGNORED:
        return "shifted-down", _numbers(mask)
    return None


def _unknown(mask: MaskFacts, table: LabelTable) -> Diagnosis | None:
    if not mask.unknown:
        return None
    strange = table.classes_of(mask.values) == UNKNOWN
    counted = list(zip(mask.values[strange].tolist(), mask.counts[strange].tolist(), strict=True))
    name = (lambda code: f"({code >> 16}, {code >> 8 & 255}, {code & 255})") if table.colour else str
    more = f" and {len(counted) - SHOWN} more" if len(counted) > SHOWN else ""
    return "unknown-values", ", ".join(f"{name(value)} ({pixels} pixels)" for value, pixels in counted[:SHOWN]) + more


DIAGNOSES: tuple[Callable[[MaskFacts, LabelTable], Diagnosis | None], ...] = (
    _jpeg, _layout, _colours, _palette, _smeared, _stretched, _luma, _noise, _shifted, _unknown,
)  # fmt: skip
"""Diagnoses in the order in which an earlier defect explains later ones."""


def colour_classes(table: LabelTable) -> dict[int, int]:
    """The class of each colour of the palette, without colours that two classes share."""
    shared = {color for color, number in Counter(table.palette).items() if number > 1}
    return {
        red << 16 | green << 8 | blue: index
        for index, (red, green, blue) in enumerate(table.palette)
        if (red, green, blue) not in shared
    }


def luma_classes(table: LabelTable) -> dict[int, int]:
    """The class of each brightness within one level of that of a class's colour; the nearest class wins."""
    lumas = [(int(brightness(np.array(code))), index) for code, index in colour_classes(table).items()]
    return {luma + off: index for off in (1, -1, 0) for luma, index in lumas}


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _numbers(mask: MaskFacts) -> str:
    shown = ", ".join(map(str, mask.values[:SHOWN].tolist()))
    return f"values {shown}{', ...' if len(mask.values) > SHOWN else ''}"
