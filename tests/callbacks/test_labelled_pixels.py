"""A training that sees no label ends; one whose labels are rare does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seglight.callbacks import LabelledPixels
from seglight.data import ShapesDataModule
from seglight.errors import UserError
from tests.support.processes import in_processes
from tests.support.training import Noise, fit, new_module, new_trainer, samples


def data(*labelled: int) -> list[dict[str, Any]]:
    """Eight samples, of which these have labels."""
    found = samples()
    for k, sample in enumerate(found):
        if k not in labelled:
            sample["mask"].fill_(255)
    return found


def test_nothing_labelled_ends_before_the_first_validation() -> None:
    validated: list[int] = []

    class Note(LabelledPixels):
        def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
            validated.append(trainer.global_step)

    with pytest.raises(UserError, match=r"not one pixel \(such as those of im6\) was labelled in 4 training batches"):
        fit(data(), Note(), limit_val_batches=1)
    assert not validated
    with pytest.raises(UserError, match=r"not one pixel was labelled in 2 training batches"):
        fit(data(), LabelledPixels(), max_steps=2)
    fit(data(7), Note(), limit_val_batches=1)
    assert validated == [4]


@pytest.mark.parametrize("labelled", [0, 3, 7])
def test_batches_without_a_label_stay_legal(labelled: int) -> None:
    callback = LabelledPixels()
    fit(data(labelled), callback, max_epochs=2)
    assert callback.seen
    assert callback.decided


def test_a_long_epoch_ends_after_some_batches() -> None:
    callback = LabelledPixels()
    callback.most = 3
    with pytest.raises(UserError, match="in 3 training batches"):
        fit(data(7), callback)


def test_a_run_that_goes_on() -> None:
    """What is left of its first epoch may be without a label."""
    callback = LabelledPixels()
    callback.load_state_dict({"seen": True, "settled": False, "batches": 3})
    fit(data(), callback)
    trainer = new_trainer(LabelledPixels())
    trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total.completed = 9
    assert trainer.global_step == 9
    trainer.fit(new_module(), datamodule=Noise(data()))  # saved by an earlier version


def work(rank: int) -> None:
    """Process 0 has all labels."""
    fit(data(*range(8)) if rank == 0 else data(), LabelledPixels(), devices=2, strategy="ddp")
    with pytest.raises(UserError):
        fit(data(), LabelledPixels(), devices=2, strategy="ddp")


def test_labels_of_another_process_count() -> None:
    in_processes(2, work)


def test_a_validation_without_labels_is_said(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    """Of a data set that no short look reads."""
    (tmp_path / "recipe.yaml").write_text(
        "trainer: {accelerator: cpu, max_epochs: 1, num_sanity_val_steps: 0, enable_progress_bar: false}\n"
        "model: {net: {class_path: tests.support.tiny.TinyNet}}\n"
        "data: {class_path: tests.callbacks.test_labelled_pixels.Unlabelled, init_args: "
        "{size: 32, train_images: 4, eval_images: 2, batch_size: 2, num_workers: 0}}\n"
    )
    ran = seglight_cli("fit", "-c", tmp_path / "recipe.yaml", "--run_dir", tmp_path / "run")
    assert ran.rc == 0, ran.err
    told = "val/miou is null, as not one pixel of the 2 images of the val split is labelled: which checkpoint is the"
    assert told in ran.err


class Unlabelled(ShapesDataModule):
    """Scenes whose validation is not labelled."""

    def split(self, name: str) -> Any:
        scenes = super().split(name)
        return scenes if name == "train" else _NoLabels(scenes)


class _NoLabels:
    def __init__(self, scenes: Any) -> None:
        self.scenes = scenes

    def __len__(self) -> int:
        return len(self.scenes)

    fingerprint = ""

    def sources(self, index: int) -> tuple[Path, ...]:
        return ()

    def read(self, index: int) -> Any:
        image, mask, name = self.scenes.read(index)
        return image, mask * 0 + 255, name
