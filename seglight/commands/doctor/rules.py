"""All defects that the doctor finds: slug, level, what is wrong, how to fix it."""

from seglight.commands.doctor.finding import Level, Rule


def _rules(level: Level, *rows: tuple[str, str, str]) -> dict[str, Rule]:
    return {slug: Rule(slug, level, what, fix) for slug, what, fix in rows}


PAIRS = _rules(
    "mistake",
    ("missing-split", "a split that training needs is missing", "arrange the files as the data module documents"),
    ("missing-image", "a label file has no image", "add the image, or remove the label file (or its line)"),
    ("missing-mask", "an image has no label file", "add the label file, or remove the image"),
    ("surplus-mask", "a label file belongs to no image", "add the image, or remove the label file"),
    ("misnamed-file", "a file does not have the name that its partner requires", "rename it; --fix does"),
)

FILES = _rules(
    "mistake",
    ("zero-byte", "the file is empty", "fetch it again"),
    ("unreadable", "the file can't be read as an image", "fetch or export it again"),
    ("truncated", "the file is cut off or damaged", "fetch it again"),
    ("bomb", "the header announces so many pixels that they could fill the memory", "replace it"),
    ("size-mismatch", "image and mask differ in size", "export the mask at the size of the image"),
    (
        "exif-rotated",
        "an EXIF tag turns the image, as viewers show it, but the labels fit only the image as stored",
        "label the turned image, or drop the tag; --fix drops it and leaves the pixels",
    ),
    (
        "transparent-image",
        "a part of the image is transparent, or has a fourth band below 255, where RGB is read",
        "save it as RGB, as --fix does, on black; or declare `bands`, as shown below, if it is a fourth band",
    ),
    (
        "deep-image",
        "the image has more than 8 bits, or no unsigned integers",
        "declare `bands`, as shown below, or save it with 8 bits, in a range that you choose",
    ),
    (
        "many-bands",
        "the image has more bands than colours",
        "declare `bands`, as shown below, or save the bands of interest as RGB",
    ),
    (
        "undeclared-bands",
        "the image holds something else than `bands` declares",
        "correct `bands`, or save the image like the others",
    ),
    (
        "mixed-bands",
        "the image has another type or number of bands than most images",
        "save all images with the same bands and type",
    ),
    ("many-pages", "the file contains several pages, frames or pictures", "save each to a file of its own"),
    ("unread-format", "the format of the file is not supported", "convert it to PNG, JPEG or TIFF"),
    ("unreadable-label", "the label file can't be read, or its content is not valid", "correct it, or export it again"),
)

FILE_HINTS = _rules(
    "hint",
    (
        "exif-tagged",
        "an EXIF tag turns the image, and it is read turned; the size does not show whether the mask was made for the "
        "turned image or for the stored one",
        "compare mask and image in a viewer: if they do not fit, drop the tag",
    ),
    (
        "cmyk-image",
        "the image is CMYK, made for print: it is read as RGB, without its colour profile",
        "save it as RGB; --fix does",
    ),
    ("grey-image", "the image is grey where others are in colour", "nothing, if this is intended; --fix writes RGB"),
    ("alpha-image", "the image has an alpha channel, opaque everywhere, that is not read", "drop it; --fix does"),
)

