"""Any data set as folders of files, described by a `classes.yaml` and no line of Python.

root/classes.yaml  root/images/{train,val,test}/*  root/masks/{train,val,test}/*.png

ignore: 255            # value of pixels that count for nothing; may be left out
classes:               # in the order of their value in the masks: 0, 1, ...
- {name: background, color: [0, 0, 0]}
- {name: cat, color: [200, 40, 40]}
"""

from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from seglight.data.classes import IGNORE_INDEX, Classes
from seglight.data.datamodule import FileDataModule
from seglight.data.labels import LabelCodec
from seglight.data.pairs import FilePairs, existing_folder, image_files, surplus_masks
from seglight.errors import UserError


class FolderDataModule(FileDataModule):
    """Images and index masks in folders by split.

    Args:
        root: Folder that holds `classes.yaml`, `images` and `masks`.
        **kwargs: As FileDataModule.
    """

    def __init__(self, root: str, **kwargs: Any) -> None:
        self.classes, self.codec = read_classes(Path(root) / "classes.yaml")
        super().__init__(root, **kwargs)

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train", "val" or "test"."""
        images = image_files(self.root / "images" / name, f"the {name} images")
        folder = existing_folder(self.root / "masks" / name, f"the {name} masks")
        masks = [folder / f"{image.stem}.png" for image in images]
        return FilePairs(images, masks, self.codec, surplus_masks(folder, masks))


def read_classes(path: Path) -> tuple[Classes, LabelCodec]:
    """The class table and the codec that a `classes.yaml` describes.

    Raises:
        UserError: The file is missing or not of the form that this module's docstring shows.
    """
    try:
        table: Any = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file: it names the classes; set data.init_args.root to the right place"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML: {error}") from error
    try:
        names = tuple(str(entry["name"]) for entry in table["classes"])
        palette = tuple((int(r), int(g), int(b)) for r, g, b in (entry["color"] for entry in table["classes"]))
        ignored = () if table.get("ignore") is None else (int(table["ignore"]),)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: {type(error).__name__} {error}: it should be "
            "'classes: [{name: cat, color: [200, 40, 40]}, ...]' and, where pixels are ignored, 'ignore: 255'"
        ) from error
    beyond = [value for value in (*ignored, *chain.from_iterable(palette)) if not 0 <= value <= 255]
    if beyond:
        raise UserError(f"{path}: {beyond[0]} as `ignore` or in a colour: both lie in 0 to 255")
    if not 2 <= len(names) <= IGNORE_INDEX - 1 or len(set(names)) < len(names) or set(ignored) & set(range(len(names))):
        raise UserError(
            f"{path}: {len(names)} classes: there must be 2 to {IGNORE_INDEX - 1}, each name once, "
            "and `ignore` none of their values"
        )
    return Classes(names, palette), LabelCodec({index: index for index in range(len(names))}, ignored)
