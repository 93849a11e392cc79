"""Semantic segmentation: the steps of training and evaluation, what they log, and the scores."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from seglight.checkpoints.checkpoint import card_of, load_weights, read_checkpoint
from seglight.checkpoints.model_card import KEY, ModelCard, Provenance, class_path
from seglight.checkpoints.net_bands import check_same_bands, use_bands
from seglight.checkpoints.net_config import describe_net, made_net, without_encoder_weights
from seglight.checkpoints.trust import check_classes
from seglight.data.classes import Classes, check_trained
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.types import Color
from seglight.inference import WholeImage
from seglight.inference.batches import ignored, images_of, single
from seglight.interfaces import (
    Batch,
    Described,
    Inferer,
    LossFactory,
    MethodFactory,
    NetFactory,
    OptimizerFactory,
    ScheduleFactory,
    SegOutput,
)
from seglight.losses import CrossEntropy
from seglight.losses.plain_loss import as_loss, made_loss
from seglight.metrics import ConfusionMatrix, Scores
from seglight.metrics.image_counts import ImageCounts
from seglight.models.ensemble import in_full
from seglight.models.misfit import checked_forward
from seglight.ops.finite import REMEDY, all_finite
from seglight.ops.padding import pad_image, pad_mask
from seglight.ops.sizes import DIVISOR
from seglight.optim.schedules import ParameterGroups, WarmupPoly, learning_rates
from seglight.system.ranks import sum_over_ranks
from seglight.training.base import ONE_GROUP, BaseModule
from seglight.training.logged_scores import class_keys, log_scores
from seglight.training.methods import Supervised
from seglight.training.methods.factory import made_method
from seglight.training.start_weights import load_start_weights

if TYPE_CHECKING:
    AnyNet = NetFactory | nn.Module | Mapping[str, Any]
else:
    AnyNet = NetFactory  # all that a recipe gives: its parser reads annotations

OPTIONS = ("optimizer", "schedule", "groups", "aux_weight")
"""Attributes of a module that are as its arguments were."""


class SegmentationModule(Described, BaseModule):
    """Trains and scores a net for semantic segmentation.

        module = SegmentationModule(partial(EncoderDecoder, encoder=TimmEncoder("resnet18"), decoder=FPN), **data.facts)

    Args:
        net: Factory of the net, called with `num_classes`; in Python also a net, or a description of one:
            {"class_path": ..., "init_args": {...}}. A net that can't be described is not trained, since nothing could
            read its checkpoints.
        num_classes: Number of classes C; linked from the data.
        ignore_index: Mask value that is ignored; linked from the data.
        class_names: Names of the classes; linked from the data.
        palette: RGB colours of the classes; linked from the data.
        loss: Factory of the loss, called with `ignore_index`.
        optimizer: Factory of the optimizer, called with the parameter groups.
        schedule: Factory of the schedule, called with the optimizer and the number of optimizer steps of the run.
        groups: Learning rates of the encoder and of its layers as shares of that of the rest.
        aux_weight: Weight of each auxiliary head's loss.
        channels_last: Memory format of the net: faster with tensor cores and for many nets on a CPU. "auto": the faster
            one on the first batch; a resumed run keeps it.
        weights: Weights to start from, with a fresh optimizer and schedule: a checkpoint (.ckpt), a released folder,
            or a file of another project (see `import_weights`). Parameters under the net's `heads`
            may be missing or for another number of classes; they keep their initial values.
        method: Factory of what a training step computes from net, batch and loss, called with `num_classes` and
            `ignore_index`; supervised training by default.
        bands: What the images hold; linked from the data.
    """

    def __init__(
        self,
        net: AnyNet,
        num_classes: int,
        ignore_index: int,
        class_names: Sequence[str],
        palette: Sequence[Color],
        loss: LossFactory = CrossEntropy,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        schedule: ScheduleFactory = WarmupPoly,
        groups: ParameterGroups = ONE_GROUP,
        aux_weight: float = 0.4,
        channels_last: bool | Literal["auto"] = False,
        weights: str | None = None,
        method: MethodFactory = Supervised,
        bands: Bands = RGB,
    ) -> None:
        if not 0 <= aux_weight < math.inf:
            raise UserError(f"model.aux_weight {aux_weight}: give a finite number from 0")
        made = made_net(net, num_classes)
        use_bands(made, bands)
        super().__init__(made, optimizer, schedule, groups, channels_last)
        self.bands = bands
        self.loss = made_loss(loss, ignore_index)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.class_names = list(class_names)
        self.palette = list(palette)
        check_trained(Classes(tuple(class_names), tuple(palette)), self.net, self.loss, bands=bands)
        self.aux_weight = aux_weight
        self.built_options = {name: getattr(self, name) for name in OPTIONS}
        """The options as they were given; users change the attributes."""
        self.method = made_method(method, num_classes, ignore_index)
        self.method.check_net(self.net)
        self.confusion = ConfusionMatrix(num_classes, ignore_index, per_image=True)
        self.losses: list[Tensor] = []
        """Loss of each evaluated image, and the denominator of that loss."""
        self.train_loss = torch.tensor(math.nan)
        """Loss of the last training batch."""
        self.scores: Scores | None = None
        self.image_counts: ImageCounts | None = None
        """Counts of each image of the last evaluation."""
        self.class_values: dict[str, float] = {}
        """IoU of the classes in the last evaluation, as it is logged."""
        self.inferer: Inferer | None = None
        """Inferer of evaluations and predictions, see `use_inferer`."""
        self.net_config: dict[str, Any] = {}
        """The net's class_path and init_args, from which it is built again."""
        self.undescribed: UserError | None = None
        """Why the net can't be described."""
        try:
            self.describe_net(describe_net(net))
        except UserError as error:
            self.undescribed = error
        if weights is not None:
            load_start_weights(self.net, weights, class_names)

    def describe_net(self, config: dict[str, Any]) -> None:
        """Take the description of the net as a recipe has it."""
        self.net_config = without_encoder_weights(in_full(config))
        self.undescribed = None

    def use_inferer(self, inferer: Inferer | None) -> None:
        """Label images by an inferer in evaluations and predictions.

        Args:
            inferer: Inferer, with which an evaluation has no loss; None: one pass of each image.
        """
        self.inferer = inferer

    def setup(self, stage: str) -> None:
        """Refuse what fails at the first step, or leaves a checkpoint that can't be read.

        Raises:
            UserError: The net can't be described, or as in `BaseModule`.
        """
        super().setup(stage)
        if stage == "fit" and self.undescribed is not None:
            raise self.undescribed

    def forward(self, image: Tensor) -> SegOutput:
        """Compute logits (B, C, h, w) at the head's stride of images, uint8 (B, bands, H, W).

        Raises:
            UserError: The net is for images of other channels, or cannot be trained on a batch of one.
        """
        return checked_forward(self.net, image.contiguous(memory_format=self.memory_format))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The scalar that the method computes, weighted where batches are accumulated.

        Raises:
            UserError: The method does not return one number as a tensor.
        """
        loss: Tensor = self.method(self, batch, self.criterion)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise UserError(f"model.method {type(self.method).__name__} returns {got}: return the loss as one tensor")
        self.train_loss = loss.detach()
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (self.trainer.global_step + 1) % every == 0:
            rates = learning_rates(self.trainer.optimizers[0].param_groups)
            self.log_dict({"train/loss": self.train_loss, **rates}, batch_size=len(batch["name"]))
        # 1 where the loss is finite, else NaN: then every gradient is, and after their reduction that of every process
        loss = loss * (1 + 0 * self.train_loss)
        if self.trainer.accumulate_grad_batches == 1:
            return loss
        return self.accumulated(loss, *self.denominator(batch), batch_idx)

    def denominator(self, batch: Batch) -> tuple[Tensor, int]:
        """What the loss of a batch is a mean over in this process, and a number of that order, the same in all."""
        return as_loss(self.loss, self.ignore_index).denominator(batch["mask"]), batch["mask"].numel()

    def criterion(self, output: SegOutput, batch: Batch) -> Tensor:
        """The loss of the head, plus that of each auxiliary head times `aux_weight`; a scalar.

        Args:
            output: Output of the net for the images of the batch.
            batch: The training batch.
        """
        loss = self._head_loss(output.logits, batch)
        for aux_logits in output.aux:
            loss = loss + self.aux_weight * self.loss(aux_logits, batch["mask"])
        return loss

    def _head_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        loss = as_loss(self.loss, self.ignore_index)
        if loss.needs_image:
            return loss.with_image(logits, batch["mask"], batch["image"])
        value: Tensor = loss(logits, batch["mask"])
        return value

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The groups of the net, and of what the method trains beside it."""
        return [*super().parameter_groups(), *self.method.parameter_groups()]

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Count a batch, and return its predicted labels, uint8 (B, H, W)."""
        pred = torch.full_like(batch["mask"], self.ignore_index)
        for k, (height, width) in enumerate(batch["size"]):
            # the net sees one image at a time: the result of a convolution depends, in its last digits, on the batch
            one = single(batch, k)
            labels = self.evaluated(one) if self.inferer is None else self.inferer.labels(self, one["image"])
            pred[k, :height, :width] = labels[0, :height, :width]
        self.confusion.update(pred, batch["mask"])
        return pred

    def evaluated(self, batch: Batch) -> Tensor:
        """Labels, uint8 (1, H, W) or larger, of a batch of one image of its own size; its loss is kept."""
        mask, image = pad_mask(batch["mask"], DIVISOR, self.ignore_index), pad_image(batch["image"], DIVISOR)
        logits, criterion = self(image).logits, as_loss(self.loss, self.ignore_index)
        loss, labels = criterion.with_labels(logits, mask)
        self.keep_loss(loss, criterion.denominator(mask), logits)
        return labels

    def keep_loss(self, loss: Tensor, denominator: Tensor, logits: Tensor) -> None:
        """Keep the loss of an evaluated image, what it is a mean over, and whether the net's logits are finite."""
        self.losses.append(torch.stack((loss, denominator)))
        # what it is a mean over is NaN where the logits are not finite: nobody waits for a GPU before the end
        self.losses[-1][1].masked_fill_(~all_finite(logits), torch.nan)

    test_step = validation_step

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> list[Tensor]:
        """Predict label maps: class indices, uint8 (H, W) on the CPU, each at its image's size; no data is ignored.

        Args:
            batch: Images (B, bands, H, W), uint8 RGB by default: a tensor, the first of a sequence, or `image` of a
                dict, which may hold the `size` (H, W) of each image within its padding.
            batch_idx: Unused.
            dataloader_idx: Unused.

        Raises:
            UserError: The batch has no such images.
        """
        inferer = WholeImage() if self.inferer is None else self.inferer
        images = images_of(batch, self.bands)
        found = ((inferer.labels(self, image)[0].cpu(), image[0]) for image in images)
        return [ignored(labels, image, self.bands, self.num_classes, self.ignore_index) for labels, image in found]

    def on_validation_epoch_end(self) -> None:
        """Score the split."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Score the split."""
        self._log_scores("test")

    def _log_scores(self, split: str) -> None:
        self.image_counts = self.confusion.image_counts()
        self.confusion.reset()
        scores = Scores.from_images(self.image_counts)
        # a sanity check scores a batch or two: no score of the run
        self.scores = None if self.trainer.sanity_checking else scores
        values = {f"{split}/miou": scores.miou, f"{split}/acc": scores.accuracy}
        if self.inferer is None:
            values[f"{split}/loss"] = self._mean_loss(split)
        self.class_values = dict(zip(class_keys(split, self.class_names), scores.iou.float().tolist(), strict=True))
        log_scores(self, values, self.class_values)

    def _mean_loss(self, split: str) -> float:
        """Return the mean of the images' losses weighted by labelled pixels: a mean over pixels, as in training.

        Raises:
            UserError: The logits of an image are not finite.
        """
        loss, weight = torch.stack([torch.zeros(2, device=self.device), *self.losses]).unbind(1)
        self.losses = []
        total, weight, broken = sum_over_ranks((loss * weight).sum(), weight.sum(), weight.isnan().sum())
        if broken and not self.trainer.sanity_checking:  # a first step that is no better tells more
            step = f"step {self.trainer.global_step}, " if self.trainer.state.fn == "fit" else ""
            raise UserError(f"{step}{split}: the net's logits on {int(broken)} images are NaN or infinite: {REMEDY}")
        return float(total / weight)

    def model_card(self) -> ModelCard:
        """Description of the net, its classes and its training.

        Raises:
            UserError: The net can't be described.
        """
        if self.undescribed is not None:
            raise self.undescribed
        optimizer = class_path(self.trainer.optimizers[0]) if self.trainer.optimizers else None
        provenance = Provenance(step=self.trainer.global_step, loss=class_path(self.loss), optimizer=optimizer)
        classes = Classes(tuple(self.class_names), tuple(self.palette))
        channels_last = self.memory_format == torch.channels_last
        return card_of(self.net, self.net_config, classes, self.ignore_index, channels_last, provenance, self.bands)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse images that the net would read in another way than in its training; see `BaseModule` for the rest.

        Raises:
            UserError: They are of other bands.
        """
        if KEY in checkpoint:
            check_same_bands(ModelCard.from_dict(checkpoint[KEY], "the checkpoint").image or RGB, self.bands)
        super().on_load_checkpoint(checkpoint)

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, **options: Any) -> Any:  # type: ignore[override]
        """The module of a checkpoint as its model card describes it; with a `net` among the options, as Lightning does.

        Raises:
            UserError: The checkpoint can't be read, or names classes of other packages than `seglight.load` trusts.
        """
        if "net" in options:
            return super().load_from_checkpoint(checkpoint_path, **options)
        checkpoint = read_checkpoint(checkpoint_path)
        card: ModelCard = checkpoint[KEY]
        check_classes(str(checkpoint_path), card.net)
        device = options.pop("map_location", None) or "cpu"
        facts = (card.num_classes, card.ignore_index, card.class_names, card.palette)
        options.setdefault("channels_last", card.channels_last)
        options.setdefault("bands", card.image or RGB)
        module = cls(without_encoder_weights(in_full(card.net)), *facts, **options)
        load_weights(module.net, checkpoint, checkpoint_path)
        return module.to(device)

    def log_keys(self) -> dict[str, list[str]]:
        """Return the keys that are logged in training, as `train`, and after an evaluation in training, as `val`."""
        scores = ["val/miou", "val/acc", *([] if self.inferer else ["val/loss"])]
        scores += class_keys("val", self.class_names)
        rates = learning_rates([{**group, "lr": 0.0} for group in self.parameter_groups()])
        return {"train": ["train/loss", *rates], "val": scores}
