"""Any data set in folders, described by a `classes.yaml` without a line of Python.

    root/classes.yaml  root/images/{train,val,test}/*  root/masks/{train,val,test}/*

    ignore: 255            # value of ignored pixels; may be left out
    classes:               # in the order of their value in the masks: 0, 1, ...
    - {name: background, color: [0, 0, 0]}
    - {name: cat, color: [200, 40, 40]}

For other values, colours as labels, other folders and names, and images other than 8-bit RGB (`bands`),
`seglight/data/class_files.py` shows all keys of the file. It may be elsewhere (`classes`), and it may be Mapillary's
own `config_v1.2.json` or `config_v2.0.json`.
"""

from pathlib import Path
from typing import Any

from seglight.data.class_files import CLASS_FILE, read_classes
from seglight.data.datamodule import FileDataModule
from seglight.data.file_patterns import first_band, paired_files
from seglight.data.pairs import BAND_SUFFIXES, FilePairs
from seglight.errors import UserError


class FolderDataModule(FileDataModule):
    """Images and masks in folders by split.

    Args:
        root: Folder of the images and masks.
        classes: File that names the classes, or None: `classes.yaml` in root.
        **kwargs: Arguments of FileDataModule.

    Raises:
        UserError: The file that names the classes is missing or not valid.
    """

    def __init__(self, root: str, classes: str | None = None, **kwargs: Any) -> None:
        self.class_file = Path(classes) if classes is not None else Path(root) / CLASS_FILE
        self.table = read_classes(self.class_file)
        self.classes = self.table.classes
        self.bands = self.table.bands
        super().__init__(root, **kwargs)

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train", "val" or "test"."""
        images, masks = (self._place(kind, name) for kind in ("images", "masks"))
        if self.bands.files:
            images = first_band(images, self.bands.files, self.bands.names[0])
        suffixes = None if self.bands.is_rgb8 else BAND_SUFFIXES
        return paired_files(self.root, images, masks, self.table.codec, f"{name} ", suffixes)

    def _place(self, kind: str, name: str) -> str:
        """Folder or pattern of the images or masks of a split."""
        folders = self.table.images if kind == "images" else self.table.masks
        if folders is None:
            return f"{kind}/{name}"
        if isinstance(folders, str):
            return folders
        if name not in folders:
            raise UserError(
                f"{self.class_file}: `{kind}` names no folder for the {name} split, only for {', '.join(folders)}"
            )
        return folders[name]
