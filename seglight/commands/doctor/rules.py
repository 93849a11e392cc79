"""All that the doctor knows to find: slug, level, what is wrong, how to mend it."""

from seglight.commands.doctor.finding import Kind, Level


def _kinds(level: Level, *rows: tuple[str, str, str]) -> dict[str, Kind]:
    return {slug: Kind(slug, level, what, mend) for slug, what, mend in rows}


PAIRS = _kinds(
    "mistake",
    ("missing-split", "a split that training needs is not there", "lay the files out as the data module says"),
    ("missing-image", "a label file has no image", "add the image, or take the label file (or its line) away"),
    ("missing-mask", "an image has no label file", "add the label file, or take the image away"),
    ("surplus-mask", "a label file belongs to no image", "add the image, or take the label file away"),
    ("misnamed-file", "a file has not the name that its partner asks for", "rename it; --fix does"),
)

FILES = _kinds(
    "mistake",
    ("zero-byte", "the file is empty", "fetch it again"),
    ("unreadable", "the file can't be read as an image", "fetch or export it again"),
    ("truncated", "the file is cut off or damaged", "fetch it again"),
    ("bomb", "the header announces more pixels than a picture has, which could fill the memory", "replace it"),
    ("size-mismatch", "image and mask differ in size", "export the mask at the size of the image"),
    (
        "exif-rotated",
        "an EXIF tag turns the image, as viewers show it, and only as it is stored do the labels fit",
        "label the turned picture, or drop the tag; --fix drops it and leaves the pixels",
    ),
    (
        "transparent-image",
        "some of the image is transparent, or has a fourth band below 255, where RGB is read",
        "write RGB; --fix does, on black",
    ),
    (
        "deep-image",
        "the image has more than 8 bits, or no unsigned integers",
        "write 8 bits, in a range that you choose",
    ),
    ("many-bands", "the image has more bands than colours", "write the bands that count as RGB"),
    ("many-pages", "the file holds several pages, frames or pictures", "write each to a file of its own"),
    ("unread-format", "the file is of a kind that is not read", "convert it to PNG, JPEG or TIFF"),
    ("unreadable-label", "the label file can't be read, or says what can't be", "correct it, or export it again"),
)

FILE_HINTS = _kinds(
    "hint",
    (
        "exif-tagged",
        "an EXIF tag turns the image, and so it is read; whether the mask was made for it so or as it is stored, the "
        "size does not tell",
        "look at the mask over the image in a viewer: where it does not fit, drop the tag",
    ),
    (
        "cmyk-image",
        "the image is CMYK, made for print: it is read as RGB, without its colour profile",
        "write RGB; --fix does",
    ),
    ("grey-image", "the image is grey where others are in colour", "nothing, if it is meant so; --fix writes RGB"),
    ("alpha-image", "the image has an alpha channel, opaque everywhere, that is not read", "drop it; --fix does"),
)

MASKS = _kinds(
    "mistake",
    (
        "colour-mask",
        "the mask holds colours where class indices are due",
        "write the index, as --fix does where the colours are the classes', or describe it: `labels: color`",
    ),
    ("rgb-index-mask", "the mask holds indices, but in more than one channel", "write one channel; --fix does"),
    ("grey-mask", "the mask is grey where the classes' colours are due", "take the colour version of the labels"),
    ("deep-mask", "the mask is a float or 32-bit image", "write it as an 8-bit index PNG"),
    (
        "packed-mask",
        "the mask is a grey PNG of 2 or 4 bits, whose values readers stretch over 0 to 255",
        "write 8 bits; --fix does",
    ),
    (
        "binary-mask",
        "the mask is 0/255 where a class index is due",
        "write the index, as --fix does where there are two classes, or describe it: `value: 255` in classes.yaml",
    ),
    (
        "stretched-mask",
        "the class indices are stretched over 0 to 255, as if to be looked at",
        "write the index; --fix does",
    ),
    (
        "luma-mask",
        "the mask holds the brightness of the classes' colours: colour labels were converted to grey",
        "export the index; --fix does, where no two classes are equally bright",
    ),
    (
        "adaptive-palette",
        "the palette gives indices the colours of other classes: it was made anew for this picture",
        "take the class from the colour; --fix does",
    ),
    (
        "jpeg-mask",
        "the mask was compressed as JPEG, which smears its values",
        "export it as PNG; --fix snaps the values where that is unambiguous",
    ),
    (
        "interpolated-mask",
        "the mask was resized by interpolation, or smoothed: from class to class it runs through the values between",
        "resize labels by nearest neighbour; --fix snaps the values where that is unambiguous",
    ),
    (
        "unknown-values",
        "the mask holds values that are not in the class table",
        "correct the file, or name the value as a class or as ignored",
    ),
    (
        "shifted-up",
        "every class has the value after its own: `reduce_zero_label` was forgotten",
        "subtract one, 0 becoming the ignored value",
    ),
    (
        "shifted-down",
        "0 is a class and 255 ignored, where 0 should be ignored: `reduce_zero_label` was done in the file already",
        "take the original labels, or describe these as they are",
    ),
    ("all-ignored", "not one pixel of the mask is labelled", "label it, or take the pair away"),
)

MASK_HINTS = _kinds(
    "hint",
    (
        "binary-suspect",
        "the mask is 0 and 255 alone, 255 in large areas: a 0/255 mask that is read as ignored?",
        "look at it beside its image",
    ),
    ("mostly-ignored", "at least 95% of the mask is ignored", "look at it beside its image"),
)

CLASSES = _kinds(
    "hint",
    ("class-never-seen", "classes without a pixel in any split", "check the class table"),
    ("class-in-one-split", "classes that are not in all splits", "split the images anew, if the class matters"),
    (
        "shifted-labels",
        "the labels look shifted by one class: `reduce_zero_label` done twice?",
        "look at a mask beside its image",
    ),
)

SPLITS = _kinds(
    "mistake",
    ("duplicate", "the same image is in two splits: the score counts what was trained on", "take it out of one"),
) | _kinds(
    "hint",
    ("near-duplicate", "nearly the same image is in two splits", "keep one scene in one split"),
    (
        "sequence",
        "frames of one sequence are in two splits, and those near in time look alike",
        "split by sequence, to score on scenes not seen in training",
    ),
    ("listed-twice", "the list of a split names an image twice", "take one line away"),
)

KINDS = PAIRS | FILES | FILE_HINTS | MASKS | MASK_HINTS | CLASSES | SPLITS
