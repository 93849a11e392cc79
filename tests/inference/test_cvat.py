"""The function for CVAT, run by CVAT's own driver."""

import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seglight.errors import UserError
from tests.support.band_models import AERIAL, above
from tests.support.cvat_server import TASK, cvat_task
from tests.support.exported import red
from tests.support.routes import run_lengths
from tests.support.stand_in import Reds

auto_annotation = pytest.importorskip("cvat_sdk.auto_annotation", reason="cvat-sdk is not installed")
masks = pytest.importorskip("cvat_sdk.masks", reason="cvat-sdk is not installed")


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from seglight.inference import cvat

    return cvat.create(model=str(red(tmp_path_factory.mktemp("model") / "red.onnx")))


def picture() -> NDArray[np.uint8]:
    """Two red areas on black."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[2:9, 3:11, 0] = 200
    pixels[20:30, 0:40, 0] = 255
    pixels[25, 7, 0] = 0
    return pixels


def annotated(function: Any, images: list[Image.Image], **options: Any) -> list[Any]:
    """Shapes for a task whose labels are "red" and "dark", 70 and 71."""
    from tests.support import cvat_driver

    return cvat_driver.annotated(function, images, {"red": 70, "dark": 71}, first=5, **options)


def test_the_masks_are_those_of_the_label_map(function: Any) -> None:
    shapes = annotated(function, [Image.fromarray(picture()), Image.fromarray(picture()[::-1])])
    reds = picture()[..., 0] > 127
    first, second = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    first[2:9, 3:11] = True
    second[20:30] = reds[20:30]
    hole = np.zeros((30, 40), bool)
    hole[25, 7] = True
    expected = {
        (70, *masks.encode_mask(first, [3, 2, 11, 9])),
        (70, *masks.encode_mask(second, [0, 20, 40, 30])),
        (71, *masks.encode_mask(~reds & ~hole, [0, 0, 40, 20])),
        (71, *masks.encode_mask(hole, [7, 25, 8, 26])),
    }
    assert {(shape.label_id, *shape.points) for shape in shapes if shape.frame == 5} == expected
    assert {shape.type.value for shape in shapes} == {"mask"}
    assert {shape.frame for shape in shapes} == {5, 6}
    assert len(shapes) == 8


def test_polygons_where_cvat_asks_for_them(function: Any) -> None:
    shapes = annotated(function, [Image.fromarray(picture())], conv_mask_to_poly=True, conf_threshold=0.9)
    assert {shape.type.value for shape in shapes} == {"polygon"}
    points = {tuple(shape.points) for shape in shapes if shape.label_id == 70}
    assert (3, 2, 11, 2, 11, 9, 3, 9) in points
    assert len(shapes) == 4


def test_labels_are_the_classes(function: Any) -> None:
    assert [(label.name, label.id, label.type) for label in function.spec.labels] == [
        ("dark", 0, "mask"),
        ("red", 1, "mask"),
    ]


def test_a_frame_that_is_not_read_is_named(function: Any) -> None:
    image = Image.fromarray(np.full((4, 4), 1000, np.uint16))
    with pytest.raises(UserError, match=r"^5\.png: .* 1 channel of 16 bits"):
        annotated(function, [image])


def test_several_checkpoints_and_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    from seglight.inference import cvat

    seen: list[Any] = []

    def load(models: list[str], **options: Any) -> Any:
        seen.append((models, options))
        return SimpleNamespace(card=Reds.card, class_names=("a",))

    monkeypatch.setattr(cvat, "load", load)
    cvat.create(model="a.ckpt,b.ckpt", device="cpu", trust="mine,theirs")
    cvat.create(model="a.ckpt")
    assert seen == [
        (["a.ckpt", "b.ckpt"], {"device": "cpu", "trust": ["mine", "theirs"]}),
        (["a.ckpt"], {"device": "auto", "trust": []}),
    ]


@pytest.mark.slow
def test_an_onnx_file_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from seglight.inference import cvat; "
        f"cvat.create(model={str(red(tmp_path / 'red.onnx'))!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("polygons", [False, True])
def test_the_command_line_of_cvat(polygons: bool, tmp_path: Path) -> None:
    """`cvat-cli` downloads the frames of a task, and sends masks that paint the label maps."""
    pytest.importorskip("cvat_cli", reason="cvat-cli is not installed")
    from cvat_sdk.version import VERSION

    images = {name: encoded(pixels) for name, pixels in (("a.png", picture()), ("b.png", picture()[::-1]))}
    model = f"str:{red(tmp_path / 'red.onnx')}"
    with cvat_task(images, ("red", "dark"), VERSION) as server:
        command = [sys.executable, "-m", "cvat_cli", "--server-host", server.url, "--auth", "user:password"]
        command += ["task", "auto-annotate", str(TASK), "--function-module", "seglight.inference.cvat", "-p"]
        command += [f"model={model}", *(["--conv-mask-to-poly"] if polygons else [])]
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        subprocess.run(command, check=True, env=environment, cwd=tmp_path, capture_output=True, timeout=120)
    assert {shape["type"] for shape in server.shapes} == {"polygon" if polygons else "mask"}
    assert {(shape["frame"], shape["label_id"]) for shape in server.shapes} == {(0, 70), (0, 71), (1, 70), (1, 71)}
    if not polygons:
        for frame, pixels in enumerate((picture(), picture()[::-1])):
            painted = np.zeros((30, 40), int)
            for shape in (shape for shape in server.shapes if shape["frame"] == frame):
                points = list(map(int, shape["points"]))
                painted += shape["label_id"] * run_lengths(points, painted.shape)
            np.testing.assert_array_equal(painted, np.where(pixels[..., 0] > 127, 70, 71))


def encoded(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_net_of_other_bands_is_no_function_of_cvat(tmp_path: Path) -> None:
    """Its frames are pictures."""
    from seglight.inference.cvat import create

    model = above(tmp_path / "nir.onnx", AERIAL, "nir", 2000)
    with pytest.raises(
        UserError, match=r"reads 4 bands of uint16 \(blue, green, red, nir\), and frames of CVAT are in"
    ):
        create(str(model))
