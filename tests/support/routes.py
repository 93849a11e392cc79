"""Label maps of a running `seglight serve`, as the clients of each of its protocols read them.

Every reader is independent of the package: pycocotools, tritonclient, cvat_sdk, or the definition of the format.
"""

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

NOTHING = 255
"""Value of pixels that no object covers."""

Painted = NDArray[np.uint8]


def opened(png: bytes) -> Painted:
    """Values of a PNG of one channel."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode in ("L", "P")
        return np.asarray(image)


def painted(masks: Iterable[tuple[int, NDArray[Any]]], size: Sequence[int]) -> Painted:
    """A label map from masks of classes, none of which may cover another one's pixels."""
    labels = np.full(size, NOTHING, np.uint8)
    for category, mask in masks:
        inside = mask.astype(bool)
        assert (labels[inside] == NOTHING).all(), "masks overlap"
        labels[inside] = category
    return labels


class Rest:
    """`POST /predict`.

    Args:
        client: Client with the address of the server.
        model: Name of the model.
    """

    def __init__(self, client: httpx.Client, model: str) -> None:
        self._client = client
        self._model = model

    def answer(self, content: bytes, form: str) -> httpx.Response:
        """The answer in a format to an image file that is the body of the request."""
        return self._checked(self._client.post("/predict", params=self._query(form), content=content))

    def of_form(self, content: bytes, form: str) -> httpx.Response:
        """The answer in a format to an image file in a field of a form."""
        files = {"image": ("a.png", content, "image/png")}
        return self._checked(self._client.post("/predict", params=self._query(form), files=files))

    def png(self, content: bytes) -> Painted:
        """Labels of a PNG with a palette."""
        return opened(self.answer(content, "png").content)

    def grey(self, content: bytes) -> Painted:
        """Labels of a grey PNG, of an image in a form."""
        return opened(self.of_form(content, "grey").content)

    def labels(self, content: bytes) -> Painted:
        """Labels of the bytes of a label map."""
        found = self.answer(content, "labels")
        size = [int(side) for side in found.headers["X-Seglight-Size"].split("x")]
        return np.frombuffer(found.content, np.uint8).reshape(size)

    def coco(self, content: bytes) -> Painted:
        """Labels of COCO's run lengths, which pycocotools decodes."""
        return coco_labels(self.answer(content, "coco").json())

    def lines(self, content: bytes) -> Painted:
        """Labels of a PNG in the last line of an answer in lines."""
        headers = {"Accept": "application/x-ndjson"}
        found = self._client.post("/predict", params=self._query("png"), content=content, headers=headers)
        assert found.is_success, found.text[:500]
        last = json.loads(found.text.splitlines()[-1])
        assert last["model"] == self._model
        return opened(base64.b64decode(last["result"]))

    def _query(self, form: str) -> dict[str, str]:
        return {"model": self._model, "format": form}

    def _checked(self, response: httpx.Response) -> httpx.Response:
        assert response.is_success, response.text[:500]
        assert response.headers["X-Seglight-Model"] == self._model
        return response


def coco_labels(objects: Mapping[str, Any]) -> Painted:
    """The label map that the objects of one image in COCO's JSON cover; category ids begin with 1."""
    from pycocotools import mask

    first = min(category["id"] for category in objects["categories"])
    (image,) = objects["images"]
    size = [image["height"], image["width"]]
    masks = []
    for one in objects["annotations"]:
        runs = one["segmentation"]
        packed = runs if isinstance(runs["counts"], str) else mask.frPyObjects(runs, *size)
        masks.append((one["category_id"] - first, mask.decode(packed)))
        assert masks[-1][1].sum() == one["area"]
    return painted(masks, size)


