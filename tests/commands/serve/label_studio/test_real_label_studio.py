"""A real Label Studio and its kit: what it asks, shows and exports, and what its own encoder writes."""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.serve.label_studio.labelling import plan_of
from seglight.commands.serve.label_studio.regions import regions_json
from seglight.images.brush import brush_pixels, encode_brush
from tests.support import label_studio
from tests.support.exported import red
from tests.support.known_labels import Predicted
from tests.support.label_studio import KEY, Studio, with_its_kit
from tests.support.running_server import Server, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(label_studio.PROGRAM is None, reason=label_studio.WHY_SKIPPED),
]

CONFIG = """<View><Image name="photo" value="$image"/>
<BrushLabels name="tag" toName="photo"><Label value="dark"/><Label value="Red"/></BrushLabels></View>"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with label_studio.label_studio(tmp_path_factory.mktemp("studio")) as started:
        yield started


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give servers the key by which they fetch images."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", KEY)


def serving(folder: Path, studio: Studio, *options: str, token: str = "") -> AbstractContextManager[Server]:
    """A server of a net, which fetches images from this Label Studio."""
    model = f"red={red(folder / 'red.onnx')}"
    return running(folder / "log.txt", model, "--allow_hosts", studio.url, *options, token=token)


def picture(seed: int, size: tuple[int, int]) -> tuple[bytes, NDArray[np.bool_]]:
    """An image file, and where it is red."""
    height, width = size
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    pixels = blocks.repeat(8, 0).repeat(8, 1)[:height, :width]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue(), pixels[..., 0] > 127


def strokes(predictions: list[dict[str, Any]]) -> dict[str, NDArray[np.bool_]]:
    """Masks by label, as Label Studio's kit reads them."""
    regions = [region for prediction in predictions for region in prediction["result"]]
    code = (
        "from label_studio_sdk.converter.brush import decode_rle\n"
        "print(json.dumps([decode_rle(rle)[3::4].tolist() for rle in given]))"
    )
    read = with_its_kit(code, [region["value"]["rle"] for region in regions])
    return {
        region["value"]["brushlabels"][0]: np.reshape(one, (region["original_height"], region["original_width"])) > 0
        for region, one in zip(regions, read, strict=True)
    }


def test_a_project_from_import_to_export(studio: Studio, tmp_path: Path) -> None:
    content, is_red = picture(0, (83, 117))
    project = studio.project(CONFIG)
    studio.upload(project, "street.png", content)
    with serving(tmp_path, studio) as server:
        studio.connect(project, f"{server.address}label-studio")
        (backend,) = studio.ask("GET", f"/api/ml?project={project}")
        assert backend["state"] == "CO"
        assert backend["model_version"].startswith("red-")
        studio.act(project, "retrieve_tasks_predictions")
        (prediction,) = studio.ask("GET", f"/api/predictions?project={project}")
        assert prediction["model_version"] == backend["model_version"]
        found = strokes([prediction])
        assert found.keys() == {"dark", "Red"}
        np.testing.assert_array_equal(found["Red"], is_red)
        np.testing.assert_array_equal(found["dark"], ~is_red)
    # the same pixels in what Label Studio exports, once somebody has accepted the prediction
    studio.act(project, "predictions_to_annotations", value=prediction["model_version"])
    masks = studio.masks(project)
    assert len(masks) == 2
    for name, png in masks.items():
        with Image.open(io.BytesIO(png)) as image:
            expected = is_red if "Red" in name else ~is_red
            np.testing.assert_array_equal(np.asarray(image) > 0, expected)


def test_predictions_while_somebody_annotates(studio: Studio, tmp_path: Path) -> None:
    content, is_red = picture(1, (40, 50))
    project = studio.project(CONFIG.replace('<Label value="dark"/>', ""))
    studio.upload(project, "street.png", content)
    (task,) = studio.ask("GET", f"/api/tasks?project={project}")["tasks"]
    token = "0123456789abcdef"
    (tmp_path / "token.txt").write_text(token)
    with serving(tmp_path, studio, "--token", str(tmp_path / "token.txt"), token=token) as server:
        more = {"auth_method": "BASIC_AUTH", "basic_auth_user": "x", "basic_auth_pass": token}
        backend = studio.connect(project, f"{server.address}label-studio/red", is_interactive=True, **more)
        path = f"/api/ml/{backend}/interactive-annotating"
        answer = studio.ask("POST", path, json={"task": task["id"], "context": {"result": []}})
        np.testing.assert_array_equal(strokes([answer["data"]])["Red"], is_red)


def test_a_project_of_other_labels_is_not_connected(studio: Studio, tmp_path: Path) -> None:
    project = studio.project(CONFIG.replace("dark", "sky").replace("Red", "sea"))
    with (
        serving(tmp_path, studio) as server,
        pytest.raises(AssertionError) as error,
    ):
        studio.connect(project, f"{server.address}label-studio")
    assert "it doesn't look like a valid ML backend" in str(error.value).replace("&#x27;", "'").replace("\\u0027", "'")


def test_the_bytes_of_its_encoder_and_what_its_decoder_reads() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random((31, 45)) < density for density in (0.0, 0.03, 0.5, 0.97, 1.0)]
    masks += [np.repeat(rng.random((20, 1)) < 0.5, 20_000, axis=1), picture(2, (300, 300))[1]]
    lengths = [2, 3, 4, 5, 64, 65, 16384, 16385, 16384 + 64, 2 * 16384 + 1, 1, 7]  # at and beyond the bounds of packets
    masks.append(np.repeat(np.arange(12) % 2 == 1, lengths)[None])
    code = (
        "import numpy as np\n"
        "from label_studio_sdk.converter.brush import decode_rle, mask2rle\n"
        "masks = [np.array(mask, np.uint8) * 255 for mask in given]\n"
        "packed = [mask2rle(mask) for mask in masks]\n"
        "assert all((decode_rle(one) == mask.ravel().repeat(4)).all() for one, mask in zip(packed, masks))\n"
        "print(json.dumps([list(map(int, one)) for one in packed]))"
    )
    for mask, packed in zip(masks, with_its_kit(code, [mask.tolist() for mask in masks]), strict=True):
        assert list(encode_brush(mask)) == packed
        np.testing.assert_array_equal(brush_pixels(bytes(packed), *mask.shape), mask)


def test_regions_are_valid_for_its_kit() -> None:
    both = CONFIG.replace(
        "</View>",
        '<PolygonLabels name="outline" toName="photo"><Label value="thing" alias="x"/></PolygonLabels></View>',
    )
    labels = np.random.default_rng(0).integers(0, 3, (13, 11)).astype(np.uint8)
    plan = plan_of(both, ("dark", "red", "thing"))
    code = (
        "from label_studio_sdk.label_interface import LabelInterface\n"
        "interface = LabelInterface(given['config'])\n"
        "found = json.loads(given['regions'])\n"
        "print(json.dumps(interface.validate_prediction({'result': found, 'model_version': '1'}, return_errors=True)))"
    )
    regions = regions_json(Predicted(labels), plan).decode()
    assert regions.count('"polygonlabels"') > 1
    assert with_its_kit(code, {"config": both, "regions": regions}) == []
