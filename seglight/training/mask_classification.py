"""Nets that predict masks with classes: the steps of training and evaluation."""

from collections.abc import Callable, Mapping
from itertools import count, islice
from typing import Any, cast

import torch
from torch import Tensor

from seglight.errors import UserError
from seglight.interfaces import Batch, LossFactory, MaskClassifier, MaskOutput
from seglight.losses import MaskClassificationLoss
from seglight.models.misfit import checked_output
from seglight.ops.host_copy import HostCopy
from seglight.ops.mask_reading import semantic_labels
from seglight.ops.mask_targets import MaskTargets, Segments, segment_targets, semantic_targets
from seglight.ops.padding import pad_image, pad_mask
from seglight.ops.point_sampling import ImagePoints
from seglight.ops.sizes import DIVISOR
from seglight.system.class_paths import imported
from seglight.system.ranks import rank, world_size
from seglight.training.semantic import SegmentationModule


class MaskClassificationModule(SegmentationModule):
    """Trains and scores a net that predicts masks with classes; a recipe whose net is a `MaskClassifier` is run by it.

    The arguments are those of `SegmentationModule`; `loss` has to be a `MaskClassificationLoss`, which weights all
    outputs of the net equally. The masks to learn are the segments of the batch where it has them, and else the classes
    of each image. Semantic scores are those of all nets, of the label maps that `semantic_labels` reads.

    Raises:
        UserError: The net is no `MaskClassifier`, or the loss no `MaskClassificationLoss`.
    """

    def __init__(self, *args: Any, loss: LossFactory = MaskClassificationLoss, **kwargs: Any) -> None:
        super().__init__(*args, loss=loss, **kwargs)  # type: ignore[misc] # the loss by name only
        self.accumulated_before = 0
        """Batches before this one that are accumulated with it."""
        self.labels = BatchLabels({"mask": torch.zeros(0)})
        """Those of the training batch."""
        if not isinstance(self.net, MaskClassifier):
            raise UserError(
                f"model.net: {type(self.net).__name__} gives logits of pixels and no masks with classes: train it by a "
                "SegmentationModule"
            )
        if not isinstance(self.loss, MaskClassificationLoss):
            raise UserError(
                f"model.loss: {type(self.net).__name__} predicts masks with classes, which {type(self.loss).__name__} "
                "does not compare: set it to seglight.losses.MaskClassificationLoss"
            )

    @property
    def mask_loss(self) -> MaskClassificationLoss:
        """The loss."""
        return cast(MaskClassificationLoss, self.loss)

    def forward(self, image: Tensor) -> MaskOutput:  # type: ignore[override] # no logits of pixels
        """Compute classes and masks of the queries of images (B, bands, H, W).

        Raises:
            UserError: The net is for images of other channels, or cannot be trained on a batch of one.
        """
        output: MaskOutput = checked_output(self.net, image.contiguous(memory_format=self.memory_format))
        return output

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Tell the net how much of the run is done."""
        super().on_train_batch_start(batch, batch_idx)
        self._set_progress()

    def on_validation_start(self) -> None:
        """Tell the net how much of the run is done, of which a run that is resumed in an evaluation has no step."""
        if self.trainer.state.fn == "fit":
            self._set_progress()

    def _set_progress(self) -> None:
        cast(MaskClassifier, self.net).set_progress(min(1.0, self.trainer.global_step / max(1, self.steps)))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """As for all nets; the labels are copied to the host while the net computes."""
        self.accumulated_before = batch_idx % self.trainer.accumulate_grad_batches
        self.labels = BatchLabels(batch)
        return super().training_step(batch, batch_idx)

    def criterion(self, output: MaskOutput, batch: Batch) -> Tensor:  # type: ignore[override] # as `forward`
        """The loss of all outputs of the net, a scalar.

        Args:
            output: Output of the net for the images of the batch.
            batch: The training batch.
        """
        loss: Tensor = self.loss(output, self.labels.targets(self.ignore_index), self._points(len(batch["image"])))
        return loss

    def _points(self, images: int) -> list[ImagePoints]:
        """The points of the images of a training batch, by their place among those of the optimizer step."""
        processes = world_size()
        # process r has the places r, r + processes, ... of what is one batch for a single process
        first = self.accumulated_before * images * processes + rank()
        places = islice(count(first, processes), images)
        return [self.mask_loss.points(self.trainer.global_step, place, self.device) for place in places]

    def denominator(self, batch: Batch) -> tuple[Tensor, int]:
        """The number of masks, by which accumulated batches are weighted, and the number of pixels of an image."""
        return self.mask_loss.denominator(self.labels.targets(self.ignore_index)), batch["mask"][0].numel()

    def evaluated(self, batch: Batch) -> Tensor:
        """Labels, uint8 (1, H, W) or larger, of a batch of one image of its own size; its loss is kept."""
        image = pad_image(batch["image"], DIVISOR)
        output = self(image)
        targets = BatchLabels(padded_labels(batch, self.ignore_index)).targets(self.ignore_index)
        place = len(self.losses) * world_size() + rank()
        loss = self.loss(output, targets, [self.mask_loss.points(0, place, self.device)])
        sums = torch.stack([logits.sum(dtype=torch.float32) for logits in output[:2]])
        self.keep_loss(loss, self.mask_loss.denominator(targets), sums)
        return semantic_labels(output.class_logits, output.mask_logits, (image.shape[-2], image.shape[-1]))


class BatchLabels:
    """The labels of a batch, copied to the host, which has to know which masks there are.

    Args:
        batch: The batch: its `mask`, and its segments if it has them.
    """

    def __init__(self, batch: Any) -> None:
        self.batch = batch
        facts = [*batch["segment_classes"], *batch["segment_crowds"]] if "segments" in batch else []
        maps = [batch[key] for key in ("mask", "segments") if key in batch]
        self.copy = HostCopy([*maps, *facts])

    def targets(self, ignore_index: int) -> MaskTargets:
        """The masks to learn: the segments, or the classes of each image where there are none.

        Args:
            ignore_index: Mask value that is ignored.
        """
        mask, *others = self.copy.read()
        if not others:
            return semantic_targets(self.batch["mask"], ignore_index, mask)
        segments, *facts = others
        given = Segments(self.batch["segments"], self.batch["mask"])
        classes, crowds = facts[: len(mask)], facts[len(mask) :]
        return segment_targets(given, classes, crowds, ignore_index, Segments(segments, mask))


def padded_labels(batch: Batch, ignore_index: int) -> dict[str, Any]:
    """The labels of a batch, padded as images are, by ignored pixels."""
    padded = {**batch, "mask": pad_mask(batch["mask"], DIVISOR, ignore_index)}
    if "segments" in batch:
        padded["segments"] = pad_mask(batch["segments"], DIVISOR, 0)
    return padded


def maker(net: Any, made: SegmentationModule | None = None) -> Callable[..., SegmentationModule]:
    """What makes the module that trains a net, by the class that its description names.

    Args:
        net: The net's description, or whatever else a recipe gives.
        made: The module, if there is one already.

    Returns:
        Called with a `SegmentationModule`'s class and arguments, as jsonargparse does.
    """
    named = net.get("class_path") if isinstance(net, Mapping) else None
    found = imported(named) if isinstance(named, str) else None
    kind = MaskClassificationModule if isinstance(found, type) and issubclass(found, MaskClassifier) else None
    return lambda usual, **arguments: (kind or usual)(**arguments) if made is None else made
