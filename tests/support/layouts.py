"""Write tiny data sets in the form of each labelling tool, with the label maps that a reader must find in them."""

import base64
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.support.fabricate import save_image, save_mask

SIZE = (48, 64)
"""Height and width of the images."""

STEMS = tuple(f"street_{k:03d}" for k in range(6))

Maps = dict[str, NDArray[np.uint8]]
"""Label map by name of the image."""


@dataclass(frozen=True)
class Stored:
    """Reader of label maps that are given; other processes can receive it."""

    maps: Mapping[str, NDArray[np.uint8]]

    def __call__(self, image: Path) -> NDArray[np.uint8]:
        return self.maps[image.name]


def photographs(folder: Path, suffix: str = ".jpg", seed: int = 0) -> list[Path]:
    """Six images of noise."""
    rng = np.random.default_rng(seed)
    paths = [folder / f"{stem}{suffix}" for stem in STEMS]
    for path in paths:
        save_image(path, rng, SIZE)
    return paths


def rectangles(k: int) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
    """Left, top, right and bottom of a cat and of a dog that covers a part of it, in the image of this number."""
    return (4 + k, 6, 30 + k, 26), (20, 16 + k, 44, 40 + k)


def rectangle_maps(suffix: str = ".jpg") -> Maps:
    """Label maps of the rectangles: 0 background, 1 cat, 2 dog; a dog lies over a cat."""
    maps = {}
    for k, stem in enumerate(STEMS):
        mask = np.zeros(SIZE, np.uint8)
        for value, (left, top, right, bottom) in enumerate(rectangles(k), start=1):
            mask[top:bottom, left:right] = value
        maps[f"{stem}{suffix}"] = mask
    return maps


def corners(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


CVAT_META = (
    "<meta><task><labels><label><name>cat</name><color>#c82828</color><type>any</type><attributes></attributes></label>"
    "<label><name>dog</name><color>#28c828</color><type>any</type><attributes></attributes></label></labels></task></meta>"
)


def cvat_xml(images: str, meta: str = CVAT_META) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}{images}</annotations>\n'


def cvat_image(name: str, shapes: str, subset: str = "") -> str:
    of_subset = f' subset="{subset}"' if subset else ""
    return f'<image id="0" name="{name}" width="{SIZE[1]}" height="{SIZE[0]}"{of_subset}>{shapes}</image>'


def cvat_polygon(label: str, points: list[tuple[float, float]], order: int = 0) -> str:
    text = ";".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return f'<polygon label="{label}" source="manual" occluded="0" points="{text}" z_order="{order}"></polygon>'


def cvat_images(root: Path) -> Maps:
    """CVAT for images 1.1: a polygon, and a mask in front of it that comes first in the file."""
    images = ""
    for k, path in enumerate(photographs(root / "images")):
        cat, (left, top, right, bottom) = rectangles(k)
        area = (right - left) * (bottom - top)
        mask = (
            f'<mask label="dog" source="manual" occluded="0" rle="0, {area}" left="{left}" top="{top}" '
            f'width="{right - left}" height="{bottom - top}" z_order="1"></mask>'
        )
        images += cvat_image(path.name, mask + cvat_polygon("cat", corners(*cat)))
    (root / "annotations.xml").write_text(cvat_xml(images))
    return rectangle_maps()


def brush(mask: NDArray[np.bool_], single: bool = False) -> list[int]:
    """A mask as Label Studio's brush, bit by bit: values of RGBA, repeated up to 65536 times.

    With `single`, every second packet lists up to 16 values that may differ.
    """
    values = np.repeat(np.where(mask.ravel(), 255, 0), 4).tolist()
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    place, packets = 0, 0
    while place < len(values):
        packets += 1
        if single and packets % 2 == 0:
            listed = values[place : place + (16 if packets % 4 else 5)]
            bits += f"001{len(listed) - 1:04b}" + "".join(f"{value:08b}" for value in listed)
            place += len(listed)
            continue
        end = place
        while end < len(values) and values[end] == values[place] and end - place < 65536:
            end += 1
        bits += f"111{end - place - 1:016b}{values[place]:08b}"
        place = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]


def studio_result(kind: str, label: str, value: dict[str, object], **more: object) -> dict[str, object]:
    """A region as in Label Studio's JSON; an empty label is left out."""
    labels = {kind: [label]} if label else {}
    return {
        "original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0, "value": {**value, **labels},
        "id": f"{kind[:2]}{label}", "from_name": "brush" if kind == "brushlabels" else "tag", "to_name": "image",
        "type": kind, "origin": "manual", **more,
    }  # fmt: skip


