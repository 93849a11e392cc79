"""Trial steps, run in a process of their own: `python -m seglight.commands.init.trial`.

Reads one question as a JSON line from standard input, and answers it in a JSON line on standard output, until the
input ends.
"""

import json
import logging
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from seglight.callbacks import EMA
from seglight.data.classes import voc_color
from seglight.errors import UserError, one_line
from seglight.images.bands import RGB, Bands
from seglight.interfaces import Batch
from seglight.ops.label_tensors import label_dtype
from seglight.ops.label_types import ignore_index_of
from seglight.system.class_paths import class_rules
from seglight.system.memory import peak_of
from seglight.system.parsing import new_parser, parser_errors
from seglight.training.semantic import SegmentationModule

UNTIMED, TIMED = 2, 5
"""Steps before those that count, and steps that count."""

LONG_ENOUGH = 20.0
"""Seconds after which no further step is made."""

IMAGES = 3
"""Images that are evaluated; the first one does not count."""


class Images:
    """What a data module tells of its images.

    Args:
        bands: Description of the images as plain values.
    """

    def __init__(self, bands: dict[str, Any]) -> None:
        self.bands = Bands.from_dict(bands)


class Clock(Callback):
    """Takes the time from the beginning of each step and each evaluated image to its end, on GPUs too."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.images: list[float] = []
        self.start = 0.0
        self.began = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """A step begins; the one before, with everything that followed it, has ended."""
        now = _now()
        if self.start:
            self.steps.append(now - self.start)
        self.start = now
        if len(self.steps) > UNTIMED and now - self.began > LONG_ENOUGH:
            trainer.should_stop = True

    def on_validation_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """An image is about to be evaluated."""
        self.start = _now()

    def on_validation_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """An image has been evaluated."""
        self.images.append(_now() - self.start)


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def answered(question: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one question.

    Args:
        question: See `seglight.commands.init.question.Question`.

    Returns:
        `step` and `image` in seconds, and `peak` in bytes; or `exceeded`: the memory was too little; or `error`.
    """
    gpu = question["accelerator"] == "gpu"
    try:
        if gpu:
            torch.cuda.reset_peak_memory_stats()
            total = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, question["memory"] / total))
        clock = Clock()
        peak = _peak(lambda: _train(question, clock), gpu)
    except (MemoryError, RuntimeError) as error:
        text = str(error).lower()
        if isinstance(error, MemoryError) or "memory" in text:
            return {"exceeded": True}
        return {"error": one_line(error)}
    except (UserError, ValueError, TypeError) as error:
        return {"error": one_line(error)}
    return {"step": quiet(clock.steps[UNTIMED:]), "image": quiet(clock.images[1:]), "peak": peak}


def quiet(seconds: list[float]) -> float:
    """The lower quartile: a moment in which another process was busy does not count."""
    return sorted(seconds)[(len(seconds) - 1) // 4]


def _peak(work: Callable[[], None], gpu: bool) -> int:
    """Peak bytes of the device while a function runs."""
    if gpu:
        work()
        return torch.cuda.max_memory_reserved()
    try:
        return peak_of(work)
    except UserError:  # not on Linux
        work()
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _train(question: Mapping[str, Any], clock: Clock) -> None:
    """Train for some steps and evaluate some images with everything that takes time in `fit`."""
    torch.manual_seed(0)
    bands = RGB if question.get("bands") is None else Bands.from_dict(question["bands"])
    module = built(question["model"], question["classes"], bands)
    steps = UNTIMED + TIMED + 1
    crops = [_batch(question["batch"], tuple(question["crop"]), question["classes"], bands)] * steps
    images = [_batch(1, tuple(question["image"]), question["classes"], bands)] * IMAGES
    trainer = Trainer(
        accelerator=question["accelerator"],
        devices=1,
        precision=question["precision"],
        max_epochs=1,
        callbacks=[EMA(0.98), clock],
        gradient_clip_val=5.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    trainer.fit(module, _loader(crops), _loader(images))


def built(model: Mapping[str, Any], classes: int, bands: Bands = RGB) -> SegmentationModule:
    """The module of the part `model` of a recipe, as `fit` builds it.

    Raises:
        UserError: A part of it is wrong.
    """
    parser = new_parser()
    parser.add_class_arguments(SegmentationModule, "model", fail_untyped=False)
    images = {} if bands.is_rgb8 else {"data": {"bands": bands.to_dict()}}
    if images:  # linked as in `fit`
        parser.add_class_arguments(Images, "data")
        parser.link_arguments("data.bands", "model.bands", apply_on="instantiate")
    facts = {
        "num_classes": classes,
        "ignore_index": ignore_index_of(classes),
        "class_names": [str(index) for index in range(classes)],
        "palette": [list(voc_color(index)) for index in range(classes)],
    }
    with class_rules(), parser_errors():
        options = parser.parse_object({"model": {**model, **facts}, **images})
        module: SegmentationModule = parser.instantiate(options).model
    module.describe_net(dict(model["net"]))
    return module


def _batch(number: int, size: tuple[int, int], classes: int, bands: Bands) -> Batch:
    """Noise, and labels in squares of 32."""
    height, width = size
    image = torch.randint(0, 256, (number, height, width, len(bands.names)), dtype=torch.uint8).permute(0, 3, 1, 2)
    image = image.to(torch.from_numpy(np.empty(0, bands.dtype)).dtype)
    coarse = torch.randint(0, classes, (number, -(-height // 32), -(-width // 32)), dtype=label_dtype(classes))
    mask = coarse.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, :height, :width].contiguous()
    return {"image": image, "mask": mask, "name": [""] * number, "size": [size] * number}


def _loader(batches: list[Batch]) -> DataLoader[Any]:
    return DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)  # type: ignore[arg-type]


def main() -> None:
    """Answer questions until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no answer
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for line in sys.stdin:
        answers.write(json.dumps(answered(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
