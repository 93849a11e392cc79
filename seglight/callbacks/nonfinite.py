"""What is done about a loss or a gradient that is not finite."""

import math
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


class Look(NamedTuple):
    """What was seen of a step: `norms` of each gradient, and on the CPU, once `ready`, whether they are `finite`."""

    step: int
    images: list[str]
    losses: list[Tensor]
    parameters: list[nn.Parameter]
    norms: Tensor
    finite: Tensor
    ready: torch.cuda.Event | None


class NonFinite(Callback):
    """Nothing that is not finite reaches a checkpoint or a score.

    The module makes every gradient NaN where its loss is not finite, and their reduction carries that to all processes,
    so that all decide alike by the norms of their gradients. What overflows by the scale of float16 is left to the
    gradient scaler, as long as the loss is finite.

    Weights can be lost in a step whose loss and gradients are finite: averages, statistics of batch norms, a learning
    rate that is infinite. Before a checkpoint is saved its tensors are checked; the module checks the logits of each
    evaluation.

    Args:
        on_nonfinite: "stop": the run ends by an error that names the step, its images and the largest gradients. It
            is raised a step later, but before anything is saved or evaluated, so that no step waits for the device.
            "skip": the step is left out, weights, optimizer and batch norms stay as they were, and a line says so; each
            step waits for the device.
    """

    def __init__(self, on_nonfinite: Literal["stop", "skip"] = "stop") -> None:
        self.on_nonfinite = on_nonfinite
        self.skipped = 0
        self.images: list[str] = []
        self.losses: list[Tensor] = []
        self.buffers: list[Tensor] = []
        self.last: Look | None = None
        self.constants: list[str] = []

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Note which tensors of the net are not finite as it is built, as masks of -inf are."""
        self.constants = nonfinite(pl_module.net.state_dict())

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Note the images of the step, and what the net's buffers were before it."""
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self.images, self.losses = [], []
            if self.on_nonfinite == "skip":
                self.buffers = [buffer.clone() for buffer in pl_module.net.buffers()]
        self.images += batch["name"]

    def on_before_backward(self, trainer: Trainer, pl_module: Any, loss: Tensor) -> None:
        """Note the loss."""
        self.losses.append(pl_module.train_loss)  # `loss` is scaled

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Optimizer) -> None:
        """Look at the gradients of this step, or judge those of the one before.

        Raises:
            UserError: Those of the step before were not finite, and the run is to stop.
        """
        self._stop_if_bad(trainer, pl_module)
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norms = torch.stack(torch._foreach_norm([p.grad for p in parameters]))
        finite = torch.isfinite(norms).all().to("cpu", non_blocking=True)
        ready = torch.cuda.current_stream().record_event() if norms.is_cuda else None
        look = Look(trainer.global_step, self.images, self.losses, parameters, norms, finite, ready)
        if self.on_nonfinite == "stop":
            self.last = look
        elif _bad(look, trainer):
            self._skip(look, pl_module)
            if _scaler(trainer) is None:  # which leaves the step out itself
                optimizer.zero_grad(set_to_none=True)  # what has no gradient is passed by

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Judge the last step before it is scored."""
        self._stop_if_bad(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Judge the last step before it is saved, and the net.

        Raises:
            UserError: The step's gradients, or the net's weights or buffers are not finite.
        """
        self._stop_if_bad(trainer, pl_module)
        check_weights(net_weights(checkpoint), f"step {trainer.global_step}, no checkpoint is saved", self.constants)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Judge the last step."""
        self._stop_if_bad(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """How many steps were skipped."""
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.skipped = state_dict["skipped"]

    def _stop_if_bad(self, trainer: Trainer, pl_module: nn.Module) -> None:
        look, self.last = self.last, None
        if look is not None and _bad(look, trainer):
            raise UserError(
                f"{complaint(look, pl_module)}: look at these images, lower the learning rate, clip gradients, "
                "or leave such steps out with --on_nonfinite skip"
            )

    def _skip(self, look: Look, pl_module: Any) -> None:
        for buffer, before in zip(pl_module.net.buffers(), self.buffers, strict=True):
            buffer.copy_(before)
        self.skipped += 1
        pl_module.print(terminal(f"{complaint(look, pl_module)}: left out, the {self.skipped}. such step"))


def _bad(look: Look, trainer: Trainer) -> bool:
    if look.ready is not None:
        look.ready.synchronize()
    if look.finite:
        return False
    if _scaler(trainer) is None:
        return True
    (processes,) = sum_over_ranks((~torch.isfinite(torch.stack(look.losses)).all()).long())
    return bool(processes)


def _scaler(trainer: Trainer) -> torch.amp.GradScaler | None:
    precision = trainer.precision_plugin
    return precision.scaler if isinstance(precision, MixedPrecision) else None


def complaint(look: Look, module: nn.Module) -> str:
    """What was not finite in a step: losses and images, of the processes to blame if that can be told, and gradients.

    All processes have to call it.
    """
    losses = [float(loss) for loss in look.losses]
    seen: list[Any] = [(losses, look.images)] * world_size()
    if len(seen) > 1:
        dist.all_gather_object(seen, seen[0])
    blamed = [process for process in seen if not all(map(math.isfinite, process[0]))] or seen
    images = ", ".join(name for _, names in blamed for name in names)
    values = ", ".join(f"{loss:.4g}" for losses, _ in blamed for loss in losses)
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    order = look.norms.nan_to_num(nan=torch.inf).topk(min(3, len(look.norms))).indices
    largest = ", ".join(f"{names[id(look.parameters[k])]} {look.norms[k]:.3g}" for k in order)
    return f"step {look.step}: loss {values} or gradient is not finite, images {images}, largest gradients {largest}"
