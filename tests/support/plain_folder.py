"""A recogniser of `images/<split>`, `masks/<split>` and `classes.yaml`, with or without splits, for tests of `init`."""

from pathlib import Path

from seglight.data.datasets.folder import FolderDataModule
from seglight.data.layouts.layout import WITHOUT_SPLIT, Choices, InPlace, Layout
from seglight.data.pairs import image_files


def recognise_folder(root: Path, choices: Choices) -> Layout | None:
    """A layout that is read in place; only the images of "train" where there is a file named `no_split`."""
    module = FolderDataModule(str(root))
    folders = sorted(folder.name for folder in (root / "images").iterdir())
    splits = {name: image_files(root / "images" / name, "images") for name in folders}
    if (root / "no_split").exists():
        splits = {WITHOUT_SPLIT: splits["train"]}
    in_place = None if (root / "convert").exists() else InPlace("seglight.data.FolderDataModule")

    def labels(image: Path):  # type: ignore[no-untyped-def]
        return module.table.codec.read(root / "masks" / image.parent.name / f"{image.stem}.png")

    return Layout("a folder for tests", root / "classes.yaml", module.classes, splits, labels, ["A remark."], in_place)
