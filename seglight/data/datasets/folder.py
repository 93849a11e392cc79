"""Any data set in folders, described by a `classes.yaml` without a line of Python.

    root/classes.yaml  root/images/{train,val,test}/*  root/masks/{train,val,test}/*.png

    ignore: 255            # value of ignored pixels; may be left out
    classes:               # in the order of their value in the masks: 0, 1, ...
    - {name: background, color: [0, 0, 0]}
    - {name: cat, color: [200, 40, 40]}

For other values, colours as labels and other folders, `seglight/data/class_files.py` shows all keys of the file. It may
be elsewhere (`classes`), and it may be Mapillary's own `config_v1.2.json` or `config_v2.0.json`, unchanged.
"""

from pathlib import Path
from typing import Any

from seglight.data.class_files import CLASS_FILE, Folders, read_classes
from seglight.data.datamodule import FileDataModule
from seglight.data.pairs import FilePairs, existing_folder, image_files, surplus_masks
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
        super().__init__(root, **kwargs)

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train", "val" or "test"."""
        images = image_files(self._folder("images", self.table.images, name), f"the {name} images")
        folder = existing_folder(self._folder("masks", self.table.masks, name), f"the {name} masks")
        masks = [folder / f"{image.stem}.png" for image in images]
        return FilePairs(images, masks, self.table.codec, surplus_masks(folder, masks))

    def _folder(self, kind: str, folders: Folders | None, name: str) -> Path:
        if folders is None:
            return self.root / kind / name
        if name not in folders:
            raise UserError(
                f"{self.class_file}: `{kind}` names no folder for the {name} split, only for {', '.join(folders)}"
            )
        return self.root / folders[name]
