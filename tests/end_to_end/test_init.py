"""Each layout of a labelling tool: `init`, `fit` for one step, `predict`, and the labels that training reads.

Trial steps are made up here, and the nets are tiny: `tests/commands/init` measures real ones.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml

from seglight.checkpoints.checkpoint import read_checkpoint
from seglight.checkpoints.model_card import KEY
from seglight.commands.init.question import Answer, Question
from seglight.commands.init.scanned import data_module
from seglight.commands.init.trials import Trials
from tests.support import fabricate, layouts, mask_layouts, outline_layouts
from tests.support.command import Ran
from tests.support.fabricate import raw
from tests.support.samples import samples

CLI = Callable[..., Ran]

TOOLS: tuple[Callable[[Path], object], ...] = (
    *outline_layouts.BUILDERS,
    *layouts.CONVERTED.values(),
    mask_layouts.cvat_masks,
    mask_layouts.roboflow,
    mask_layouts.voc_palette,
    mask_layouts.class_dict,
    mask_layouts.suffix_in_one_folder,
    fabricate.camvid,
)
"""One form of each tool: trained and predicted with."""

SAMPLES = (
    "coco/roboflow-facade",
    "cvat-images-1.1/facade-made",
    "cvat-mask-1.1/facade-made",
    "hf-parquet/facade-made",
    "kaggle-rle/facade-made",
    "roboflow-png-mask-semantic/dhcn",
    "supervisely/facade-made",
    "voc/facade-palette-made",
    "yolo-seg/facade-made",
)
"""Exports that are whole data sets of two images or more."""

STEP = (
    "--model.net.encoder.name", "test_resnet.r160_in1k", "--model.net.encoder.weights", "random",
    "--data.augmentation.crop_size", "64",
    "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "1",
    "--trainer.check_val_every_n_epoch", "1", "--trainer.enable_progress_bar", "false",
)  # fmt: skip
"""Options of `fit` for one step of a tiny net."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a working directory of the test's own, and trial steps that take no time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def answer(self: Trials, question: Question) -> Answer:
        return Answer(0.5, 0.01, 10**9)

    monkeypatch.setattr(Trials, "_measured", answer)


def labels_of(recipe: Path) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Class names and label maps, by name of the image, that the data module of a recipe reads."""
    module = data_module(yaml.safe_load(recipe.read_text("utf-8"))["data"])
    found = {}
    for name in ("train", "val"):
        split = module.split(name)
        for index in range(len(split)):
            _, mask, image = split.read(index)
            found[Path(image).name] = mask
    return module.classes.names, found


def train_and_predict(seglight_cli: CLI, root: Path) -> None:
    """Three commands, from an export to masks, whose sizes and classes are checked."""
    ran = seglight_cli("init", root, "--out", "net", "--time", "10m", "--device", "cpu")
    assert ran.rc == 0, ran.err
    names, labels = labels_of(Path("net/recipe.yaml"))
    fit = seglight_cli("fit", "-c", "net/recipe.yaml", "--run_dir", "net/run", *STEP)
    assert fit.rc == 0, fit.err
    checkpoint = Path("net/run/checkpoints/best.ckpt")
    assert read_checkpoint(str(checkpoint))[KEY].class_names == names
    content = yaml.safe_load(Path("net/recipe.yaml").read_text("utf-8"))["data"]
    split = data_module(content).split("val")
    image = split.sources(0)[0]
    predict = seglight_cli("predict", checkpoint, image, "--out", "masks")
    assert predict.rc == 0, predict.err
    mask = raw(Path("masks") / f"{image.stem}.png")
    assert mask.shape == labels[image.name].shape
    assert mask.max() < len(names)


@pytest.mark.slow
@pytest.mark.parametrize("write", TOOLS, ids=lambda write: write.__name__)
def test_from_the_export_of_a_tool_to_masks(seglight_cli: CLI, tmp_path: Path, write: Callable[[Path], object]) -> None:
    (tmp_path / "own").mkdir()
    write(tmp_path / "own")
    train_and_predict(seglight_cli, tmp_path / "own")


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_from_a_real_export_to_masks(seglight_cli: CLI, name: str) -> None:
    train_and_predict(seglight_cli, samples() / name)


def expected(written: object) -> tuple[Mapping[str, np.ndarray], tuple[str, ...] | None]:
    """Label maps and class names of a data set that was written."""
    if isinstance(written, mask_layouts.Form):
        return written.maps, tuple(written.names)
    assert isinstance(written, dict)
    return written, None


@pytest.mark.slow
@pytest.mark.parametrize(
    "write",
    [*TOOLS[:-1], *(form for form in mask_layouts.FORMS if form not in TOOLS)],
    ids=lambda write: write.__name__,
)
def test_training_reads_the_labels_of_each_form(
    seglight_cli: CLI, tmp_path: Path, write: Callable[[Path], object]
) -> None:
    """Pixel for pixel those that the form was written from."""
    (tmp_path / "own").mkdir()
    maps, known = expected(write(tmp_path / "own"))
    ran = seglight_cli("init", "own", "--device", "cpu")
    assert ran.rc == 0, ran.err
    names, labels = labels_of(Path("own_net/recipe.yaml"))
    assert known in (None, names)
    assert labels
    for image, mask in labels.items():
        (one,) = (found for name, found in maps.items() if Path(name).stem == Path(image).stem)
        assert np.array_equal(mask, one), image
