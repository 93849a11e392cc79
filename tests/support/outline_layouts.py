"""Write tiny data sets of outlines in each tool's form, with the label maps that a reader must find in them.

In each of six images there is a car, a sky that covers a part of it, and a tree on the car. The car is smaller than the
sky and larger than the tree, and stands in front of the sky in the files of tools whose order counts. Class 0 is
`background`; the other classes are in alphabetical order: car, sky, tree.
"""

import base64
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as rle

from tests.support.fabricate import box
from tests.support.layouts import SIZE, Maps, photographs

NAMES = ("background", "car", "sky", "tree")
HEIGHT, WIDTH = SIZE

Rectangle = tuple[int, int, int, int]
"""Left, top, right and bottom, the last two outside."""


def objects(k: int) -> list[tuple[str, Rectangle]]:
    """Objects of an image, from back to front."""
    return [("sky", (0, 0, WIDTH, 20)), ("car", (8 + k, 10, 28 + k, 30)), ("tree", (12 + k, 14, 17 + k, 19))]


def label_map(k: int) -> NDArray[np.uint8]:
    """Label map of an image."""
    labels = np.zeros(SIZE, np.uint8)
    for name, (left, top, right, bottom) in objects(k):
        labels[top:bottom, left:right] = NAMES.index(name)
    return labels


def maps(images: Sequence[Path]) -> Maps:
    """Label maps by name of the image."""
    return {path.name: label_map(k) for k, path in enumerate(images)}


def moved(images: Sequence[Path], folder: Path) -> list[Path]:
    """Images in another folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return [path.rename(folder / path.name) for path in images]


def coco_table(images: Sequence[Path], first: int, categories: Sequence[dict[str, Any]], form: str = "") -> Any:
    """Content of a file in COCO's format: a polygon, uncompressed and compressed runs, small objects first."""
    number = {entry["name"]: entry["id"] for entry in categories}
    annotations: list[dict[str, Any]] = []
    for k, _ in enumerate(images, start=first):
        for name, (left, top, right, bottom) in reversed(objects(k)):
            pixels = np.zeros(SIZE, np.uint8)
            pixels[top:bottom, left:right] = 1
            outline: Any = [box(left, top, right, bottom)]
            if name == "sky":  # runs down the columns, zeros first
                outline = {"size": list(SIZE), "counts": [0, *([20, HEIGHT - 20] * WIDTH)]}
            elif name == "tree":
                compressed = rle.encode(np.asfortranarray(pixels))
                outline = {"size": list(SIZE), "counts": compressed["counts"].decode()}
            annotations.append(
                {"id": len(annotations) + 1, "image_id": k + 100, "category_id": number[name], "iscrowd": 0,
                 "bbox": [left, top, right - left, bottom - top], "area": int(pixels.sum()), "segmentation": outline}
            )  # fmt: skip
    return {
        "info": {"description": ""},
        "licenses": [],
        "categories": list(categories),
        "images": [
            {"id": k + 100, "file_name": form + path.name, "height": HEIGHT, "width": WIDTH}
            for k, path in enumerate(images, start=first)
        ],
        "annotations": annotations,
    }