def percent(points: list[tuple[float, float]]) -> list[list[float]]:
    return [[100 * x / SIZE[1], 100 * y / SIZE[0]] for x, y in points]


def studio_task(number: int, image: str, result: list[dict[str, object]], **more: object) -> dict[str, object]:
    """A task as in Label Studio's JSON, with an annotation of these regions."""
    annotation = {
        "id": 100 + number, "completed_by": 1, "result": result, "was_cancelled": False, "ground_truth": False,
        "created_at": "2024-01-01T00:00:00.000000Z", "updated_at": "2024-01-01T00:00:00.000000Z", "task": number,
    }  # fmt: skip
    return {
        "id": number, "annotations": [annotation], "file_upload": image, "drafts": [], "predictions": [],
        "data": {"image": f"/data/upload/1/{image}"}, "meta": {}, "project": 1, **more,
    }  # fmt: skip


STUDIO_CONFIG = """<View>
  <Image name="image" value="$image"/>
  <PolygonLabels name="tag" toName="image"><Label value="cat" background="#c82828"/></PolygonLabels>
  <BrushLabels name="brush" toName="image"><Label value="dog" background="rgb(40, 200, 40)"/></BrushLabels>
</View>
"""


def label_studio(root: Path) -> Maps:
    """Label Studio's JSON: a polygon, and a brush in front of it; images are named without the digits of uploads."""
    tasks = []
    for k, path in enumerate(photographs(root / "images")):
        cat, (left, top, right, bottom) = rectangles(k)
        pixels = np.zeros(SIZE, bool)
        pixels[top:bottom, left:right] = True
        result = [
            studio_result("polygonlabels", "cat", {"points": percent(corners(*cat)), "closed": True}),
            studio_result("brushlabels", "dog", {"format": "rle", "rle": brush(pixels)}),
        ]
        tasks.append(studio_task(k + 1, f"{k:08x}-{path.name}", result))
    (root / "project-1-at-2024-01-01.json").write_text(json.dumps(tasks))
    (root / "label_config.xml").write_text(STUDIO_CONFIG)
    return rectangle_maps()


def label_studio_masks(root: Path) -> Maps:
    """Label Studio's PNGs of brushes, for images that are named by the numbers of their tasks."""
    maps = {}
    for k, path in enumerate(photographs(root / "images")):
        mask = rectangle_maps()[path.name]
        path = path.rename(path.with_name(f"{k + 1}.jpg"))
        maps[path.name] = mask
        for value, label in enumerate(("cat", "dog"), start=1):
            name = f"task-{k + 1}-annotation-{k + 7}-by-1-tag-{label}-0.png"
            save_mask(root / "export" / name, np.where(mask == value, 255, 0).astype(np.uint8))
    return maps


def sly_bitmap(mask: NDArray[np.bool_], mode: str = "P") -> str:
    """A mask as Supervisely's bitmap: a PNG with a palette whose index 1 is opaque, or with an alpha channel."""
    image = Image.fromarray(mask.astype(np.uint8))
    more: dict[str, Any] = {}
    if mode == "P":
        image.putpalette([0, 0, 0, 255, 255, 255])
        more = {"transparency": bytes([0, 255]), "bits": 4}
    elif mode == "RGBA":
        image = Image.fromarray(np.where(mask[..., None], 255, 0).astype(np.uint8).repeat(4, 2), "RGBA")
    else:
        image = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))
    data = io.BytesIO()
    image.save(data, "PNG", **more)
    return base64.b64encode(zlib.compress(data.getvalue())).decode()


def sly_object(kind: str, title: str, **geometry: Any) -> dict[str, Any]:
    return {
        "id": 1, "classId": {"cat": 7, "dog": 9}.get(title, 0), "description": "", "tags": [], "classTitle": title,
        "geometryType": kind, "labelerLogin": "someone", **geometry,
    }  # fmt: skip


def sly_polygon(title: str, left: int, top: int, right: int, bottom: int) -> dict[str, Any]:
    """A polygon that covers these pixels: its edges are pixels, too."""
    exterior = [list(corner) for corner in corners(left, top, right - 1, bottom - 1)]
    return sly_object("polygon", title, points={"exterior": exterior, "interior": []})


def sly_annotation(*objects: dict[str, Any], tags: Sequence[str] = ()) -> dict[str, Any]:
    size = {"height": SIZE[0], "width": SIZE[1]}
    return {"description": "", "tags": [{"name": tag} for tag in tags], "size": size, "objects": list(objects)}


