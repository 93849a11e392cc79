"""What every LightningModule of seglight shares: optimizer, schedule, clipping, accumulation, memory format.

Nothing here knows a task: neither labels nor scores.
"""

from typing import Any, Literal

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from seglight.checkpoints.model_card import KEY, ModelCard
from seglight.errors import UserError
from seglight.interfaces import OptimizerFactory, ScheduleFactory
from seglight.models.memory_format import FORMATS, seconds_a_pass
from seglight.models.misfit import encoder_channels, has_batch_norm, tried_out, wrong_channels
from seglight.optim.accumulation import GradientWindow, optimizer_steps
from seglight.optim.clipping import clip_fused
from seglight.optim.schedules import ParameterGroups, made_optimizer, made_schedule, run_length
from seglight.system.ranks import sum_over_ranks
from seglight.training.lightning_internals import syncs_batch_norm
from seglight.training.trainer_values import NOT_FLOAT32, PRECISIONS

ONE_GROUP: ParameterGroups = ParameterGroups()


class BaseModule(LightningModule):
    """Trains a net: a subclass adds the steps and the scores of its task.

    Args:
        net: The net that is trained.
        optimizer: Factory of the optimizer, called with the parameter groups.
        schedule: Factory of the schedule, called with the optimizer and the number of optimizer steps of the run.
        groups: Learning rates of the encoder and of its layers as shares of that of the rest.
        channels_last: Memory format of the net. "auto": the faster one on the first batch; a resumed run keeps it.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: OptimizerFactory,
        schedule: ScheduleFactory,
        groups: ParameterGroups = ONE_GROUP,
        channels_last: bool | Literal["auto"] = False,
    ) -> None:
        super().__init__()
        self.net = net
        self.optimizer = optimizer
        self.schedule = schedule
        self.groups = groups
        self.format_undecided = channels_last == "auto"
        self._set_format(channels_last is True)
        self.window = GradientWindow()
        self.lr: float | None = None
        """Learning rate of groups of `lr_scale` 1 in place of the optimizer's own; Lightning's finder sets it."""

    def setup(self, stage: str) -> None:
        """Refuse what fails at the first step.

        Raises:
            UserError: Synchronised batch norms without a GPU, or weights of another precision than 32 bits.
        """
        if self.trainer.precision not in PRECISIONS:
            raise UserError(f"trainer.precision {self.trainer.precision}: {NOT_FLOAT32}")
        if self.trainer.strategy.root_device.type == "cpu" and syncs_batch_norm(self.trainer):
            raise UserError(
                "trainer.sync_batchnorm: torch supports it on GPUs only: remove it, or use another accelerator"
            )

    def check_example(self, image: Tensor, batch_size: int) -> None:
        """Check that the net can be trained on such images.

        Args:
            image: A training image, uint8 (1, C, H, W).
            batch_size: Images of a step of this process.

        Raises:
            UserError: The net is for images of other channels, or can't be trained on a batch of one.
        """
        channels = encoder_channels(self.net)
        if channels is not None and channels != image.shape[1]:
            raise UserError(wrong_channels(channels, image.shape[1]))
        if batch_size == 1 and has_batch_norm(self.net):
            with tried_out(self.net), self.trainer.precision_plugin.train_step_context():
                self(image.to(self.device))

    def _set_format(self, channels_last: bool) -> None:
        self.memory_format = FORMATS[channels_last]
        self.net.to(memory_format=self.memory_format)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Choose the memory format by the first batch, if it is to be chosen."""
        if self.format_undecided:
            self.format_undecided = False
            with self.trainer.precision_plugin.train_step_context():
                seconds = seconds_a_pass(self.net, batch["image"])
            self._set_format(seconds[True] < seconds[False])
            chosen = "channels_last: true" if seconds[True] < seconds[False] else "channels_last: false"
            self.print(f"{chosen} ({seconds[True]:.3g} s a pass, {seconds[False]:.3g} s contiguous)")

    def accumulated(self, loss: Tensor, denominator: Tensor, pixels: int, batch_idx: int) -> Tensor:
        """The loss of one of several accumulated batches as it goes into the backward pass.

        Args:
            loss: Scalar.
            denominator: What the loss is a mean over, in this process; scalar.
            pixels: Pixels of the batch, labelled or not.
            batch_idx: Index of the batch in its epoch.
        """
        if batch_idx % self.trainer.accumulate_grad_batches == 0:
            self.window.begin(pixels)
        return self.window.weigh(loss, *sum_over_ranks(denominator))

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Give accumulated batches the gradient of one mean over all of their pixels; clipping comes after it."""
        if self.trainer.accumulate_grad_batches > 1 and self.window.denominators:
            gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
            self.window.rescale(gradients, self.trainer.accumulate_grad_batches)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """As Lightning does, and for fused optimizers in mixed precision too, where it refuses."""
        clip = optimizer, gradient_clip_val, gradient_clip_algorithm
        if not clip_fused(self.trainer.precision_plugin, *clip):
            self.clip_gradients(*clip)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The groups that the optimizer is made of: those of encoder and rest, with and without weight decay."""
        return self.groups(self.net)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer of `parameter_groups`; the schedule steps by optimizer step.

        Raises:
            UserError: The optimizer or the schedule refuses its arguments, or the run has no end.
        """
        optimizer = made_optimizer(self.optimizer, self.parameter_groups())
        for group in optimizer.param_groups:
            group["lr"] *= group.get("lr_scale", 1.0)
        self.steps = run_length(optimizer_steps(self.trainer))
        self.current_schedule = made_schedule(self.schedule, optimizer, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.current_schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        """Begin the schedule anew where one of Lightning's finders changed the learning rate or the batch size."""
        steps = run_length(optimizer_steps(self.trainer))
        config = self.trainer.lr_scheduler_configs[0]
        at_start = self.trainer.global_step == 0 and config.scheduler is self.current_schedule  # not a finder's own
        if at_start and (self.lr is not None or steps != self.steps):
            self.steps = steps
            optimizer = self.trainer.optimizers[0]
            for group in optimizer.param_groups:
                full = group["initial_lr"]
                if self.lr is not None and "lr_scale" in group:
                    full = self.lr * group["lr_scale"]
                group["lr"] = full
                group["initial_lr"] = full
            self.current_schedule = self.schedule(optimizer, steps)
            config.scheduler = self.current_schedule

    def model_card(self) -> ModelCard | None:
        """What it takes to use a checkpoint without its recipe; None: such a checkpoint is only resumed."""
        return None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the model card."""
        card = self.model_card()
        if card is not None:
            checkpoint[KEY] = card.to_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the memory format that was chosen, on which the last digits depend, and name all parameter groups."""
        if self.format_undecided:
            self.format_undecided = False
            self._set_format(ModelCard.from_dict(checkpoint[KEY], "the checkpoint").channels_last)
        for state in checkpoint.get("optimizer_states", []):
            for saved, group in zip(state["param_groups"], self.parameter_groups(), strict=False):
                saved["name"] = group["name"]  # earlier versions gave two groups one name
