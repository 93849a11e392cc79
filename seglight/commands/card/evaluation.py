"""One pass of a net over a split, each image once, by any number of processes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from seglight.callbacks import ProgressBar
from seglight.commands.card.progress import PassLines
from seglight.data import SegmentationDataModule
from seglight.errors import UserError, one_line
from seglight.interfaces import Batch, Inferer, SegOutput
from seglight.models.misfit import checked_forward
from seglight.ops.finite import check_finite
from seglight.ops.padding import pad_image, pad_mask
from seglight.ops.sizes import DIVISOR
from seglight.ops.upsample import upsampled_argmax
from seglight.system.terminal import plain_console
from seglight.training.launch import launcher
from seglight.training.trainer_arguments import refusals_in_one_line
from seglight.training.trainer_values import NOT_FLOAT32, PRECISIONS

Split = Literal["val", "test"]


class Seen(NamedTuple):
    """What the net makes of an image.

    Attributes:
        name: Name of the image.
        logits: (1, C, h, w): upsampled to the size of `padded`, their softmax is the probabilities of the classes.
        padded: (1, H', W') labels of the image, with ignored rows and columns at the end where the net saw padding.
        labels: (1, H, W) predicted labels, uint8 or int32.
        mask: (1, H, W) labels of the image.
    """

    name: str
    logits: Tensor
    padded: Tensor
    labels: Tensor
    mask: Tensor


class Counter(nn.Module):
    """Base class of what is counted in a pass."""

    def add(self, seen: Seen) -> None:
        """Count an image; called in the order of the images of this process."""
        raise NotImplementedError

    def gather(self) -> None:
        """Join the counts of all processes, each of which calls it once, after its last image."""
        raise NotImplementedError


class Pass(LightningModule):
    """A net, how it is applied to an image, and what is counted.

    Args:
        net: Net that takes images (B, bands, H, W).
        memory_format: Memory format of the net.
        ignore_index: Mask value that is ignored.
        inferer: How images are predicted; None: each whole, in one pass.
        counters: What is counted.
    """

    def __init__(
        self,
        net: nn.Module,
        memory_format: torch.memory_format,
        ignore_index: int,
        inferer: Inferer | None,
        counters: Sequence[Counter],
    ) -> None:
        super().__init__()
        self.net = net
        self.memory_format = memory_format
        self.ignore_index = ignore_index
        self.inferer = inferer
        self.counters = nn.ModuleList(counters)

    def forward(self, image: Tensor) -> SegOutput:
        """Compute logits (B, C, h, w) at the head's stride of images (B, bands, H, W).

        Raises:
            UserError: The net is for images of other channels.
        """
        return checked_forward(self.net, image.contiguous(memory_format=self.memory_format))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count the images of a batch; the net sees one at a time, as in `validate`.

        Raises:
            UserError: The logits of an image are not finite; the message names it.
        """
        for index, (name, (height, width)) in enumerate(zip(batch["name"], batch["size"], strict=True)):
            image = batch["image"][index : index + 1, :, :height, :width]
            mask = batch["mask"][index : index + 1, :height, :width]
            try:
                seen = self._seen(name, image, mask)
            except UserError as error:
                raise UserError(f"{name}: {one_line(error)}") from error
            for counter in self._counters():
                counter.add(seen)

    test_step = validation_step

    def _seen(self, name: str, image: Tensor, mask: Tensor) -> Seen:
        if self.inferer is not None:
            labels = self.inferer.labels(self, image)
            # the smallest number keeps the logarithm of a class without probability finite
            logits = self.inferer.probabilities(self, image).clamp_min_(torch.finfo(torch.float32).tiny).log_()
            return Seen(name, logits, mask, labels, mask)
        logits = self(pad_image(image, DIVISOR)).logits
        check_finite(logits)
        padded = pad_mask(mask, DIVISOR, self.ignore_index)
        labels = upsampled_argmax(logits, (padded.shape[-2], padded.shape[-1]))
        return Seen(name, logits, padded, labels[:, : mask.shape[-2], : mask.shape[-1]], mask)

    def on_validation_epoch_end(self) -> None:
        """Join the counts of all processes."""
        for counter in self._counters():
            counter.gather()

    on_test_epoch_end = on_validation_epoch_end

    def _counters(self) -> Iterator[Counter]:
        for counter in self.counters:
            assert isinstance(counter, Counter)
            yield counter


@dataclass(frozen=True)
class Machine:
    """Where a pass runs.

    Args:
        accelerator: Accelerator of Lightning's Trainer.
        devices: Number of processes, each with a device.
        precision: Precision of Lightning's Trainer.
    """

    accelerator: str = "auto"
    devices: int = 1
    precision: str = "32-true"

    def trainer(self) -> Trainer:
        """A trainer that logs nothing and saves nothing.

        Raises:
            UserError: The precision has weights of other than 32 bits, the machine has no such devices, or torchrun has
                started another number of processes.
        """
        environment = launcher()
        started = 1 if environment is None else environment.world_size()
        if environment is not None and started != self.devices:
            raise UserError(f"{started} processes were started for --devices {self.devices}: give --devices {started}")
        shown = plain_console().is_terminal
        options: dict[str, Any] = {"accelerator": self.accelerator, "precision": self.precision}
        with refusals_in_one_line():
            trainer = Trainer(
                devices=self.devices,
                strategy="ddp" if self.devices > 1 else "auto",
                plugins=[] if environment is None else [environment],
                callbacks=[ProgressBar() if shown else PassLines()],
                enable_progress_bar=shown,
                logger=False,
                enable_checkpointing=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
                **options,
            )
        if trainer.precision not in PRECISIONS:
            raise UserError(f"--trainer.precision {self.precision}: {NOT_FLOAT32}")
        return trainer


def run_pass(trainer: Trainer, module: Pass, data: SegmentationDataModule, split: Split) -> None:
    """Apply the net to each image of a split once, and join the counts of all processes.

    Raises:
        UserError: The split or a file is missing, or the net can't be applied to an image.
    """
    run = trainer.validate if split == "val" else trainer.test
    run(module, data, verbose=False)


class _Nothing(LightningModule):
    """A pass that counts nothing."""

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Do nothing."""


def start_processes(trainer: Trainer) -> None:
    """Start the processes of a trainer, and let them find each other, without a pass over the images."""
    trainer.validate(_Nothing(), DataLoader(TensorDataset(torch.zeros(trainer.world_size))), verbose=False)
