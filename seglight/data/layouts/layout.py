"""What is known of a labelled data set in a folder after its layout has been recognised."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seglight.data.classes import Classes
from seglight.data.layouts.band_names import BandFiles
from seglight.images.types import LabelMap

WITHOUT_SPLIT = "all"
"""Key of the images of a data set that has no splits."""

Boxes = Literal["ignore", "fill"]
"""Treatment of objects that have a box and no outline: their pixels are ignored, or belong to the class."""

LabelReader = Callable[[Path], LabelMap]
"""Function from an image file to its label map (H, W), with the EXIF orientation applied."""


@dataclass(frozen=True)
class Choices:
    """What a layout leaves open.

    Args:
        boxes: Treatment of objects that have a box and no outline.
    """

    boxes: Boxes = "ignore"


@dataclass(frozen=True)
class InPlace:
    """Data module that reads a layout where it is.

    Args:
        class_path: Import path of the data module.
        init_args: Its arguments, without `root`, `classes` and `lists`.
        class_table: Content of the `classes.yaml` that it needs; None: it needs none, or the folder contains one.
    """

    class_path: str
    init_args: Mapping[str, Any] = field(default_factory=dict)
    class_table: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Layout:
    """A labelled data set in the form in which a tool wrote it.

    Args:
        form: Name of the form, such as "COCO JSON".
        evidence: File or folder that it was recognised by.
        classes: Names and colours of the classes.
        splits: Image files by split, "train", "val" and "test"; only `WITHOUT_SPLIT` if the data set has no splits.
        labels: Function that reads the label map of one of these images.
        remarks: Decisions taken and objects left out, one sentence each, with numbers.
        in_place: Data module that reads the layout where it is; None: it has to be converted.
        lists: Folder with train.txt, val.txt and test.txt that belongs to the layout, for data modules that read it in
            place; None: its splits are folders or files.
        image_bytes: Function that reads the file of an image that is stored inside another file, where the path of the
            image is only its name; None: the images are files.
        bands: Files of images that have one file a band, of which that of the first stands for the image; None: each
            image is a file.
        lists_needed: Whether `in_place` reads all images as one pool, so that it has to be given lists of `splits`:
            they are in a file of another form than `lists`.
    """

    form: str
    evidence: Path
    classes: Classes
    splits: Mapping[str, Sequence[Path]]
    labels: LabelReader
    remarks: Sequence[str] = ()
    in_place: InPlace | None = None
    lists: Path | None = None
    image_bytes: Callable[[Path], bytes] | None = None
    lists_needed: bool = False
    bands: BandFiles | None = None


Recogniser = Callable[[Path, Choices], Layout | None]
"""Function that looks at a folder; None: it is of another layout. A damaged or ambiguous one is a `UserError`."""
