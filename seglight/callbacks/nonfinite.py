"""Callback that stops a training at a loss or gradient that is not finite, or skips the step."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.optim import Optimizer

from seglight.checkpoints.checkpoint import net_weights
from seglight.errors import UserError, terminal
from seglight.ops.finite import check_weights, nonfinite
from seglight.system.ranks import sum_over_ranks, world_size


class StepRecord(NamedTuple):
    """Losses and gradients of a step.

    Attributes:
        step: Optimizer steps before it.
        images: Names of its images.
        losses: Loss of each of its batches.
        parameters: Parameters with a gradient.
        norms: Norms of the gradients of these parameters.
        finite: Whether all norms are finite, on the CPU; valid when `ready` is.
        ready: Event after which `finite` is valid; None: at once.
    """

    step: int
    images: list[str]
    losses: list[Tensor]
    parameters: list[nn.Parameter]
    norms: Tensor
    finite: Tensor
    ready: torch.cuda.Event | None


class NonFinite(Callback):
    """Keeps values that are not finite out of checkpoints and scores.

    The module makes every gradient NaN where its loss is not finite, and their reduction carries that to all processes,
    so that all of them make the same decision from the norms of their gradients. Overflows due to the scale of float16
    are left to the gradient scaler, as long as the loss is finite.

    A step with a finite loss and finite gradients can still break the net: through weight averages, statistics of batch
    norms or an infinite learning rate. The tensors of a checkpoint are checked before it is saved; the module checks
    the logits of each evaluation.

    Args:
        on_nonfinite: Reaction. "stop": the run ends with an error that names the step, its images and the largest
            gradients. It is raised a step later, but before anything is saved or evaluated, so that no step waits for
            the device. "skip": weights, optimizer and buffers, such as those of batch norms, keep their values, and a
            line reports the step; each step waits for the device.
    """

    def __init__(self, on_nonfinite: Literal["stop", "skip"] = "stop") -> None:
        self.on_nonfinite = on_nonfinite
        self.skipped = 0
        self.images: list[str] = []
        self.losses: list[Tensor] = []
        self.buffers: list[Tensor] = []
        self.last: StepRecord | None = None
        self.constants: list[str] = []
        self.other_constants: list[str] = []

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Record which tensors of the module are not finite from the start, such as masks of -inf."""
        self.constants = nonfinite(pl_module.net.state_dict())
        self.other_constants = nonfinite(_beside_net(pl_module.state_dict()))

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Record the images of the step and the buffers of the module before it."""
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self.images = []
            self.losses = []
            if self.on_nonfinite == "skip":
                self.buffers = [buffer.clone() for buffer in pl_module.buffers()]
        self.images += batch["name"]

    def on_before_backward(self, trainer: Trainer, pl_module: Any, loss: Tensor) -> None:
        """Record the loss."""
        self.losses.append(pl_module.train_loss)  # `loss` is scaled

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Optimizer) -> None:
        """Record the gradients of this step, and check those of the step before.

        Raises:
            UserError: The gradients of the step before were not finite, and `on_nonfinite` is "stop".
        """
        self._stop_if_bad(trainer, pl_module)
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norms = torch.stack(torch._foreach_norm([p.grad for p in parameters]))
        finite = torch.isfinite(norms).all().to("cpu", non_blocking=True)
        ready = torch.cuda.current_stream().record_event() if norms.is_cuda else None
        record = StepRecord(trainer.global_step, self.images, self.losses, parameters, norms, finite, ready)
        if self.on_nonfinite == "stop":
            self.last = record
        elif _bad(record, trainer):
            self._skip(record, pl_module)
            if _scaler(trainer) is None:  # a scaler skips the step itself
                optimizer.zero_grad(set_to_none=True)  # optimizers skip parameters without a gradient

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Check the last step before it is scored."""
        self._stop_if_bad(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Check the last step, the net, and the method and the loss before they are saved.

        Raises:
            UserError: The step's gradients, or weights or buffers of the module are not finite.
        """
        self._stop_if_bad(trainer, pl_module)
        source = f"step {trainer.global_step}, no checkpoint is saved"
        check_weights(net_weights(checkpoint), source, self.constants)
        check_weights(_beside_net(checkpoint["state_dict"]), source, self.other_constants)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Check the last step."""
        self._stop_if_bad(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Number of skipped steps."""
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the number of skipped steps."""
        self.skipped = state_dict["skipped"]

    def _stop_if_bad(self, trainer: Trainer, pl_module: nn.Module) -> None:
        record = self.last
        self.last = None
        if record is not None and _bad(record, trainer):
            raise UserError(
                f"{complaint(record, pl_module)}: check these images, lower the learning rate, clip gradients, "
                "or skip such steps with --on_nonfinite skip"
            )

    def _skip(self, record: StepRecord, pl_module: Any) -> None:
        for buffer, before in zip(pl_module.buffers(), self.buffers, strict=True):
            buffer.copy_(before)
        self.skipped += 1
        pl_module.print(terminal(f"{complaint(record, pl_module)}: step skipped, {self.skipped} so far"))


def _beside_net(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors of a module's state dict that are not the net's: those of the method and of the loss."""
    return {key: value for key, value in state.items() if isinstance(value, Tensor) and not str(key).startswith("net.")}


def _bad(record: StepRecord, trainer: Trainer) -> bool:
    if record.ready is not None:
        record.ready.synchronize()
    if record.finite:
        return False
    if _scaler(trainer) is None:
        return True
    (processes,) = sum_over_ranks((~torch.isfinite(torch.stack(record.losses)).all()).long())
    return bool(processes)


def _scaler(trainer: Trainer) -> torch.amp.GradScaler | None:
    precision = trainer.precision_plugin
    return precision.scaler if isinstance(precision, MixedPrecision) else None


def complaint(record: StepRecord, module: nn.Module) -> str:
    """Line about a step that was not finite: losses, images and largest gradients.

    Losses and images are those of the processes whose loss was not finite, if there are any. All processes have to
    call it.
    """
    losses = [float(loss) for loss in record.losses]
    seen: list[Any] = [(losses, record.images)] * world_size()
    if len(seen) > 1:
        dist.all_gather_object(seen, seen[0])
    blamed = [process for process in seen if not all(map(math.isfinite, process[0]))] or seen
    images = ", ".join(name for _, names in blamed for name in names)
    values = ", ".join(f"{loss:.4g}" for losses, _ in blamed for loss in losses)
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    order = record.norms.nan_to_num(nan=torch.inf).topk(min(3, len(record.norms))).indices
    largest = ", ".join(f"{names[id(record.parameters[k])]} {record.norms[k]:.3g}" for k in order)
    return f"step {record.step}: loss {values} or gradient is not finite, images {images}, largest gradients {largest}"