SLY_META = {
    "classes": [
        {"title": "cat", "shape": "any", "color": "#C82828", "geometry_config": {}, "id": 7, "hotkey": ""},
        {"title": "dog", "shape": "bitmap", "color": "#28C828", "geometry_config": {}, "id": 9, "hotkey": ""},
    ],
    "tags": [],
    "projectType": "images",
}


def supervisely(root: Path) -> Maps:
    """A project of Supervisely with the data sets `train` and `val`: a polygon, and a bitmap in front of it."""
    for k, stem in enumerate(STEMS):
        folder = root / ("train" if k < 4 else "val")
        save_image(folder / "img" / f"{stem}.jpg", np.random.default_rng(k), SIZE)
        cat, (left, top, right, bottom) = rectangles(k)
        data = sly_bitmap(np.ones((bottom - top, right - left), bool), "P" if k % 2 else "RGBA")
        dog = sly_object("bitmap", "dog", bitmap={"data": data, "origin": [left, top]})
        (folder / "ann").mkdir(exist_ok=True)
        (folder / "ann" / f"{stem}.jpg.json").write_text(json.dumps(sly_annotation(sly_polygon("cat", *cat), dog)))
    (root / "meta.json").write_text(json.dumps(SLY_META))
    return rectangle_maps()


def runs(mask: NDArray[np.bool_]) -> str:
    """A mask as Kaggle's runs: starts and lengths, from 1, down the columns; pixel by pixel."""
    found: list[list[int]] = []
    for place, inside in enumerate(mask.ravel(order="F").tolist(), start=1):
        if inside and found and found[-1][0] + found[-1][1] == place:
            found[-1][1] += 1
        elif inside:
            found.append([place, 1])
    return " ".join(f"{start} {length}" for start, length in found)


def kaggle(root: Path) -> Maps:
    """A Kaggle competition: a row for each class of an image, and `sample_submission.csv`."""
    rows = ["ImageId,ClassName,EncodedPixels"]
    for k, path in enumerate(photographs(root / "train_images")):
        for label, (left, top, right, bottom) in zip(("cat", "dog"), rectangles(k), strict=True):
            mask = np.zeros(SIZE, bool)
            mask[top:bottom, left:right] = True
            rows.append(f"{path.name},{label},{runs(mask)}")
        rows.append(f"{path.name},cat,")
    (root / "train.csv").write_text("\n".join(rows))
    (root / "sample_submission.csv").write_text("ImageId,ClassName,EncodedPixels\nx.jpg,cat,1 1\n")
    return rectangle_maps()


ID2LABEL = {"0": "background", "1": "cat", "2": "dog"}


def encoded(array: NDArray[np.uint8], suffix: str = ".png") -> bytes:
    """The file of an image."""
    data = io.BytesIO()
    Image.fromarray(array).save(data, {".png": "PNG", ".jpg": "JPEG"}[suffix])
    return data.getvalue()


def parquet(path: Path, rows: list[dict[str, Any]], group: int = 2) -> None:
    """A Parquet file with row groups of so many rows, as `datasets` writes them."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    file = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([(name, file if isinstance(rows[0][name], dict) else pa.string()) for name in rows[0]])
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=group)


def huggingface(root: Path) -> Maps:
    """Hugging Face's Parquet: two shards of training images, one of validation images."""
    rng = np.random.default_rng(0)
    maps = rectangle_maps()
    rows = []
    for name, mask in maps.items():
        image = encoded(rng.integers(0, 256, (*SIZE, 3), np.uint8), ".jpg")
        label = {"bytes": encoded(mask), "path": name.replace(".jpg", ".png")}
        rows.append({"image": {"bytes": image, "path": name}, "label": label})
    parquet(root / "data/train-00000-of-00002.parquet", rows[:3])
    parquet(root / "data/train-00001-of-00002.parquet", rows[3:4])
    parquet(root / "data/validation-00000-of-00001.parquet", rows[4:])
    (root / "id2label.json").write_text(json.dumps(ID2LABEL))
    return maps


CONVERTED: dict[str, Callable[[Path], Maps]] = {
    "CVAT for images 1.1": cvat_images,
    "Label Studio JSON": label_studio,
    "Label Studio brush masks": label_studio_masks,
    "Supervisely project": supervisely,
    "Kaggle run-length CSV": kaggle,
    "Hugging Face Parquet": huggingface,
}
"""Writers of the layouts that are converted before they are trained on, by the name of the form."""
