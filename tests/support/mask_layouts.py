"""Write tiny data sets of mask files in all forms that are read in place, with the label maps that they hold.

The labels are the rectangles of `layouts`: 0 background, 1 cat, 2 dog; `Form.maps` are those that a reader must find.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.support.layouts import SIZE, STEMS, Maps, rectangle_maps

NAMES = ("background", "cat", "dog")
COLORS = ((0, 0, 0), (200, 40, 40), (40, 200, 40))
UNNAMED = ("class_0", "class_1", "class_2")

WITHOUT_SPLIT = {"all": STEMS}
SPLIT = {"train": STEMS[:4], "val": STEMS[4:5], "test": STEMS[5:]}


@dataclass(frozen=True)
class Form:
    """A data set that was written.

    Args:
        names: Names of the classes that a reader must find.
        splits: Stems of the images by split.
        maps: Label map by name of the image.
    """

    names: Sequence[str]
    splits: Mapping[str, Sequence[str]]
    maps: Maps


Values = Callable[[NDArray[np.uint8]], NDArray[np.generic]]
"""What a mask file contains, from class indices."""


def save(path: Path, pixels: NDArray[np.generic], palette: Sequence[Sequence[int]] = ()) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, pixels)
        return
    image = Image.fromarray(pixels)
    if palette:
        image.putpalette([channel for color in palette for channel in color])
    image.save(path)


def same(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return mask


def coloured(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.array(COLORS, np.uint8)[mask]


def deep(mask: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return mask.astype(np.uint16) * 300


def binary(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (mask > 0).astype(np.uint8) * 255


def write(
    root: Path,
    images: str,
    masks: str,
    folders: Mapping[str, str] | None = None,
    values: Values = same,
    palette: Sequence[Sequence[int]] = (),
    splits: Mapping[str, Sequence[str]] = WITHOUT_SPLIT,
    names: Sequence[str] = UNNAMED,
    seed: int = 0,
) -> Form:
    """Write the images and masks of a form.

    Args:
        root: Folder of the data set.
        images: Path of an image, where {split} is its folder and {stem} its stem.
        masks: Path of its mask.
        folders: Folder of each split.
        values: What the mask files contain.
        palette: Palette of the mask files.
        splits: Stems of the images of each split.
        names: Names that a reader must find.
        seed: Seed of the images, which are noise.
    """
    rng = np.random.default_rng(seed)
    suffix = Path(images).suffix
    drawn = rectangle_maps("")
    maps: Maps = {}
    for split, stems in splits.items():
        for stem in stems:
            image, mask = (
                root / text.format(split=(folders or {}).get(split, split), stem=stem) for text in (images, masks)
            )
            save(image, rng.integers(0, 256, (*SIZE, 3), np.uint8))
            save(mask, values(drawn[stem]), palette)
            maps[image.name] = drawn[stem]
    assert all(Path(name).suffix == suffix for name in maps)
    return Form(names, splits, maps)


SPLITS = {"train": "train", "val": "val", "test": "test"}
LONG = {"train": "training", "val": "validation", "test": "testing"}


def two_folders(root: Path) -> Form:
    return write(root, "images/{split}/{stem}.jpg", "masks/{split}/{stem}.png", SPLITS, splits=SPLIT)


def split_first(root: Path) -> Form:
    folders = {**SPLITS, "val": "valid"}
    return write(root, "{split}/images/{stem}.jpg", "{split}/labels/{stem}.png", folders, splits=SPLIT)


def long_names(root: Path) -> Form:
    return write(root, "{split}/img/{stem}.png", "{split}/gt/{stem}.png", LONG, splits=SPLIT)


def joined_names(root: Path) -> Form:
    """Colours without names: classes in the order of red, green and blue, in which that of the dog comes first."""
    form = write(root, "{split}/{stem}.png", "{split}annot/{stem}.png", SPLITS, coloured, splits=SPLIT)
    swapped = np.array([0, 2, 1], np.uint8)
    return Form(form.names, form.splits, {name: swapped[mask] for name, mask in form.maps.items()})


def capital_suffix(root: Path) -> Form:
    return write(root, "images/{stem}.JPG", "masks/{stem}.PNG")


def suffix_in_one_folder(root: Path) -> Form:
    return write(root, "{stem}.png", "{stem}_mask.png")


def same_stem_in_one_folder(root: Path) -> Form:
    return write(root, "{split}/{stem}.jpg", "{split}/{stem}.png", SPLITS, splits=SPLIT)


def both_suffixes(root: Path) -> Form:
    return write(root, "{split}/{stem}_sat.jpg", "{split}/{stem}_mask.png", SPLITS, splits=SPLIT)


def prefixes(root: Path) -> Form:
    return write(root, "images/image_{stem}.png", "masks/gt_{stem}.png")


def label_suffix(root: Path) -> Form:
    return write(root, "photos/{stem}.jpg", "segmentation/{stem}_label.png")


def tiff(root: Path) -> Form:
    return write(
        root, "images/{stem}.jpg", "masks/{stem}.tif", values=deep, names=("class_0", "class_300", "class_600")
    )


def bitmaps(root: Path) -> Form:
    return write(root, "images/{stem}.jpg", "masks/{stem}.bmp")


def gif(root: Path) -> Form:
    return write(root, "images/{stem}.jpg", "masks/{stem}_mask.gif", palette=COLORS)


def arrays(root: Path) -> Form:
    return write(root, "images/{stem}.jpg", "masks/{stem}.npy")


def two_values(root: Path) -> Form:
    form = write(root, "images/{stem}.jpg", "masks/{stem}.png", values=binary, names=("class_0", "class_255"))
    return Form(form.names, form.splits, {name: (mask > 0).astype(np.uint8) for name, mask in form.maps.items()})


def void_border(root: Path) -> Form:
    """A border of 255, as in VOC."""

    def bordered(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        framed = mask.copy()
        framed[[0, -1]] = 255
        return framed

    form = write(root, "images/{stem}.jpg", "masks/{stem}.png", values=bordered)
    return Form(form.names, form.splits, {name: bordered(mask) for name, mask in form.maps.items()})


def grey_in_three_channels(root: Path) -> Form:
    return write(root, "images/{stem}.jpg", "masks/{stem}.png", values=lambda mask: np.stack([mask] * 3, -1))


def id2label(root: Path) -> Form:
    form = write(root, "images/{stem}.jpg", "masks/{stem}.png", names=NAMES)
    (root / "id2label.json").write_text(json.dumps({str(value): name for value, name in enumerate(NAMES)}))
    return form


def lists(root: Path) -> Form:
    """Lists of paths with other ends of lines, the last without one."""
    form = write(root, "images/{stem}.jpg", "masks/{stem}.png", splits=SPLIT)
    for split, stems in SPLIT.items():
        (root / f"{split}.txt").write_bytes("\r\n".join(f"images/{stem}.jpg" for stem in stems).encode())
    return form


def table(root: Path) -> Form:
    form = write(root, "images/{stem}.jpg", "masks/{stem}.png", splits=SPLIT)
    rows = [f"images/{stem}.jpg,masks/{stem}.png,{LONG[split]}" for split, stems in SPLIT.items() for stem in stems]
    (root / "data.csv").write_text("image,mask,split\n" + "\n".join(rows))
    return form


def class_dict(root: Path) -> Form:
    """Kaggle's CamVid: folders of colours, and a table of names."""
    form = write(root, "{split}/{stem}.png", "{split}_labels/{stem}_L.png", SPLITS, coloured, splits=SPLIT, names=NAMES)
    rows = [f"{name}, {r}, {g}, {b}" for name, (r, g, b) in zip(NAMES, COLORS, strict=True)]
    (root / "class_dict.csv").write_text("name, r, g, b\n" + "\n".join(rows))
    return form


