import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

from seglight.data.layouts.layout import Choices
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError
from tests.support import outline_layouts
from tests.support.outline_layouts import NAMES
from tests.support.samples import samples


def test_polygons_and_masks(tmp_path: Path) -> None:
    expected = outline_layouts.labelme_web(tmp_path)
    layout = recognise(tmp_path, Choices())
    assert layout.form == "LabelMe XML"
    assert layout.classes.names == NAMES, "the deleted object has another name"
    assert layout.remarks == ["Deleted objects, which are left out: 6."]
    assert layout.in_place is None
    assert len(layout.splits["all"]) == 6
    for image in layout.splits["all"]:
        assert (layout.labels(image) == expected[image.name]).all()


@pytest.mark.parametrize("boxes", ["ignore", "fill"])
def test_the_export_of_datumaro(boxes: str) -> None:
    """Polygons by pycocotools, masks by Pillow, larger first; `b1` is a box, and `m1` a box with a mask."""
    root = samples() / "labelme-xml/datumaro"
    layout = recognise(root, Choices(boxes))  # type: ignore[arg-type]
    names = ("background", "b1", "hg", "license plate", "m1", "o1", "q1", "window")
    assert layout.classes.names == names
    text = (root / "Annotations/subset1/img1.xml").read_text()
    regions = []
    for one in re.findall(r"<object>(.*?)</object>", text):
        name = re.search("<name>(.*?)</name>", one)[1]  # type: ignore[index]
        mask = re.search("<mask>(.*?)</mask>", one)
        if mask is not None:
            pixels = np.asarray(Image.open(root / "Masks/subset1" / mask[1]))[..., 3] > 0
        else:
            points = [float(value) for pair in re.findall("<x>(.*?)</x><y>(.*?)</y>", one) for value in pair]
            pixels = rle.decode(rle.frPyObjects([points], 77, 102))[..., 0].astype(bool)
        ignored = name == "b1" and boxes == "ignore"
        regions.append((not ignored, -int(pixels.sum()), 255 if ignored else names.index(name), pixels))
    expected = np.zeros((77, 102), np.uint8)
    for _, _, value, pixels in sorted(regions, key=lambda region: region[:2]):
        expected[pixels] = value
    (image,) = layout.splits["all"]
    assert (layout.labels(image) == expected).all()
    assert len(regions) == 7
    assert len(layout.remarks) == 1


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            lambda text: text.replace("<name>car</name>", "<name/>"),
            r"an object has no name \(6 objects can't be painted\)",
        ),
        (
            lambda text: re.sub(r"(<pt>.*?</pt>)(<pt>.*?</pt>){3}", r"\1\1", text),
            r"the object 'tree' has a polygon of 2 corners \(12 objects can't be painted\): correct or remove",
        ),
        (lambda text: text.replace("<x>0</x>", "<x/>"), "the object 'sky' has a corner without coordinates"),
        (lambda text: text.replace("<x>0</x>", "<x>1e9</x>"), "the object 'sky' has a corner far outside the image"),
        (lambda text: text.replace("<x>0</x>", "<x>nan</x>"), "the object 'sky' has a corner far outside the image"),
        (lambda text: text.replace("_mask_1", "_gone_1"), "'car' has a mask street_000_gone_1.png that was not found"),
        (lambda text: text.replace("<annotation>", "<annotation><a>"), "not readable as XML"),
        (
            lambda text: text.replace("<filename>street", "<filename>road"),
            r"LabelMe files whose image was not found: .*000.xml, .*001.xml, .*002.xml and 3 more: add the images",
        ),
    ],
)
def test_mistakes_are_one_line(edit: Callable[[str], str], told: str, tmp_path: Path) -> None:
    outline_layouts.labelme_web(tmp_path)
    for path in tmp_path.rglob("*.xml"):
        path.write_text(edit(path.read_text()))
    with pytest.raises(UserError, match=told) as refused:
        recognise(tmp_path, Choices())
    assert "\n" not in str(refused.value)


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    outline_layouts.labelme_web(tmp_path)
    path = tmp_path / "Masks/street/street_000_mask_1.png"
    Image.new("RGBA", (64, 47)).save(path)
    layout = recognise(tmp_path, Choices())
    with pytest.raises(UserError, match=rf"^{path}: the mask has 64x47 pixels, and its image 64x48: export it again"):
        layout.labels(tmp_path / "Images/street/street_000.jpg")
    path.write_bytes(b"no image")
    with pytest.raises(UserError, match=rf"^{path}: the mask can't be read .*: export it again"):
        layout.labels(tmp_path / "Images/street/street_000.jpg")
