"""The comparison of an exported file with its checkpoint, worked by hand; options that do not go together.

Covers: commands.export.options.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from seglight.commands.export import check
from seglight.commands.export.check import CheckImages, Comparison, compare, image_paths
from seglight.commands.export.options import check_options, format_of
from seglight.commands.export.writing import calibration_images
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.types import Image, LabelMap
from seglight.inference.exported.metadata import Metadata
from seglight.inference.exported.runtimes import PROGRAM, load_exported
from tests.support.checkpoint_files import card


class Always:
    """Gives the same labels for every image."""

    class_names = ("a", "b")
    palette = ((0, 0, 0), (1, 1, 1))

    def __init__(self, labels: Sequence[int]) -> None:
        self.labels = np.array([labels], np.uint8)

    def predict(self, image: Image) -> LabelMap:
        return self.labels

    def predict_batch(self, images: Sequence[NDArray[np.uint8]]) -> list[LabelMap]:
        return [self.labels for _ in images]

    def probabilities(self, image: Image) -> NDArray[np.float32]:
        raise NotImplementedError


def test_agreement_and_scores_by_hand() -> None:
    image, mask = np.zeros((1, 4, 3), np.uint8), np.array([[0, 0, 1, 255]], np.uint8)
    found = compare(Always([0, 0, 1, 1]), Always([0, 1, 1, 1]), [(image, mask)])
    assert found.images == 1
    assert found.agreement == 3 / 4
    assert found.miou == (1, 1 / 2)  # of a 1 of 2 pixels, of b 1 of 2; the last is ignored
    assert any("difference -0.5000" in line for line in found.lines())


class OneImage:
    """A split of an image of one band, whose first and last pixel have no data but labels."""

    def __len__(self) -> int:
        return 1

    def read(self, index: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8], str]:
        return np.array([[[0], [5], [7], [0]]], np.uint16), np.array([[1, 0, 1, 0]], np.uint8), "a"


def test_pixels_without_data_are_not_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "holds_labels", lambda folder: True)
    monkeypatch.setattr(check, "_labelled", lambda *given: OneImage())
    images = CheckImages(tmp_path, ("a", "b"), Bands(("nir",), "uint16", (900.0,), (300.0,), nodata=0))
    found = compare(Always([255, 0, 1, 255]), Always([255, 1, 1, 255]), images)
    assert found.miou == (1, 1 / 4)  # of a 0 of 1 pixels, of b 1 of 2
    assert found.agreement == 3 / 4


@pytest.mark.parametrize(
    ("agreement", "after", "precision", "stands"),
    [
        (0.9991, 0.1, "float32", True),
        (0.9989, 0.7, "float32", False),
        (0.9, 0.6951, "int8", True),
        (0.999, 0.6949, "int8", False),
        (0.9, 0.71, "int8", True),
    ],
)
def test_tolerances(agreement: float, after: float, precision: str, stands: bool) -> None:
    assert (Comparison(1, agreement, (0.7, after), (1, 1)).fault(precision) is None) is stands


def test_int8_is_judged_by_labels_only() -> None:
    with pytest.raises(UserError, match="give a folder with labels"):
        Comparison(1, 1.0, (np.nan, np.nan), (1, 1)).fault("int8")


def test_metadata_survives_and_what_is_none_is_refused() -> None:
    metadata = Metadata(card(["sky", "road"], [(1, 2, 3), (4, 5, 6)]), "int8", (360, 480))
    assert Metadata.from_json(metadata.to_json(), Path("f")) == metadata
    for text in (None, "", "[]", "{}", "null", metadata.to_json().replace("360", '"x"')):
        with pytest.raises(UserError, match="not a file of `seglight export`"):
            Metadata.from_json(text, Path("f"))


@pytest.mark.parametrize("name", ["a.onnx", "a.xml", "a.pt2"])
def test_files_that_are_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_exported(tmp_path / name, trust=(PROGRAM,))
    (tmp_path / name).write_bytes(b"PK\3\4 nothing")
    with pytest.raises(UserError, match="not readable"):
        load_exported(tmp_path / name, trust=(PROGRAM,))


def test_programs_are_read_from_whom_one_trusts_only(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"refused.*--trust torch\.export"):
        load_exported(tmp_path / "a.pt2")


def test_options_that_do_not_go_together() -> None:
    out = Path("a.onnx")
    check_options("onnx", out, "int8", Path("images"), False)
    check_options("onnx", out, None, None, False, 16)
    for arguments, told in (
        (("tflite", out, None, None, False), "one of onnx, openvino, torch"),
        (("torch", out, None, None, False), "ends in .pt2"),
        (("onnx", out, "int4", None, False), "only int8 is supported"),
        (("onnx", out, "int8", None, False), "are given together"),
        (("torch", Path("a.pt2"), "int8", Path("images"), False), "needs --format onnx or openvino"),
        (("onnx", out, None, None, True), "needs --format torch"),
        (("torch", Path("a.pt2"), None, None, False, 20), "--opset needs --format onnx"),
        (("onnx", out, None, None, False, 15), "--opset 15: give one of 16 to 23"),
        (("onnx", out, None, None, False, 24), "--opset 24: give one of 16 to 23"),
    ):
        with pytest.raises(UserError, match=told):
            check_options(*arguments)


def test_the_suffix_tells_the_format() -> None:
    assert [format_of(Path(name)) for name in ("a.onnx", "b/a.xml", "a.pt2")] == ["onnx", "openvino", "torch"]
    with pytest.raises(UserError, match=r"--out a.bin: give a file that ends in .onnx, .xml, .pt2"):
        format_of(Path("a.bin"))


def test_masks_beside_images_are_not_compared(tmp_path: Path) -> None:
    for name in ("x.jpg", "x_mask.png"):
        PIL.Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert image_paths(tmp_path, RGB) == [tmp_path / "x.jpg"]


def test_images_of_other_bands_are_told_what_the_net_reads(tmp_path: Path) -> None:
    """Nothing can be declared for an export: the bands are those of the net."""
    PIL.Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "a.png")
    bands = Bands(("heat",), "float32", (290.0,), (9.0,))
    told = r"a\.png: a PNG of 3 bands of uint8 .*, and the net reads 1 band of float32 \(heat\): give it such images$"
    with pytest.raises(UserError, match=told):
        list(CheckImages(tmp_path, ("a", "b"), bands))
    with pytest.raises(UserError, match=told):
        calibration_images(tmp_path, None, bands)