def kaggle_labelmap(root: Path) -> Form:
    form = write(root, "images/{stem}.png", "masks/{stem}.png", values=lambda m: m.astype(np.uint16), names=NAMES)
    rows = [f"{name},{r},{g},{b}" for name, (r, g, b) in zip(NAMES, COLORS, strict=True)]
    (root / "labelmap.csv").write_text("name,r,g,b\n" + "\n".join(rows) + "\n")
    return form


def dataset_meta(root: Path) -> Form:
    form = write(root, "images/image_{stem}.png", "masks/gt_{stem}.png", values=coloured, names=NAMES)
    meta = {"label_map": dict(enumerate(NAMES)), "segmentation_colors": COLORS, "background_label": "0"}
    (root / "dataset_meta.json").write_text(json.dumps(meta))
    return form


def roboflow(root: Path) -> Form:
    folders = {**SPLITS, "val": "valid"}
    form = write(root, "{split}/{stem}.jpg", "{split}/{stem}_mask.png", folders, splits=SPLIT, names=NAMES)
    for folder in folders.values():
        rows = [f"{value}, {name}" for value, name in enumerate(NAMES)]
        (root / folder / "_classes.csv").write_text("Pixel Value, Class\n" + "\n".join(rows))
    return form


def voc_palette(root: Path) -> Form:
    form = write(
        root, "JPEGImages/{stem}.jpg", "SegmentationClass/{stem}.png", palette=COLORS, splits=SPLIT, names=NAMES
    )
    (root / "class_names.txt").write_text("\n".join(NAMES))
    _voc_lists(root, SPLIT)
    return form