def triton_labels(client: Any, model: str, images: Sequence[NDArray[np.uint8]], binary: bool) -> Painted:
    """Label maps (B, H, W) of a batch of images of one size, (H, W, 3), by Triton's client."""
    import tritonclient.http as triton

    pixels = np.stack([image.transpose(2, 0, 1) for image in images])
    tensor = triton.InferInput("image", [*pixels.shape], "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=binary)
    wanted = triton.InferRequestedOutput("labels", binary_data=binary)
    labels: Painted = client.infer(model, [tensor], outputs=[wanted]).as_numpy("labels")
    return labels


def label_studio_regions(
    client: httpx.Client, model: str, addresses: Sequence[str], classes: Sequence[str]
) -> list[list[dict[str, Any]]]:
    """Regions of each image, as Label Studio asks for them; what one request does not reach is asked for again."""
    labels = "".join(f'<Label value="{name}"/>' for name in classes)
    brush = f'<BrushLabels name="tag" toName="photo">{labels}</BrushLabels>'
    config = f'<View><Image name="photo" value="$image"/>{brush}</View>'
    found: dict[int, list[dict[str, Any]]] = {}
    while left := [number for number in range(len(addresses)) if number not in found]:
        tasks = [{"id": number, "data": {"image": addresses[number]}} for number in left]
        response = client.post(f"/label-studio/{model}/predict", json={"tasks": tasks, "label_config": config})
        assert response.is_success, response.text[:500]
        answer = response.json()
        assert all("not reached within" in one["error"] for one in answer["errors"]), answer["errors"]
        found |= {number: one["result"] for number, one in zip(left, answer["results"], strict=True) if one}
    return [found[number] for number in range(len(addresses))]


def stroke_labels(regions: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> Painted:
    """The label map that the brush strokes of an image cover."""
    size = [regions[0]["original_height"], regions[0]["original_width"]]
    return painted(
        (
            (classes.index(region["value"]["brushlabels"][0]), stroke(region["value"]["rle"]).reshape(size))
            for region in regions
        ),
        size,
    )


def stroke(packed: Sequence[int]) -> NDArray[np.bool_]:
    """Where a brush stroke is, flat: packet by packet, as https://github.com/thi-ng/umbrella (rle-pack) unpacks it."""
    bits = "".join(f"{octet:08b}" for octet in packed)
    number, word = int(bits[:32], 2), int(bits[32:37], 2) + 1
    sizes = [int(bits[at : at + 4], 2) + 1 for at in range(37, 53, 4)]
    values = np.empty(number, np.uint8)
    at, filled = 53, 0
    while filled < number:
        repeated, size = bits[at] == "1", sizes[int(bits[at + 1 : at + 3], 2)]
        at += 3 + size
        length = int(bits[at - size : at], 2) + 1
        written = 1 if repeated else length
        values[filled : filled + length] = [int(bits[at + k * word : at + (k + 1) * word], 2) for k in range(written)]
        at += written * word
        filled += length
    bands = values.reshape(-1, 4)
    assert (bands == bands[:, 3:]).all(), "a stroke is white, or transparent black"
    return bands[:, 3] == 255


def nuclio_labels(
    client: httpx.Client, model: str, content: bytes, size: Sequence[int], classes: Sequence[str]
) -> Painted:
    """The label map that the masks of CVAT's serverless function cover: bits of a box, and its corners."""
    response = client.post(
        "/api/function_invocations",
        json={"image": base64.b64encode(content).decode()},
        headers={"x-nuclio-function-name": model, "x-nuclio-path": "/"},
    )
    assert response.is_success, response.text[:500]
    masks = []
    for one in response.json():
        *bits, left, top, right, bottom = one["mask"]
        mask = np.zeros(size, bool)
        mask[top : bottom + 1, left : right + 1] = np.reshape(bits, (bottom - top + 1, right - left + 1))
        masks.append((classes.index(one["label"]), mask))
    return painted(masks, size)


def annotated_labels(function: Any, images: Mapping[str, Image.Image]) -> dict[str, Painted]:
    """Label maps that the masks cover which CVAT's own driver would send for a task with these frames."""
    from tests.support import cvat_driver

    ids = {label.name: label.id + 100 for label in function.spec.labels}
    masks: list[list[tuple[int, NDArray[np.bool_]]]] = [[] for _ in images]
    sizes = [image.size[::-1] for image in images.values()]
    for shape in cvat_driver.annotated(function, list(images.values()), ids):
        assert shape.type.value == "mask"
        masks[shape.frame].append((shape.label_id - 100, run_lengths(shape.points, sizes[shape.frame])))
    return {name: painted(*one) for name, *one in zip(images, masks, sizes, strict=True)}


def run_lengths(points: Sequence[float], size: Sequence[int]) -> NDArray[np.bool_]:
    """A mask of CVAT: lengths of runs within a box, outside first, and the corners of the box."""
    *lengths, left, top, right, bottom = map(int, points)
    inside = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    mask = np.zeros(size, bool)
    mask[top : bottom + 1, left : right + 1] = inside.reshape(bottom - top + 1, -1)
    return mask
