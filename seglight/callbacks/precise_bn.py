"""Callback that estimates the statistics of batch norms over many batches before each validation."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from seglight.system.ranks import sum_over_ranks


class PreciseBN(Callback):
    """Estimates the running statistics of batch norms before each validation (arXiv 2105.07576, section 3).

    Training computes a moving average over nets that have changed since. Here the present net processes the same
    augmented training batches each time, in evaluation mode except for its batch norms, and the mean and variance of
    their inputs over all batches replace the moving average. Place it after EMA or SWA, so that it estimates the
    statistics of the averaged weights, which no training batch has passed through.

    Args:
        batches: Number of training batches of each process.
    """

    def __init__(self, batches: int = 200) -> None:
        self.batches = batches

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Estimate the statistics, except before the sanity check."""
        norms = [m for m in pl_module.net.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
        if trainer.state.fn != "fit" or trainer.sanity_checking or not norms:
            return
        devices = [pl_module.device] if pl_module.device.type == "cuda" else []
        with torch.random.fork_rng(devices), estimating(norms), trainer.precision_plugin.train_step_context():
            loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
            loader.sampler.start_at(0, 0)  # a run that resumes within an epoch takes the same batches
            for batch in islice(loader, self.batches):
                pl_module(batch["image"].to(pl_module.device))


@contextmanager
def estimating(norms: list[_BatchNorm]) -> Iterator[None]:
    """Let batch norms use batch statistics within the block, and set their statistics over all batches after it."""
    modes = [norm.training for norm in norms]
    device = next(norms[0].buffers()).device
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64, device=device) for norm in norms}

    def add(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].transpose(0, 1).flatten(1).float()
        variance, mean = torch.var_mean(x, 1, correction=0)
        sums[norm] += x.shape[1] * torch.stack((torch.ones_like(mean), mean, variance + mean**2))  # type: ignore[index]

    hooks = [norm.register_forward_pre_hook(add) for norm in norms]
    saved = [{key: value.clone() for key, value in norm.named_buffers()} for norm in norms]
    for norm in norms:
        norm.train()
    try:
        with torch.no_grad():
            yield
    finally:
        for norm, mode, buffers, hook in zip(norms, modes, saved, hooks, strict=True):
            hook.remove()
            norm.train(mode)
            for key, value in norm.named_buffers():
                value.copy_(buffers[key])
    for norm, total in zip(norms, sum_over_ranks(*sums.values()), strict=True):
        count, first, second = total
        if count[0] > 0:
            norm.running_mean.copy_(first / count)  # type: ignore[union-attr]
            norm.running_var.copy_(second / count - (first / count) ** 2)  # type: ignore[union-attr]
