"""Callback that writes exact checkpoints: a resumed run has the weights of an uninterrupted one, to the last bit."""

import time
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler, ModelCheckpoint, WeightAveraging
from lightning.pytorch.strategies import ParallelStrategy

from seglight.callbacks.best_checkpoint import BestCheckpoint
from seglight.checkpoints.writer import CheckpointFiles
from seglight.errors import UserError, say
from seglight.system.run_files import CHECKPOINTS, LAST
from seglight.system.signals import EXIT_CODE, STOP
from seglight.training import lightning_internals as internals
from seglight.training.resume.environment_fingerprint import describe_changes, environment_fingerprint
from seglight.training.resume.evaluation_state import evaluation_state, set_evaluation_state
from seglight.training.resume.folder import relocated
from seglight.training.resume.position import Position, position_of, rescaled_position, write_position
from seglight.training.resume.random_states import random_states, set_random_states

KEY = "exact"
"""Key in a checkpoint of the state that an exact resume needs beside that of Lightning."""

SAVE = 1
LEAVE = 2
"""Decisions that the processes agree on; 0: neither."""


class ExactCheckpoint(Callback):
    """Writes `checkpoints/last.ckpt`, between two steps or two batches of an evaluation.

    It is written at the given intervals, at the end, and after SIGTERM, SIGUSR1 or Ctrl-C: the processes agree, save,
    and end with exit code 75. It has to be the first callback: it saves before the others process a batch, and
    restores their state at the same place.

    Args:
        every_n_steps: Optimizer steps between two checkpoints; None: not by steps.
        every_n_minutes: Minutes between two checkpoints; None: not by time.
    """

    def __init__(self, every_n_steps: int | None = None, every_n_minutes: float | None = 5.0) -> None:
        self.every_n_steps = every_n_steps
        self.every_n_minutes = every_n_minutes
        self.saved_at = time.monotonic()
        self.saved_step = 0
        self.position: Position | None = None
        """Position of the run while an exact checkpoint is written, otherwise None."""
        self.finished = False
        self.loaded: dict[str, Any] | None = None
        """Content of the checkpoint under `KEY`, until the run has reached the position where it was saved."""
        self.ballot: tuple[torch.Tensor, Any] | None = None
        self.group: Any = None
        self.common_batches = 0
        self.steps_lifted = False

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Install the signal handlers: those of Lightning save and communicate within a handler."""
        self.path = Path(trainer.default_root_dir) / CHECKPOINTS / LAST
        STOP.install()
        internals.use_signal_handlers(trainer, STOP.install)

    def teardown(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Restore the signal handlers."""
        STOP.restore()

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Create a process group that does not wait for a GPU."""
        if trainer.world_size > 1:
            self.group = dist.new_group(backend="gloo")
            internals.skip_sigterm_broadcast(trainer)  # `_vote` does the same without a wait
        if self.loaded is not None and self.loaded["position"]["evaluated"] is not None:
            self._lift_steps(trainer, self.loaded["step"])
        self.saved_at = time.monotonic()

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Save or leave between two steps."""
        self._restore(trainer, pl_module)
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._save_or_leave(trainer, pl_module, None)

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Compute how many batches all processes have: after them, no process may wait for the others."""
        least = torch.tensor(int(sum(trainer.num_val_batches)))
        if self.group is not None:
            dist.all_reduce(least, dist.ReduceOp.MIN, group=self.group)
        self.common_batches = int(least)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Save or leave between two batches of an evaluation."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self._restore(trainer, pl_module)
        evaluated = trainer.fit_loop.epoch_loop.val_loop.batch_progress.current.completed
        if evaluated < self.common_batches and not internals.is_accumulating(trainer):
            self._save_or_leave(trainer, pl_module, evaluated)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """End a run that was continued only for this evaluation."""
        if self.steps_lifted:
            self.steps_lifted = False
            trainer.fit_loop.epoch_loop.max_steps -= 1

    def _lift_steps(self, trainer: Trainer, step: int) -> None:
        # Lightning's loop ends before an evaluation that was interrupted after the last of `max_steps`
        if trainer.max_steps != -1 and step >= trainer.max_steps:
            self.steps_lifted = True
            trainer.fit_loop.epoch_loop.max_steps = step + 1

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Save the finished run; a checkpoint that can't be written is an error only here."""
        if self.ballot is not None:
            self.ballot[1].wait()
        self.finished = True
        self._save(trainer, pl_module, None)
        files = trainer.strategy.checkpoint_io
        if isinstance(files, CheckpointFiles):
            files.wait()
            if files.error is not None:
                raise UserError(
                    f"{self.path}: the finished run could not be saved ({files.error.strerror}): free some space, then "
                    f"resume with fit --run_dir {trainer.default_root_dir} --resume"
                )

    def _save_or_leave(self, trainer: Trainer, pl_module: Any, evaluated: int | None) -> None:
        """Save or leave, if the processes agree on it."""
        step = trainer.global_step
        by_step = self.every_n_steps is not None and step % self.every_n_steps == 0 and step > self.saved_step
        decision = max(self._vote(self._own_decision(trainer)), SAVE if by_step and evaluated is None else 0)
        if decision:
            self._save(trainer, pl_module, evaluated)
        if decision == LEAVE:
            self._leave(trainer)

    def _own_decision(self, trainer: Trainer) -> int:
        if STOP.received is not None:
            return LEAVE
        due = self.every_n_minutes is not None and time.monotonic() - self.saved_at >= 60 * self.every_n_minutes
        return SAVE if due and trainer.is_global_zero else 0

    def _vote(self, own: int) -> int:
        """The strongest decision of all processes; of several, the one of a batch ago, so that none of them waits."""
        if self.group is None:
            return own
        decision = 0
        if self.ballot is not None:
            votes, work = self.ballot
            work.wait()
            decision = int(votes)
        votes = torch.tensor(own if decision == 0 else 0)  # a decision that is carried out now is not counted again
        self.ballot = votes, dist.all_reduce(votes, dist.ReduceOp.MAX, group=self.group, async_op=True)
        return decision

    def _save(self, trainer: Trainer, pl_module: Any, evaluated: int | None) -> None:
        averages = [callback for callback in callbacks_of(trainer) if isinstance(callback, WeightAveraging)]
        self.position = position_of(trainer, trainer.datamodule.batch_size, evaluated)  # type: ignore[attr-defined]
        for average in averages if evaluated is not None else []:  # within an evaluation, the average is in the net
            average.on_validation_epoch_end(trainer, pl_module)
        trainer.save_checkpoint(self.path)
        for average in averages if evaluated is not None else []:
            average.on_validation_epoch_start(trainer, pl_module)
        self.position = None
        self.saved_at = time.monotonic()
        self.saved_step = trainer.global_step

    def _leave(self, trainer: Trainer) -> None:
        files = trainer.strategy.checkpoint_io
        if isinstance(files, CheckpointFiles):
            files.wait()
        if trainer.is_global_zero:
            reason = "another process received a signal" if STOP.received is None else STOP.received.name
            say(
                f"stopped after step {trainer.global_step} ({reason}): resume with "
                f"fit --run_dir {trainer.default_root_dir} --resume"
            )
        strategy = trainer.strategy
        environment = strategy.cluster_environment if isinstance(strategy, ParallelStrategy) else None
        launched_here = environment is not None and not environment.creates_processes_externally
        # Lightning kills the launching process if one of the others ends with another code than 0
        raise SystemExit(0 if launched_here and trainer.local_rank > 0 else EXIT_CODE)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the state that an exact resume needs, if this is an exact checkpoint."""
        if self.position is None:
            return
        write_position(checkpoint["loops"]["fit_loop"], self.position)
        own: dict[str, Any] = {
            "random": random_states(pl_module.device),
            "callbacks": {callback.state_key: callback.state_dict() for callback in callbacks_of(trainer)},
            "model_checkpoints": {
                callback.state_key: internals.unsaved_state(callback)
                for callback in callbacks_of(trainer)
                if isinstance(callback, ModelCheckpoint)
            },
            # monitors use them at the end of an epoch
            "metrics": {key: torch.as_tensor(value).detach().cpu() for key, value in trainer.callback_metrics.items()},
        }
        if self.position["evaluated"] is not None:
            own["evaluation"] = evaluation_state(pl_module)
        shares: list[Any] = [own] * trainer.world_size
        if self.group is not None:
            dist.all_gather_object(shares, own, group=self.group)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        checkpoint[KEY] = {
            "position": self.position,
            "processes": shares,
            "batch_sizes": [data.batch_size, data.eval_batch_size],
            "finished": self.finished,
            "torch": str(torch.__version__),
            "surroundings": environment_fingerprint(data, pl_module.device),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Set the loops and the data to the position where the run was saved."""
        if KEY not in checkpoint:
            return
        self._relocate(trainer, checkpoint)
        self.loaded = deepcopy(checkpoint[KEY]) | {"step": checkpoint["global_step"]}
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        change = describe_changes(
            self.loaded["surroundings"], environment_fingerprint(data, trainer.strategy.root_device)
        )
        if change and trainer.is_global_zero:
            say(change)
        position, processes = self.loaded["position"], self.loaded["processes"]
        (batch_size, eval_batch_size), count = self.loaded["batch_sizes"], trainer.world_size
        if (len(processes), batch_size) != (count, data.batch_size):
            samples = len(data.splits["train"])
            position = rescaled_position(
                position, samples, count * data.batch_size, samples // count // data.batch_size
            )
            if trainer.is_global_zero:
                say(
                    f"{count} x {data.batch_size} samples per step instead of {len(processes)} x {batch_size}: the "
                    "order of samples stays the same; the batches, their statistics, the steps of the schedule and the "
                    "random numbers of new processes change"
                )
        if position["evaluated"] and (len(processes) != count or eval_batch_size != data.eval_batch_size):
            position["evaluated"] = 0
        if position["evaluated"] == 0:  # the evaluation starts again, and so do its callbacks
            self.loaded["processes"] = [{"random": own["random"]} for own in processes]
        self.loaded["position"] = position
        write_position(checkpoint["loops"]["fit_loop"], position)
        data.start_at(position["epoch"], position["samples"], position["evaluated"] or 0)
        warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch")  # exactly
        internals.reload_train_loader(trainer)  # FSDP restores after the loader was first asked for

    def _relocate(self, trainer: Trainer, checkpoint: dict[str, Any]) -> None:
        """Let each ModelCheckpoint find its state if the folder was moved, or if an earlier version wrote it."""
        best = next((callback for callback in callbacks_of(trainer) if isinstance(callback, BestCheckpoint)), None)
        if best is None:
            return
        processes, folder = checkpoint[KEY]["processes"], str(self.path.parent.resolve())
        parts = [own[part] for own in processes for part in ("callbacks", "model_checkpoints") if part in own]
        parts = list({id(states): states for states in (checkpoint["callbacks"], *parts)}.values())
        for states in parts:
            if best.state_key not in states and best.former_state_key in states:
                states[best.state_key] = states.pop(best.former_state_key)
        before = checkpoint["callbacks"].get(best.state_key, {}).get("dirpath", folder)
        for states in parts:
            for callback in callbacks_of(trainer):
                if isinstance(callback, ModelCheckpoint) and callback.state_key in states:
                    states[callback.state_key] = relocated(states[callback.state_key], before, folder)

    def _restore(self, trainer: Trainer, pl_module: Any) -> None:
        """Restore the state once, at the saved position: the start of the loops has changed some of it."""
        if self.loaded is None:
            return
        loaded, self.loaded = self.loaded, None
        if loaded["position"]["evaluated"] is None:
            internals.set_logged_steps(trainer, loaded["position"]["logged"])
        if trainer.global_rank >= len(loaded["processes"]):
            return
        own = loaded["processes"][trainer.global_rank]
        set_random_states(own["random"], pl_module.device)
        trainer.callback_metrics.update(own.get("metrics", {}))
        for callback in callbacks_of(trainer):
            if isinstance(callback, GradientAccumulationScheduler):  # it acts only at the start of an epoch
                trainer.accumulate_grad_batches = callback.get_accumulate_grad_batches(trainer.current_epoch)
            if isinstance(callback, ModelCheckpoint):
                internals.set_unsaved_state(callback, own.get("model_checkpoints", {}).get(callback.state_key, {}))
            if own.get("callbacks", {}).get(callback.state_key):
                callback.load_state_dict(own["callbacks"][callback.state_key])
        if "evaluation" in own:
            set_evaluation_state(pl_module, own["evaluation"])


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """Callbacks of a trainer, an attribute that type checkers do not see."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return callbacks
