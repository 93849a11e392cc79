"""On real images, each protocol of a server gives the label maps that `seglight predict` writes, pixel for pixel.

The page is compared in tests/commands/serve/test_page_in_browser.py.
"""

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from seglight.__main__ import main
from seglight.images.label_png import read_labels
from tests.support import routes
from tests.support.real_nets import CLASSES, export_real_net
from tests.support.running_server import running

pytestmark = pytest.mark.slow

NAMES = [f"class {k}" for k in range(CLASSES)]
AT_ONCE = 4
"""Requests at the same time: no answer may be that of another image."""


class Picture(NamedTuple):
    """An image.

    Args:
        name: Name of the file.
        content: The file.
        pixels: Its pixels, (H, W, 3).
        labels: What `predict` wrote for it, (H, W).
    """

    name: str
    content: bytes
    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routes")


@pytest.fixture(scope="module")
def model(camvid_root: Path, folder: Path) -> Path:
    with Image.open(min((camvid_root / "val").glob("*.png"))) as image:
        return export_real_net(folder / "net.onnx", np.asarray(image.convert("RGB")))


@pytest.fixture(scope="module")
def pictures(camvid_root: Path, model: Path, folder: Path) -> list[Picture]:
    assert main(["predict", str(model), str(camvid_root / "val"), "--out", str(folder / "masks")]) == 0
    found = []
    for path in sorted((camvid_root / "val").glob("*.png")):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        found.append(Picture(path.name, path.read_bytes(), pixels, read_labels(folder / "masks" / path.name)))
    assert len(found) == 101
    classes = [set(np.unique(picture.labels).tolist()) for picture in found]
    assert set.union(*classes) == set(range(CLASSES))
    assert min(map(len, classes)) > 2
    return found


@pytest.fixture(scope="module")
def images_of_tasks(camvid_root: Path) -> Iterator[str]:
    """Address of a server of the images, where Label Studio would be."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(camvid_root / "val"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def client(model: Path, images_of_tasks: str, folder: Path) -> Iterator[httpx.Client]:
    options = ("--allow_hosts", images_of_tasks, "--workers", "2")
    with (
        running(folder / "log.txt", f"net={model}", *options) as server,
        httpx.Client(base_url=server.address, timeout=100, trust_env=False) as client,
    ):
        yield client


def compare(pictures: Sequence[Picture], labels: Callable[[Picture], NDArray[np.uint8]]) -> None:
    """Ask for label maps, some at a time, and compare them with `predict`'s."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for picture, found in zip(pictures, threads.map(labels, pictures), strict=True):
            np.testing.assert_array_equal(found, picture.labels, picture.name)


@pytest.mark.parametrize(("form", "step"), [("png", 1), ("labels", 5), ("coco", 5), ("grey", 10), ("lines", 10)])
def test_rest(form: str, step: int, client: httpx.Client, pictures: list[Picture]) -> None:
    rest = routes.Rest(client, "net")
    compare(pictures[::step], lambda picture: getattr(rest, form)(picture.content))


def test_probabilities_over_rest(
    client: httpx.Client, model: Path, pictures: list[Picture], camvid_root: Path, tmp_path: Path
) -> None:
    some = pictures[::50]
    paths = [str(camvid_root / "val" / picture.name) for picture in some]
    assert main(["predict", str(model), *paths, "--out", str(tmp_path), "--save", "probabilities"]) == 0
    rest = routes.Rest(client, "net")
    for picture in some:
        expected = np.load(tmp_path / "probabilities" / f"{Path(picture.name).stem}.npz")["probabilities"]
        found = np.load(io.BytesIO(rest.answer(picture.content, "probabilities").content))["probabilities"]
        assert found.dtype == np.float16
        np.testing.assert_array_equal(found, expected)
        confidence = routes.opened(rest.answer(picture.content, "confidence").content)
        # half a level of rounding, and half a step of float16 below 1
        np.testing.assert_allclose(confidence, 255 * expected.max(0).astype(float), atol=0.5 + 255 * 2**-12, rtol=0)


@pytest.mark.parametrize(("binary", "step"), [(True, 1), (False, 25)])
def test_open_inference_protocol(binary: bool, step: int, client: httpx.Client, pictures: list[Picture]) -> None:
    triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
    some = pictures[::step]
    with triton.InferenceServerClient(f"127.0.0.1:{client.base_url.port}") as inference:
        for start in range(0, len(some), 4):
            batch = some[start : start + 4]
            found = routes.triton_labels(inference, "net", [picture.pixels for picture in batch], binary)
            for picture, labels in zip(batch, found, strict=True):
                np.testing.assert_array_equal(labels, picture.labels, picture.name)
    families = text_string_to_metric_families(client.get("/metrics").text)
    seen = {sample.name: sample.value for family in families for sample in family.samples}
    assert seen["seglight_batch_images_sum"] > seen["seglight_batch_images_count"], "images of a request are one batch"


def test_label_studio(client: httpx.Client, pictures: list[Picture]) -> None:
    some = pictures[::5]
    addresses = [f"/{picture.name}" for picture in some]
    regions = routes.label_studio_regions(client, "net", addresses, NAMES)
    for picture, strokes in zip(some, regions, strict=True):
        np.testing.assert_array_equal(routes.stroke_labels(strokes, NAMES), picture.labels, picture.name)


def test_serverless_functions_of_cvat(client: httpx.Client, pictures: list[Picture]) -> None:
    compare(pictures, lambda picture: routes.nuclio_labels(client, "net", picture.content, picture.labels.shape, NAMES))


def test_auto_annotation_of_cvat(model: Path, pictures: list[Picture]) -> None:
    pytest.importorskip("cvat_sdk.auto_annotation", reason="cvat-sdk is not installed")
    from seglight.inference import cvat

    some = pictures[::10]
    frames = {picture.name: Image.fromarray(picture.pixels) for picture in some}
    found = routes.annotated_labels(cvat.create(model=str(model)), frames)
    for picture in some:
        np.testing.assert_array_equal(found[picture.name], picture.labels, picture.name)
