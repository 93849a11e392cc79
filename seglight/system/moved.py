"""Modules of earlier versions under their former names, for recipes, checkpoints and scripts that name them."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "seglight.classification": "seglight.training.classification",
    "seglight.module": "seglight.training.semantic",
    "seglight.data.ade20k": "seglight.data.datasets.ade20k",
    "seglight.data.camvid": "seglight.data.datasets.camvid",
    "seglight.data.camvid32": "seglight.data.datasets.camvid32",
    "seglight.data.cifar10": "seglight.data.datasets.cifar10",
    "seglight.data.cityscapes": "seglight.data.datasets.cityscapes",
    "seglight.data.coco_json": "seglight.data.datasets.coco_json",
    "seglight.data.cocostuff": "seglight.data.datasets.cocostuff",
    "seglight.data.folder": "seglight.data.datasets.folder",
    "seglight.data.image_folder": "seglight.data.datasets.image_folder",
    "seglight.data.labelme": "seglight.data.datasets.labelme",
    "seglight.data.pet": "seglight.data.datasets.pet",
    "seglight.data.shapes": "seglight.data.datasets.shapes",
    "seglight.data.transforms": "seglight.data.augmentation.transforms",
    "seglight.data.voc": "seglight.data.datasets.voc",
    "seglight.loading": "seglight.inference.load",
    "seglight.models.mix_transformer": "seglight.models.encoders.mix_transformer",
    "seglight.models.mobilenetv3": "seglight.models.encoders.mobilenetv3",
    "seglight.models.vit": "seglight.models.encoders.vit",
    "seglight.ops.cross_entropy": "seglight.losses.functional",
    "seglight.running": "seglight.training",
    "seglight.running.sharding": "seglight.training.fsdp",
    "seglight.training.module": "seglight.training.semantic",
    "seglight.visualize": "seglight.images.draw",
}
"""Former name to present name."""


class MovedModules(MetaPathFinder, Loader):
    """Importer of modules under their former names; a module is the same object under both names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find former names only."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Replace the empty module by the present one."""
        sys.modules[module.__name__] = import_module(MOVED[module.__name__])


sys.meta_path.insert(0, MovedModules())
