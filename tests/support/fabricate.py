"""Write small data sets of noise in the folder layouts of the real ones. The same arguments write the same files."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray
from PIL import Image

Size = tuple[int, int]
"""Height and width."""

COLORS = ((0, 0, 0), (200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40))


def labels(rng: np.random.Generator, size: Size, values: Sequence[int], block: int = 4) -> NDArray[np.uint8]:
    """Square blocks, each of one value; every value occurs where there are blocks enough."""
    rows, columns = -(-size[0] // block), -(-size[1] // block)
    grid = rng.permutation(np.resize(np.asarray(values, np.uint8), rows * columns)).reshape(rows, columns)
    return np.kron(grid, np.ones((block, block), np.uint8))[: size[0], : size[1]]


def save_image(path: Path, rng: np.random.Generator, size: Size) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)


def save_mask(path: Path, mask: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> None:
    """An index PNG: mode L, or mode P with a palette (256, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask)
    if palette is not None:
        image.putpalette(palette.tobytes())
    image.save(path)


def raw(path: Path) -> NDArray[np.uint8]:
    """What stands in an image file."""
    with Image.open(path) as image:
        return np.asarray(image)


def voc_palette() -> NDArray[np.uint8]:
    """VOClabelcolormap.m of the VOC devkit, line by line."""
    palette = np.zeros((256, 3), np.uint8)
    for index in range(256):
        rest, r, g, b = index, 0, 0, 0
        for bit in range(8):
            r |= (rest & 1) << (7 - bit)
            g |= (rest >> 1 & 1) << (7 - bit)
            b |= (rest >> 2 & 1) << (7 - bit)
            rest >>= 3
        palette[index] = r, g, b
    return palette


def voc(root: Path, train: int = 4, val: int = 3, size: Size = (40, 56), trainaug: int = 0, seed: int = 0) -> Path:
    """VOC2012: JPEGs of differing sizes, palette masks with a border of 255; with `trainaug`, SBD's further images."""
    rng = np.random.default_rng(seed)
    names = {
        "train": [f"2007_{k:06d}" for k in range(train)],
        "val": [f"2009_{k:06d}" for k in range(val)],
        "trainaug": [f"2008_{k:06d}" for k in range(trainaug)],
    }
    for split, stems in names.items():
        for k, stem in enumerate(stems):
            shape = (size[0] + 4 * (k % 3), size[1] - 4 * (k % 2))
            save_image(root / "JPEGImages" / f"{stem}.jpg", rng, shape)
            mask = labels(rng, shape, range(21))
            mask[[0, -1]] = 255
            mask[:, [0, -1]] = 255
            if split != "trainaug":
                save_mask(root / "SegmentationClass" / f"{stem}.png", mask, voc_palette())
            if trainaug and split != "val":
                save_mask(root / "SegmentationClassAug" / f"{stem}.png", mask)
    if trainaug:
        names["trainaug"] += names["train"]
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, stems in names.items():
        if stems:
            (lists / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in stems))
    return root


def cityscapes(root: Path, train: int = 4, val: int = 2, size: Size = (64, 128), seed: int = 0) -> Path:
    """Cityscapes: images by split and city, masks of the 34 label ids."""
    rng = np.random.default_rng(seed)
    for split, count, cities in (("train", train, ("aachen", "bochum")), ("val", val, ("frankfurt",))):
        for k in range(count):
            city = cities[k % len(cities)]
            stem = f"{city}_{k:06d}_000019"
            save_image(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", rng, size)
            mask = labels(rng, size, range(34))
            save_mask(root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png", mask)
    return root


def camvid(
    root: Path, train: int = 4, val: int = 2, test: int = 2, size: Size = (36, 48), void: int = 11, seed: int = 0
) -> Path:
    """CamVid of the SegNet tutorial: `train` beside `trainannot`; `void` lies in every mask."""
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("val", val), ("test", test)):
        for k in range(count):
            name = f"0001TP_{30 * k:06d}.png"
            save_image(root / split / name, rng, size)
            save_mask(root / f"{split}annot" / name, labels(rng, size, [*range(11), void]))
    return root


def folder(
    root: Path,
    train: int = 4,
    val: int = 2,
    test: int = 2,
    size: Size = (36, 48),
    names: Sequence[str] = ("ground", "cat", "dog"),
    seed: int = 0,
) -> Path:
    """Images and masks by split, and the `classes.yaml` that names the classes; 255 is ignored."""
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("val", val), ("test", test)):
        for k in range(count):
            save_image(root / "images" / split / f"{k:03d}.png", rng, size)
            save_mask(root / "masks" / split / f"{k:03d}.png", labels(rng, size, [*range(len(names)), 255]))
    classes = [{"name": name, "color": list(color)} for name, color in zip(names, COLORS, strict=False)]
    (root / "classes.yaml").write_text(yaml.safe_dump({"ignore": 255, "classes": classes}))
    return root


