"""`doctor --model` and `doctor --folds`: judge the labels of a split and write what is suspected."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from seglight.commands.doctor.label_errors.coco import write_coco
from seglight.commands.doctor.label_errors.folds import FOLDER, files_of, folds_of, train
from seglight.commands.doctor.label_errors.held_out import HeldOut, checkpoint_of, held_out
from seglight.commands.doctor.label_errors.judge import Judged, Part, judge
from seglight.commands.doctor.label_errors.labelme import write_labelme
from seglight.commands.doctor.label_errors.options import LabelOptions
from seglight.commands.doctor.label_errors.page import write_page
from seglight.commands.doctor.label_errors.progress import progress
from seglight.commands.doctor.label_errors.report import Judgement, as_dict, show
from seglight.data.datamodule import FileDataModule, SegmentationDataModule
from seglight.errors import UserError
from seglight.images.bands import RGB
from seglight.inference.exported.runtimes import SUFFIXES
from seglight.inference.torch_predictor import TorchPredictor, load_torch
from seglight.interfaces import Labelled
from seglight.ops.label_types import IGNORE_INDEX
from seglight.system.atomic import atomic_write
from seglight.system.terminal import plain_console

REPORT, PAGE, COCO, LABELME = "labels.json", "labels.html", "coco.json", "labelme"
"""What is written to the folder of the report; the report itself is written last."""


def find_label_errors(datamodule: SegmentationDataModule, options: LabelOptions) -> int:
    """Judge the labels of a split, write the report and print the first of it.

    Args:
        datamodule: Data module, not set up.
        options: Options of the command.

    Returns:
        The exit code: 0, or that of a training that failed or was stopped.

    Raises:
        UserError: The split or the model can't be used, or the folder of the report holds something else.
    """
    check_out(options.out, options.folds is not None)
    if options.folds is not None:
        data = files_of(datamodule)
        split = data.split(options.split)
        folds, how = folds_of(data, split, options.folds, options.out)
        code = train(folds, options.recipe, data.cache is not None)
        if code:
            return code
        models = [fold.checkpoint for fold in folds]
        indices: list[Sequence[int]] = [fold.indices for fold in folds]
        seen = HeldOut(0, len(split))
        remarks = [f"Each image was judged by a net that was trained without it; the images were divided {how}."]
    else:
        split = datamodule.split(options.split)
        models = [checkpoint_of(str(options.model))]
        indices = [range(len(split))]
        seen = held_out(str(options.model), split, root_of(datamodule))
        remarks = []
    found = _judged(datamodule, split, list(zip(models, indices, strict=True)), options)
    judgement = Judgement(models, options.split, datamodule.classes.names, seen, found, remarks)
    left_out = _write(judgement, split, datamodule, options.out)
    console = plain_console()
    show(console, judgement)
    if left_out:
        console.print(f"{left_out} images are no files, and have no file in {options.out / LABELME}")
    console.print(
        f"{options.out / PAGE}: the {len(found.regions)} first regions to look through, and all pairs of classes"
    )
    if found.regions:
        console.print(for_tools(options.out))
    return 0


def for_tools(out: Path) -> str:
    """The line on the files for labelling tools; LabelMe's are there where images are files."""
    there = [str(out / name) for name in (LABELME, COCO) if (out / name).exists()]
    return f"{', '.join(there)}: the same regions for labelling tools"


def check_out(out: Path, with_folds: bool) -> None:
    """Check that nothing is overwritten.

    Args:
        out: Folder of the report.
        with_folds: Whether the nets of folds may be there already.

    Raises:
        UserError: It holds something else.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"--out {out}: it is a file: give a new folder")
    own = {FOLDER} if with_folds else set[str]()
    other = sorted(path.name for path in out.iterdir() if path.name not in own and not path.name.startswith("."))
    if other:
        raise UserError(f"--out {out}: it holds {other[0]} already, and nothing is overwritten: give another folder")


def load(model: str, datamodule: SegmentationDataModule) -> TorchPredictor:
    """Load a net that judges.

    Raises:
        UserError: It can't be loaded, or has other classes than the data set.
    """
    if datamodule.num_classes > IGNORE_INDEX:
        raise UserError(f"{datamodule.num_classes} classes: label errors are found in masks of {IGNORE_INDEX} at most")
    if Path(model).suffix in SUFFIXES:
        raise UserError(f"--model {model}: an exported file does not judge labels: give its checkpoint")
    predictor = load_torch([model])
    difference = datamodule.classes.difference(predictor.card.classes)
    if difference:
        raise UserError(f"--model {model}: {difference}: give a net with the classes of the data set")
    difference = (predictor.card.image or RGB).difference(datamodule.bands)
    if difference:
        raise UserError(f"--model {model}: it and the data have {difference}: give a net for these images")
    return predictor


def _judged(
    datamodule: SegmentationDataModule,
    split: Labelled,
    parts: Sequence[tuple[str, Sequence[int]]],
    options: LabelOptions,
) -> Judged:
    first, _ = parts[0]
    loaded = load(first, datamodule)  # whether it fits is said before anything is judged

    def loader(model: str) -> Callable[[], TorchPredictor]:
        return lambda: loaded if model == first else load(model, datamodule)

    images = sum(len(indices) for _, indices in parts)
    with progress(options.split, images) as advance:
        return judge(
            [Part(loader(model), indices) for model, indices in parts],
            split,
            datamodule.num_classes,
            datamodule.ignore_index,
            options.top,
            advance,
            partial(below, root_of(datamodule)),
            datamodule.bands,
        )


def root_of(datamodule: SegmentationDataModule) -> Path | None:
    """Folder of a data set that is files."""
    return datamodule.root if isinstance(datamodule, FileDataModule) else None


def below(root: Path | None, name: str) -> str:
    """Name of an image in the report: its path below the root, with slashes, if it is a file there."""
    path = Path(name)
    return path.relative_to(root).as_posix() if root is not None and path.is_relative_to(root) else name


def _write(found: Judgement, split: Labelled, datamodule: SegmentationDataModule, out: Path) -> int:
    """Write all files; returns the number of images without a file of LabelMe."""
    regions = found.judged.regions
    write_coco(out / COCO, regions, found.names)
    left_out = write_labelme(out / LABELME, regions, found.names, split)
    write_page(out / PAGE, found, split, datamodule.classes.palette, datamodule.bands)
    atomic_write(out / REPORT, json.dumps(as_dict(found), indent=1) + "\n")
    return left_out
