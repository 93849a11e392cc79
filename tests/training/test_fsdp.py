"""Two processes that share the net out train and score as two that hold it whole."""

from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from seglight.data import ShapesDataModule
from seglight.data.augmentation.transforms import Augmentation
from seglight.errors import UserError
from seglight.training.fsdp import FSDP
from seglight.training.methods import AdversarialNetwork
from seglight.training.semantic import SegmentationModule
from tests.support import resumable
from tests.support.processes import in_processes
from tests.support.tiny import TinyNet


def train(rank: int, folder: Path) -> None:
    """Five images to evaluate: one process has an image more than the other."""
    for name in ("ddp", "fsdp"):
        torch.manual_seed(0)
        data = ShapesDataModule(
            size=64,
            train_images=26,
            eval_images=5,
            num_workers=0,
            batch_size=2,
            augmentation=Augmentation(crop_size=48),
        )
        module = SegmentationModule(
            partial(TinyNet, norm=False), data.num_classes, data.ignore_index, data.class_names, data.palette,
            optimizer=partial(torch.optim.AdamW, lr=1e-2, weight_decay=0.1),
        )  # fmt: skip
        trainer = Trainer(
            accelerator="cpu", devices=2, strategy=FSDP() if name == "fsdp" else "ddp", logger=False, max_epochs=2,
            enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
            accumulate_grad_batches=2, gradient_clip_val=0.5, enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(module, datamodule=data)
        trainer.save_checkpoint(folder / f"{name}.ckpt")
        assert module.scores is not None
        torch.save(module.scores.confusion, folder / f"{name}-{rank}.pt")
        if name == "fsdp":
            sizes = [sum(p.to_local().numel() for p in group["params"]) for group in trainer.optimizers[0].param_groups]  # type: ignore[attr-defined]
            torch.save(sizes, folder / f"sizes-{rank}.pt")


@pytest.mark.slow
def test_as_with_whole_weights(tmp_path: Path) -> None:
    in_processes(2, train, tmp_path)
    whole, shared = (torch.load(tmp_path / f"{name}.ckpt", weights_only=True) for name in ("ddp", "fsdp"))
    assert shared["state_dict"].keys() == whole["state_dict"].keys()
    for key, value in whole["state_dict"].items():
        torch.testing.assert_close(shared["state_dict"][key], value, rtol=1e-5, atol=1e-6)
    for rank in range(2):
        confusions = [torch.load(tmp_path / f"{name}-{rank}.pt") for name in ("ddp", "fsdp")]
        assert torch.equal(*confusions)
    sizes = [torch.load(tmp_path / f"sizes-{rank}.pt") for rank in range(2)]
    assert [sum(shares) for shares in zip(*sizes, strict=True)] == [8 * 3 * 16 + 8 * 8, 8 + 8]


@pytest.mark.slow
def test_averages_are_refused(tmp_path: Path) -> None:
    resumable.write_recipe(tmp_path)
    children = resumable.fit_in_two(
        tmp_path / "run", "--trainer.strategy", '{"class_path": "seglight.training.fsdp.FSDP"}'
    )
    assert [resumable.wait(child) for child in children] == [2, 2]
    assert "averages of weights (EMA, SWA) need them whole" in (tmp_path / "run.log").read_text()


def refused_with_a_method(rank: int, folder: Path) -> None:
    data = ShapesDataModule(size=64, train_images=4, eval_images=1, num_workers=0, batch_size=2)
    module = SegmentationModule(
        partial(TinyNet, norm=False), data.num_classes, data.ignore_index, data.class_names, data.palette,
        method=AdversarialNetwork,
    )  # fmt: skip
    trainer = Trainer(
        accelerator="cpu", devices=2, strategy=FSDP(), logger=False, enable_checkpointing=False, max_epochs=1,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    with pytest.raises(UserError, match=r"model\.method trains method\.discriminator\.0\.weight outside of the net"):
        trainer.fit(module, datamodule=data)
    (folder / f"refused-{rank}").touch()


@pytest.mark.slow
def test_weights_outside_of_the_net_are_refused(tmp_path: Path) -> None:
    in_processes(2, refused_with_a_method, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"refused-0", "refused-1"}