def scene(root: Path, size: Size = (2100, 4200), names: Sequence[str] = ("ground", "cat"), seed: int = 0) -> Path:
    """A scene of RGB and its mask as tiled TIFFs, and the `classes.yaml` that names the classes."""
    rng = np.random.default_rng(seed)
    coarse = labels(rng, (size[0] // 100, size[1] // 100), range(len(names)))
    mask = np.kron(coarse, np.ones((100, 100), np.uint8))
    for kind, pixels in (("images", np.stack([mask * 90, 255 - mask, mask], 2)), ("masks", mask)):
        (root / kind).mkdir(parents=True)
        tifffile.imwrite(root / kind / "scene.tif", pixels, tile=(256, 256))
    classes = [{"name": name, "color": list(color)} for name, color in zip(names, COLORS, strict=False)]
    (root / "classes.yaml").write_text(yaml.safe_dump({"classes": classes}))
    return root


def ade20k(root: Path, train: int = 4, val: int = 2, size: Size = (40, 56), seed: int = 0) -> Path:
    """ADEChallengeData2016: JPEGs of differing sizes, index masks where 0 is unlabelled and 1 to 150 are classes."""
    rng = np.random.default_rng(seed)
    for folder, prefix, count in (("training", "ADE_train", train), ("validation", "ADE_val", val)):
        for k in range(count):
            stem, shape = f"{prefix}_{k + 1:08d}", (size[0] + 4 * (k % 2), size[1])
            save_image(root / "images" / folder / f"{stem}.jpg", rng, shape)
            save_mask(root / "annotations" / folder / f"{stem}.png", labels(rng, shape, range(151)))
    return root


def cocostuff(root: Path, train: int = 4, val: int = 2, size: Size = (48, 64), seed: int = 0) -> Path:
    """COCO-Stuff 164k: images by split, masks of label id - 1 with gaps and 255."""
    rng = np.random.default_rng(seed)
    never_drawn = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
    values = [255, *(label_id - 1 for label_id in range(1, 183) if label_id not in never_drawn)]
    for folder, count in (("train2017", train), ("val2017", val)):
        for k in range(count):
            stem, shape = f"{1000 * count + k:012d}", (size[0] + 4 * (k % 2), size[1])
            save_image(root / folder / f"{stem}.jpg", rng, shape)
            save_mask(root / "stuffthingmaps_trainval2017" / folder / f"{stem}.png", labels(rng, shape, values))
    return root


def pet(root: Path, trainval: int = 5, test: int = 2, size: Size = (36, 48), seed: int = 0) -> Path:
    """Oxford-IIIT Pet: all images in one folder, trimaps of 1, 2 and 3 among files that macOS left, lists by split."""
    rng = np.random.default_rng(seed)
    annotations = root / "annotations"
    for split, count, breed in (("trainval", trainval, "Abyssinian"), ("test", test, "american_bulldog")):
        stems = [f"{breed}_{k + 100}" for k in range(count)]
        for k, stem in enumerate(stems):
            shape = (size[0] + 4 * (k % 2), size[1])
            save_image(root / "images" / f"{stem}.jpg", rng, shape)
            save_mask(annotations / "trimaps" / f"{stem}.png", labels(rng, shape, (1, 2, 3)))
            (annotations / "trimaps" / f"._{stem}.png").write_bytes(b"\x00\x05\x16\x07")
        species = 1 if breed[0].isupper() else 2
        (annotations / f"{split}.txt").write_text("".join(f"{stem} {species} {species} 1\n" for stem in stems))
    return root


CAMVID32_COLORS = """\
64 128 64\tAnimal
192 0 128\tArchway
0 128 192\tBicyclist
0 128 64\tBridge
128 0 0\t\tBuilding
64 0 128\tCar
64 0 192\tCartLuggagePram
192 128 64\tChild
192 192 128\tColumn_Pole
64 64 128\tFence
128 0 192\tLaneMkgsDriv
192 0 64\tLaneMkgsNonDriv
128 128 64\tMisc_Text
192 0 192\tMotorcycleScooter
128 64 64\tOtherMoving
64 192 128\tParkingBlock
64 64 0\t\tPedestrian
128 64 128\tRoad
128 128 192\tRoadShoulder
0 0 192\t\tSidewalk
192 128 128\tSignSymbol
128 128 128\tSky
64 128 192\tSUVPickupTruck
0 0 64\t\tTrafficCone
0 64 64\t\tTrafficLight
192 64 128\tTrain
128 128 0\tTree
192 128 192\tTruck_Bus
64 0 64\t\tTunnel
192 192 0\tVegetationMisc
0 0 0\t\tVoid
64 192 0\tWall
"""
"""The data set's label_colors.txt."""

CAMVID32_STEMS = {
    "train": ("0001TP_006690", "0006R0_f00930", "0016E5_00390", "0016E5_08190"),
    "val": ("0016E5_07959", "0016E5_08159"),
    "test": ("0001TP_008550", "Seq05VD_f00000"),
}
"""Images at the edges of the published splits."""


def camvid32(root: Path, size: Size = (36, 48), seed: int = 0) -> Path:
    """CamVid as published: stills in one folder, colour masks in another, every colour in every mask."""
    rng = np.random.default_rng(seed)
    colors = np.array([line.split()[:3] for line in CAMVID32_COLORS.splitlines()], np.uint8)
    for stem in (stem for stems in CAMVID32_STEMS.values() for stem in stems):
        save_image(root / "701_StillsRaw_full" / f"{stem}.png", rng, size)
        save_mask(root / "LabeledApproved_full" / f"{stem}_L.png", colors[labels(rng, size, range(len(colors)))])
    (root / "label_colors.txt").write_text(CAMVID32_COLORS)
    return root


MAPILLARY_LABELS = (
    {"name": "animal--bird", "readable": "Bird", "evaluate": True, "color": [165, 42, 42]},
    {"name": "construction--barrier--ambiguous", "readable": "Ambiguous Barrier", "evaluate": False,
     "color": [250, 170, 31]},
    {"name": "construction--flat--road", "readable": "Road", "evaluate": True, "color": [128, 64, 128]},
    {"name": "construction--flat--road-shoulder", "readable": "Road Shoulder", "evaluate": True,
     "color": [110, 110, 110]},
    {"name": "void--unlabeled", "readable": "Unlabeled", "evaluate": False, "color": [0, 0, 0]},
)  # fmt: skip
"""Five of the labels of Mapillary Vistas 2.0; places in this list are their values."""


def mapillary(root: Path, version: str = "v2.0", size: Size = (36, 48), seed: int = 0) -> Path:
    """Mapillary Vistas: its own JSON of classes, palette masks by split and version."""
    rng = np.random.default_rng(seed)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(MAPILLARY_LABELS)] = [label["color"] for label in MAPILLARY_LABELS]
    for folder, count in (("training", 4), ("validation", 2)):
        for k in range(count):
            stem = f"{folder[0]}{k:021d}"
            save_image(root / folder / "images" / f"{stem}.jpg", rng, size)
            mask = labels(rng, size, range(len(MAPILLARY_LABELS)))
            save_mask(root / folder / version / "labels" / f"{stem}.png", mask, palette)
    labels_json = [{**label, "instances": True} for label in MAPILLARY_LABELS]
    config = {"labels": labels_json, "version": version.removeprefix("v"), "mapping": "public"}
    (root / f"config_{version}.json").write_text(json.dumps(config))
    return root


def box(left: int, top: int, right: int, bottom: int) -> list[float]:
    """A rectangle as COCO's polygon, without its right column and bottom row."""
    return [left, top, right, top, right, bottom, left, bottom]


def coco_json(root: Path, train: int = 4, val: int = 2, size: Size = (36, 48), seed: int = 0) -> Path:
    """COCO 2017: a JSON of outlines by split. In each image a cat before a sofa, a dog, and a crowd of dogs."""
    rng = np.random.default_rng(seed)
    (root / "annotations").mkdir(parents=True)
    categories = [{"id": k, "name": name, "supercategory": "x"} for k, name in ((63, "sofa"), (17, "cat"), (18, "dog"))]
    height, width = size
    for split, count in (("train2017", train), ("val2017", val)):
        images, annotations = [], []
        for k in range(count):
            image_id = 1000 * count + k
            save_image(root / split / f"{image_id:012d}.jpg", rng, size)
            images.append({"id": image_id, "file_name": f"{image_id:012d}.jpg", "height": height, "width": width})
            crowd = {"size": [height, width], "counts": [0, 4 * height, height * (width - 4)]}  # by column
            outlined = ((17, [box(10, 10, 20, 20)], 0), (63, [box(6, 6, 30, 30)], 0), (18, [box(2, 0, 8, 6)], 0))
            for category, outline, is_crowd in (*outlined, (18, crowd, 1)):
                annotations.append(
                    {"id": len(annotations), "image_id": image_id, "category_id": category, "iscrowd": is_crowd,
                     "segmentation": outline}
                )  # fmt: skip
        table = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(table))
    return root