MASKS = _rules(
    "mistake",
    (
        "colour-mask",
        "the mask contains colours in place of class indices",
        "save the index, as --fix does if the colours are those of the classes, or declare `labels: color`",
    ),
    ("rgb-index-mask", "the mask contains indices, but in more than one channel", "save one channel; --fix does"),
    ("grey-mask", "the mask is grey in place of the classes' colours", "use the colour version of the labels"),
    ("deep-mask", "the mask is a float or 32-bit image", "save it as an 8-bit index PNG"),
    (
        "packed-mask",
        "the mask is a grey PNG of 2 or 4 bits, whose values readers stretch over 0 to 255",
        "save 8 bits; --fix does",
    ),
    (
        "binary-mask",
        "the mask contains 0 and 255 in place of class indices",
        "save the index, as --fix does for two classes, or declare `value: 255` in classes.yaml",
    ),
    (
        "stretched-mask",
        "the class indices are stretched over 0 to 255, as for display",
        "save the index; --fix does",
    ),
    (
        "luma-mask",
        "the mask contains the brightness of the classes' colours: colour labels were converted to grey",
        "export the index; --fix does, if no two classes are equally bright",
    ),
    (
        "adaptive-palette",
        "the palette gives indices the colours of other classes: it was made for this image only",
        "take the class from the colour; --fix does",
    ),
    (
        "jpeg-mask",
        "the mask was compressed as JPEG, which smears its values",
        "export it as PNG; --fix snaps the values where that is unambiguous",
    ),
    (
        "interpolated-mask",
        "the mask was resized by interpolation, or smoothed: between two classes it contains the values between them",
        "resize labels by nearest neighbour; --fix snaps the values where that is unambiguous",
    ),
    (
        "unknown-values",
        "the mask contains values that are not in the class table",
        "correct the file, or declare the value as a class or as ignored",
    ),
    (
        "shifted-up",
        "every class has the value after its own: `reduce_zero_label` was forgotten",
        "subtract one, where 0 becomes the ignored value",
    ),
    (
        "shifted-down",
        "0 is a class and 255 ignored, where 0 should be ignored: `reduce_zero_label` was applied to the file already",
        "use the original labels, or declare these as they are",
    ),
    ("all-ignored", "no pixel of the mask is labelled", "label it, or remove the pair"),
)

MASK_HINTS = _rules(
    "hint",
    (
        "binary-suspect",
        "the mask contains only 0 and 255, 255 in large areas: a 0/255 mask that is read as ignored?",
        "compare it with its image",
    ),
    ("mostly-ignored", "at least 95% of the mask is ignored", "compare it with its image"),
)

BANDS = _rules(
    "hint",
    (
        "band-order",
        "the bands seem to be in another order than in most images",
        "save them in the order of the others",
    ),
    ("constant-band", "bands with one value in every image: they tell a net nothing", "leave them out of the files"),
    ("equal-bands", "bands that are equal in every image", "leave one of them out of the files"),
    (
        "saturated-band",
        "many values of a band are its largest one: the sensor or an export has cut off what is brighter",
        "nothing, if this is as it was recorded; else export the values without cutting them off",
    ),
    ("undeclared-nodata", "pixels may be without data, but `nodata` is not declared", "declare it under `bands`"),
    (
        "other-statistics",
        "the declared mean and std are far from those of the files",
        "paste the lines below, or check the units",
    ),
)

CLASSES = _rules(
    "hint",
    (
        "no-data",
        "pixels without data, which are ignored in training and scores",
        "if that is too many, check `nodata` and `valid` of the bands",
    ),
    ("class-never-seen", "classes without a pixel in any split", "check the class table"),
    ("class-in-one-split", "classes that are not in all splits", "split the images again, if the class matters"),
    (
        "shifted-labels",
        "the labels seem to be shifted by one class: was `reduce_zero_label` applied twice?",
        "compare a mask with its image",
    ),
)

SPLITS = _rules(
    "mistake",
    (
        "duplicate",
        "the same image is in two splits: the score includes training images",
        "remove it from one of them",
    ),
    (
        "shared-place",
        "scenes of two splits show the same place: the score includes training pixels",
        "put both into one split, or divide all scenes by `data.blocks`",
    ),
) | _rules(
    "hint",
    ("near-duplicate", "nearly the same image is in two splits", "keep one scene in one split"),
    (
        "sequence",
        "frames of one sequence are in two splits, and those near in time look alike",
        "split by sequence, to score on scenes not seen in training",
    ),
    (
        "touching-places",
        "scenes of two splits lie so near to each other that their borders show nearly the same",
        "put neighbours into one split, or divide all scenes by `data.blocks`",
    ),
    ("listed-twice", "the list of a split names an image twice", "remove one line"),
)

RULES = PAIRS | FILES | FILE_HINTS | MASKS | MASK_HINTS | BANDS | CLASSES | SPLITS