def write_json(path: Path, content: Any) -> None:
    """Write JSON, and the folder of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def coco_roboflow(root: Path) -> Maps:
    """Roboflow: `train` and `valid`, each with its images and `_annotations.coco.json`; a root category."""
    images = photographs(root)
    found = maps(images)
    names = ("car", "car", "sky", "tree")  # the project has the name of a class
    categories = [{"id": k, "name": name, "supercategory": "car" if k else "none"} for k, name in enumerate(names)]
    for split, first, last in (("train", 0, 4), ("valid", 4, 6)):
        files = moved(images[first:last], root / split)
        write_json(root / split / "_annotations.coco.json", coco_table(files, first, categories))
    return found


def coco_cvat(root: Path) -> Maps:
    """CVAT: `annotations/instances_default.json` and `images/default`, without a split."""
    images = photographs(root / "images" / "default")
    categories = [{"id": k, "name": NAMES[k], "supercategory": ""} for k in (1, 2, 3)]
    write_json(root / "annotations" / "instances_default.json", coco_table(images, 0, categories))
    return maps(images)


def coco_label_studio(root: Path) -> Maps:
    """Label Studio: `result.json` beside `images`, whose paths are those of Windows, ids from 0."""
    images = photographs(root / "images")
    categories = [{"id": k, "name": name} for k, name in enumerate(NAMES[1:])]
    write_json(root / "result.json", coco_table(images, 0, categories, form="images\\"))
    return maps(images)


def labelme_json(path: Path, image: str, k: int) -> None:
    """A file of LabelMe, whose edges are inside: a polygon, a rectangle by any corners, and a mask."""
    shapes: list[dict[str, Any]] = []
    for name, (left, top, right, bottom) in objects(k):
        x0, y0, x1, y1 = left, top, right - 1, bottom - 1
        kind, points = "polygon", [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
        mask = None
        if name == "sky":
            kind, points = "rectangle", [[x1, y0], [x0, y1]]
        elif name == "tree":
            kind, points = "mask", [[x0, y0], [x1, y1]]
            buffer = io.BytesIO()
            Image.fromarray(np.full((bottom - top, right - left), 255, np.uint8)).save(buffer, "PNG")
            mask = base64.b64encode(buffer.getvalue()).decode()
        shapes.append(
            {"label": name, "points": points, "group_id": None, "shape_type": kind, "flags": {}, "mask": mask}
        )
    content = {"version": "6.3.1", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": None,
               "imageHeight": HEIGHT, "imageWidth": WIDTH}  # fmt: skip
    write_json(path, content)


def labelme_beside(root: Path) -> Maps:
    """LabelMe: images and JSON files in one folder, without a split."""
    images = photographs(root)
    for k, path in enumerate(images):
        labelme_json(path.with_suffix(".json"), path.name, k)
    return maps(images)


def labelme_apart(root: Path) -> Maps:
    """LabelMe on Windows: images and JSON files in two folders, by split, and labels.txt."""
    images = photographs(root)
    found = maps(images)
    for split, first, last in (("train", 0, 4), ("val", 4, 6)):
        for k, path in enumerate(moved(images[first:last], root / "images" / split), start=first):
            labelme_json(root / "labels" / split / f"{path.stem}.json", f"..\\..\\images\\{split}\\{path.name}", k)
    (root / "labels.txt").write_text("__ignore__\n_background_\ncar\nsky\ntree\n")
    return found


def labelme_web(root: Path) -> Maps:
    """LabelMe's web tool: XML files of polygons and masks, and a deleted object."""
    images = photographs(root / "Images" / "street")
    for k, path in enumerate(images):
        entries = ""
        for number, (name, (left, top, right, bottom)) in enumerate(reversed(objects(k))):
            corners = ((left, top), (right, top), (right, bottom), (left, bottom))
            points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in corners)
            outline = f"<polygon><username>a</username>{points}</polygon>"
            if name == "car":
                outline = f"<segm><username>a</username><mask>{path.stem}_mask_{number}.png</mask></segm>"
                pixels = np.zeros((*SIZE, 4), np.uint8)
                pixels[top:bottom, left:right] = (153, 51, 255, 7)
                (root / "Masks" / "street").mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / "Masks" / "street" / f"{path.stem}_mask_{number}.png")
            for deleted in (0, 1) if name == "tree" else (0,):
                label = "cloud" if deleted else name
                entries += (
                    f"<object><name>{label}</name><deleted>{deleted}</deleted><id>{number}</id>{outline}</object>"
                )
        text = (
            f"<annotation><filename>{path.name}</filename><folder>street</folder>{entries}"
            f"<imagesize><nrows>{HEIGHT}</nrows><ncols>{WIDTH}</ncols></imagesize></annotation>"
        )
        target = root / "Annotations" / "street" / f"{path.stem}.xml"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return maps(images)


def yolo_lines(k: int) -> str:
    """Lines of a file of YOLO: class from 0 and the corners as fractions of width and height, small objects first."""
    lines = []
    for name, rectangle in reversed(objects(k)):
        corners = box(*rectangle)
        numbers = " ".join(f"{value / (HEIGHT if index % 2 else WIDTH):.7f}" for index, value in enumerate(corners))
        lines.append(f"{NAMES.index(name) - 1} {numbers}\n")
    return "".join(lines)


def yolo_roboflow(root: Path) -> Maps:
    """YOLO as Roboflow writes it: `train/images`, `train/labels`, and paths in data.yaml that start with `..`."""
    images = photographs(root)
    found = maps(images)
    for split, first, last in (("train", 0, 4), ("valid", 4, 6)):
        (root / split / "labels").mkdir(parents=True)
        for k, path in enumerate(moved(images[first:last], root / split / "images"), start=first):
            (root / split / "labels" / f"{path.stem}.txt").write_text(yolo_lines(k))
    content = {"train": "../train/images", "val": "../valid/images", "nc": 3, "names": list(NAMES[1:])}
    (root / "data.yaml").write_text(yaml.safe_dump(content))
    return found


def yolo_cvat(root: Path) -> Maps:
    """YOLO as CVAT writes it: `images/train`, `labels/train`, `path: .`, names by number; only a train split."""
    images = photographs(root / "images" / "train", suffix=".png")
    (root / "labels" / "train").mkdir(parents=True)
    for k, path in enumerate(images):
        (root / "labels" / "train" / f"{path.stem}.txt").write_text(yolo_lines(k))
    content = {"path": ".", "train": "images/train", "names": dict(enumerate(NAMES[1:]))}
    (root / "data.yaml").write_text(yaml.safe_dump(content))
    return maps(images)


def yolo_label_studio(root: Path) -> Maps:
    """YOLO as Label Studio writes it: `images`, `labels` and `classes.txt`, without a split."""
    images = photographs(root / "images")
    (root / "labels").mkdir()
    for k, path in enumerate(images):
        (root / "labels" / f"{path.stem}.txt").write_text(yolo_lines(k))
    (root / "classes.txt").write_text("\n".join(NAMES[1:]))
    (root / "notes.json").write_text(json.dumps({"categories": [], "info": {"contributor": "Label Studio"}}))
    return maps(images)


BUILDERS: tuple[Callable[[Path], Maps], ...] = (
    coco_roboflow,
    coco_cvat,
    coco_label_studio,
    labelme_beside,
    labelme_apart,
    labelme_web,
    yolo_roboflow,
    yolo_cvat,
    yolo_label_studio,
)
"""Writers of the forms of outlines, one for each tool."""
