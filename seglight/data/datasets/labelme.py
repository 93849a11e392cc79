"""Shapes drawn in LabelMe (github.com/wkentaro/labelme): a JSON file beside each image.

    root/classes.yaml  root/{train,val,test}/*.jpg  root/{train,val,test}/*.json

`classes.yaml` names the classes and their colours (`seglight/data/class_files.py`); the first one is the class of
pixels without a shape. Every kind of shape is painted as in LabelMe's own export: in the order of the file, later ones
over earlier ones, edges included (`seglight/data/layouts/labelme_shapes.py`). One named `__ignore__` is ignored.

LabelMe shows an image with its EXIF orientation applied, and it is read like this; if the sizes in a file are those of
the image as stored, it is refused.
"""

from pathlib import Path
from typing import Any

from seglight.data.class_files import CLASS_FILE, read_classes
from seglight.data.datamodule import FileDataModule
from seglight.data.layouts.image_index import ImageIndex
from seglight.data.layouts.labelme_files import labelme_files, with_images
from seglight.data.layouts.labelme_shapes import ShapeCodec
from seglight.data.pairs import FilePairs, existing_folder, image_files, surplus_masks
from seglight.data.split_paths import BySplit, path_of
from seglight.errors import UserError


class LabelMeDataModule(FileDataModule):
    """Images with LabelMe's shapes.

    Args:
        root: Folder with a folder of images and JSON files for each split.
        classes: File that names the classes, or None: `classes.yaml` in root.
        shapes: Folder of the JSON files of a split, at any depth; `{split}` stands for train, val or test. Or a folder
            for each split: `{train: json/train, val: json/valid}`. The images are those that the files name, anywhere
            below root, and images without a file are left out. None: `{split}`, in which each image has its file.
        **kwargs: Arguments of FileDataModule.

    Raises:
        UserError: The file that names the classes is missing or not valid.
    """

    def __init__(self, root: str, classes: str | None = None, shapes: BySplit | None = None, **kwargs: Any) -> None:
        self.class_file = Path(classes) if classes is not None else Path(root) / CLASS_FILE
        table = read_classes(self.class_file)
        self.classes = table.classes
        self.bands = table.bands
        self.shapes = shapes
        super().__init__(root, **kwargs)

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train", "val" or "test"."""
        codec = ShapeCodec(self.classes.names)
        if self.shapes is not None:
            return self._named_by_files(path_of(self.shapes, name, self.root, "shapes"), name, codec)
        images = image_files(self.root / name, f"the {name} images and their JSON files")
        shapes = [image.with_suffix(".json") for image in images]
        return FilePairs(images, shapes, codec, surplus_masks(self.root / name, shapes, "*.json"))

    def _named_by_files(self, folder: Path, name: str, codec: ShapeCodec) -> FilePairs:
        files = labelme_files(existing_folder(folder, f"LabelMe's files of the {name} split"))
        if not files:
            raise UserError(f"{folder}: no file of LabelMe in it: set data.shapes to their folder")
        found = with_images(files, ImageIndex(self.root))
        without = [*found.missing, *found.embedded]
        if without:
            raise UserError(
                f"{without[0]}: its image was not found below {self.root} ({len(without)} files have none): "
                "add it, or remove the file"
            )
        return FilePairs(list(found.images.values()), list(found.images), codec)
