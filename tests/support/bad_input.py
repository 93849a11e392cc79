"""Recipes with a fault, and the line that they end with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.support.command import Ran

CLI = Callable[..., Ran]


ENCODER = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": "random"}}


DECODER = {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}}


NET = {"class_path": "seglight.models.EncoderDecoder", "init_args": {"encoder": ENCODER, "decoder": DECODER}}


def recipe(path: Path, data: str, **init_args: Any) -> Path:
    """A recipe of one step, with a net small enough to wait for."""
    content = {
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": 1,
            "limit_train_batches": 1,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
        },
        "model": {"net": NET},
        "data": {
            "class_path": f"seglight.data.{data}",
            "init_args": {"augmentation": {"crop_size": 32}, "batch_size": 2, "num_workers": 0, **init_args},
        },
    }
    path.write_text(yaml.safe_dump(content))
    return path


def complaint(ran: Ran) -> str:
    """The message, after all that every message has to keep."""
    lines = ran.err.splitlines()
    ours = [line for line in lines if line.startswith("seglight: ")]
    assert ran.rc == 2
    assert len(ours) == 1, ran.err
    assert lines[-1] == ours[0], "nothing comes after the message"
    assert "Traceback" not in ran.err + ran.out
    assert ours[0].startswith("seglight: error: ")
    return ours[0].removeprefix("seglight: error: ")
