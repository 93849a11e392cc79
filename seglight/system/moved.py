"""Modules of earlier versions under their former names, for recipes, checkpoints and scripts that name them."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "seglight.accumulation": "seglight.optim.accumulation",
    "seglight.allocation": "seglight.checkpoints.allocation",
    "seglight.checkpoint": "seglight.checkpoints.checkpoint",
    "seglight.class_paths": "seglight.system.class_paths",
    "seglight.classification": "seglight.training.classification",
    "seglight.cli": "seglight.commands.fit.cli",
    "seglight.clipping": "seglight.optim.clipping",
    "seglight.conventions": "seglight.metrics.conventions",
    "seglight.costs": "seglight.models.costs",
    "seglight.data.ade20k": "seglight.data.datasets.ade20k",
    "seglight.data.camvid": "seglight.data.datasets.camvid",
    "seglight.data.camvid32": "seglight.data.datasets.camvid32",
    "seglight.data.cifar10": "seglight.data.datasets.cifar10",
    "seglight.data.cityscapes": "seglight.data.datasets.cityscapes",
    "seglight.data.cityscapes_classes": "seglight.data.datasets.cityscapes_classes",
    "seglight.data.coco_json": "seglight.data.datasets.coco_json",
    "seglight.data.cocostuff": "seglight.data.datasets.cocostuff",
    "seglight.data.color": "seglight.data.augmentation.color",
    "seglight.data.exif": "seglight.images.exif",
    "seglight.data.extra": "seglight.data.augmentation.extra",
    "seglight.data.files": "seglight.images.decode",
    "seglight.data.folder": "seglight.data.datasets.folder",
    "seglight.data.image_folder": "seglight.data.datasets.image_folder",
    "seglight.data.image_header": "seglight.images.image_header",
    "seglight.data.iso_media": "seglight.images.iso_media",
    "seglight.data.jpeg": "seglight.images.jpeg",
    "seglight.data.labelled_images": "seglight.data.datasets.labelled_images",
    "seglight.data.labelme": "seglight.data.datasets.labelme",
    "seglight.data.pet": "seglight.data.datasets.pet",
    "seglight.data.shapes": "seglight.data.datasets.shapes",
    "seglight.data.tiff_pages": "seglight.images.tiff_pages",
    "seglight.data.transforms": "seglight.data.augmentation.transforms",
    "seglight.data.unread": "seglight.images.unread",
    "seglight.data.voc": "seglight.data.datasets.voc",
    "seglight.data.windows": "seglight.data.augmentation.windows",
    "seglight.escaping": "seglight.system.escaping",
    "seglight.files": "seglight.system.atomic",
    "seglight.image_counts": "seglight.metrics.image_counts",
    "seglight.loading": "seglight.inference.load",
    "seglight.losses.banded": "seglight.losses.banded_loss",
    "seglight.memory": "seglight.system.memory",
    "seglight.memory_format": "seglight.models.memory_format",
    "seglight.models.depths": "seglight.models.encoders.depths",
    "seglight.models.mix_transformer": "seglight.models.encoders.mix_transformer",
    "seglight.models.mobilenetv3": "seglight.models.encoders.mobilenetv3",
    "seglight.models.normalized": "seglight.models.encoders.normalized",
    "seglight.models.phases": "seglight.models.encoders.phases",
    "seglight.models.published": "seglight.models.weights.published",
    "seglight.models.recomputing": "seglight.models.encoders.recomputing",
    "seglight.models.timm_nets": "seglight.models.encoders.timm_nets",
    "seglight.models.vit": "seglight.models.encoders.vit",
    "seglight.module": "seglight.training.module",
    "seglight.ops.cross_entropy": "seglight.losses.functional",
    "seglight.panel_sheet": "seglight.callbacks.panel_sheet",
    "seglight.png": "seglight.images.png",
    "seglight.predictor": "seglight.inference.predictor",
    "seglight.recipe": "seglight.commands.recipe",
    "seglight.release": "seglight.checkpoints.release",
    "seglight.running": "seglight.training",
    "seglight.running.sharding": "seglight.training.fsdp",
    "seglight.terminal": "seglight.system.terminal",
    "seglight.threads": "seglight.system.threads",
    "seglight.torch_predictor": "seglight.inference.torch_predictor",
    "seglight.training.module": "seglight.training.semantic",
    "seglight.trust": "seglight.checkpoints.trust",
    "seglight.visualize": "seglight.images.draw",
    "seglight.weights_file": "seglight.checkpoints.torch_file",
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