def coco_panoptic(root: Path, train: int = 4, val: int = 2, size: Size = (36, 48), seed: int = 0) -> Path:
    """COCO panoptic: two cats on grass below the sky, a crowd of dogs, and some pixels that are not labelled."""
    rng = np.random.default_rng(seed)
    (root / "annotations").mkdir(parents=True)
    categories = [
        {"id": number, "name": name, "supercategory": "x", "isthing": isthing, "color": [number, 9, 7]}
        for number, name, isthing in ((193, "grass", 0), (17, "cat", 1), (18, "dog", 1), (187, "sky", 0))
    ]
    for split, count in (("train2017", train), ("val2017", val)):
        images, annotations = [], []
        for k in range(count):
            image_id = 1000 * count + k
            stem = f"{image_id:012d}"
            save_image(root / split / f"{stem}.jpg", rng, size)
            images.append({"id": image_id, "file_name": f"{stem}.jpg", "height": size[0], "width": size[1]})
            ids = np.zeros(size, np.int64)
            ids[2:16], ids[16:], ids[10:20, 5:15], ids[12:26, 20:29], ids[-8:, 30:] = 3, 5_000_000, 70_000, 300, 9
            color = np.stack([ids % 256, ids // 256 % 256, ids // 65536], 2).astype(np.uint8)
            png = root / "annotations" / f"panoptic_{split}" / f"{stem}.png"
            png.parent.mkdir(exist_ok=True)
            Image.fromarray(color).save(png)
            of_segments = ((70_000, 17, 0), (3, 187, 0), (5_000_000, 193, 0), (9, 18, 1), (300, 17, 0))
            infos = [
                {"id": number, "category_id": category, "iscrowd": crowd, "area": int((ids == number).sum())}
                for number, category, crowd in of_segments
            ]
            annotations.append({"image_id": image_id, "file_name": png.name, "segments_info": infos})
        table = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"panoptic_{split}.json").write_text(json.dumps(table))
    return root


def labelme(root: Path, train: int = 4, val: int = 2, test: int = 2, size: Size = (36, 48), seed: int = 0) -> Path:
    """LabelMe: a JSON beside each image, with a shape of each kind and one that is ignored; `classes.yaml`."""
    rng = np.random.default_rng(seed)
    shapes = [
        {"label": "cat", "shape_type": "polygon", "points": [[4.0, 4.0], [20.0, 4.0], [20.0, 20.0], [4.0, 20.0]]},
        {"label": "dog", "shape_type": "rectangle", "points": [[16.0, 24.0], [10.0, 12.0]]},
        {"label": "dog", "shape_type": "circle", "points": [[36.0, 18.0], [36.0, 24.0]]},
        {"label": "__ignore__", "shape_type": "rectangle", "points": [[0.0, 0.0], [2.0, 35.0]]},
    ]
    for split, count in (("train", train), ("val", val), ("test", test)):
        for k in range(count):
            save_image(root / split / f"{k:03d}.jpg", rng, size)
            drawn = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{k:03d}.jpg",
                     "imageData": None, "imageHeight": size[0], "imageWidth": size[1]}  # fmt: skip
            (root / split / f"{k:03d}.json").write_text(json.dumps(drawn))
    classes = [{"name": name, "color": list(COLORS[k])} for k, name in enumerate(("background", "cat", "dog"))]
    (root / "classes.yaml").write_text(yaml.safe_dump({"classes": classes}))
    return root