def cvat_masks(root: Path) -> Form:
    """Segmentation mask 1.1: colours of labelmap.txt, and one list that is no split."""
    form = write(root, "JPEGImages/{stem}.jpg", "SegmentationClass/{stem}.png", values=coloured, names=NAMES)
    rows = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in zip(NAMES, COLORS, strict=True)]
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "\n".join(rows) + "\n")
    for stem in STEMS:
        save(root / "SegmentationObject" / f"{stem}.png", np.zeros((*SIZE, 3), np.uint8))
    _voc_lists(root, {"default": STEMS})
    return form


def _voc_lists(root: Path, splits: Mapping[str, Sequence[str]]) -> None:
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True)
    for split, stems in splits.items():
        (folder / f"{split}.txt").write_bytes("\r\n".join(stems).encode())


SCENES = {"train": "train/forest", "val": "val/city"}


def scenes(root: Path) -> Form:
    """A folder of images and one of masks in each scene; two scenes of the training split."""
    first = write(root, "{split}/images/{stem}.png", "{split}/masks/{stem}.png", SCENES, splits=HALVES)
    places = "{split}/images/{stem}.png", "{split}/masks/{stem}.png"
    second = write(root, *places, {"train": "train/city"}, splits=REST, seed=1)
    return Form(UNNAMED, {"train": (*HALVES["train"], *REST["train"]), "val": HALVES["val"]}, first.maps | second.maps)


HALVES, REST = {"train": STEMS[:2], "val": STEMS[2:3]}, {"train": STEMS[3:]}


def scenes_without_split(root: Path) -> Form:
    """Scene folders that contain images and masks side by side."""
    return write(root, "{split}/{stem}.png", "{split}/{stem}_label.png", {"all": "scene"})


def folder_of_other_name(root: Path) -> Form:
    return write(root, "top/{stem}.tif", "gts/{stem}.tif")


def unknown_folders(root: Path) -> Form:
    return write(root, "a/{stem}.png", "b/{stem}.png")


def isic(root: Path) -> Form:
    """Folders whose names tell of split and content; a second folder of masks in colour is not for reading."""
    folders = {split: word.capitalize() for split, word in LONG.items()}
    form = write(
        root,
        "Task1_{split}_Input/{stem}.jpg",
        "Task1_{split}_GroundTruth/{stem}_segmentation.png",
        folders,
        splits=SPLIT,
    )
    write(root, "x/{split}_{stem}.jpg", "color_masks_{split}/{stem}.png", folders, coloured, splits=SPLIT)
    for path in (root / "x").iterdir():
        path.unlink()
    return form


def own_folder(root: Path) -> Form:
    form = write(root, "images/{split}/{stem}.jpg", "masks/{split}/{stem}.png", SPLITS, splits=SPLIT, names=NAMES)
    entries = [f"- {{name: {name}, color: {list(color)}}}" for name, color in zip(NAMES, COLORS, strict=True)]
    (root / "classes.yaml").write_text("classes:\n" + "\n".join(entries))
    return form


def own_classes(root: Path) -> Form:
    """A classes.yaml without folders beside folders of other names."""
    form = write(root, "photos/{stem}.jpg", "masks/{stem}_mask.png", values=coloured, names=NAMES)
    entries = [f"- {{name: {name}, color: {list(color)}}}" for name, color in zip(NAMES, COLORS, strict=True)]
    (root / "classes.yaml").write_text("labels: color\nclasses:\n" + "\n".join(entries))
    return form


FORMS: tuple[Callable[[Path], Form], ...] = (
    two_folders, split_first, long_names, joined_names, capital_suffix, suffix_in_one_folder, same_stem_in_one_folder,
    both_suffixes, prefixes, label_suffix, tiff, bitmaps, gif, arrays, two_values, void_border, grey_in_three_channels,
    id2label, lists, table, class_dict, kaggle_labelmap, dataset_meta, roboflow, voc_palette, cvat_masks, own_folder,
    own_classes, scenes, scenes_without_split, folder_of_other_name, isic, unknown_folders,
)  # fmt: skip
"""All forms."""
