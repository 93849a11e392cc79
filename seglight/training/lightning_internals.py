"""Private names of Lightning, all in this file: a function or a class each, held by a test each.

`pyproject.toml` allows the minor release of Lightning that they were tested with. Before a later one is allowed,
`tests/training/test_lightning_internals.py` has to pass with it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar, WeightAveraging
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.strategies import ModelParallelStrategy, ParallelStrategy
from torch import Tensor, nn

from seglight.system.collector import no_collections
from seglight.system.parsing import NullsParser

UNSAVED = ("_last_global_step_saved", "_last_checkpoint_saved", "_defer_save_until_validation", "current_score")
"""Attributes that a `ModelCheckpoint` leaves out of its state.

Without the first three it would save a step again after a resume, or miss one.
"""

LOGGED_STEPS = "_batches_that_stepped"
"""The optimizer steps as loggers count them: the name of the attribute, and its key in the state of the loops."""


def use_signal_handlers(trainer: Trainer, install: Callable[[], None]) -> None:
    """Let a trainer install other signal handlers than its own, which save and communicate within a handler.

    Args:
        trainer: Trainer that has not begun to run.
        install: Function that is called in place of Lightning's.
    """
    connector: Any = trainer._signal_connector
    connector.register_signal_handlers = install


def skip_sigterm_broadcast(trainer: Trainer) -> None:
    """Leave out the broadcast by which Lightning asks at every step whether SIGTERM came: it waits for the device."""
    loop: Any = trainer.fit_loop.epoch_loop
    loop._broadcast_sigterm_tensor = lambda: None


def is_accumulating(trainer: Trainer) -> bool:
    """Whether the last batch added to gradients that no optimizer step has used yet."""
    return trainer.fit_loop.epoch_loop._should_accumulate()


def reload_train_loader(trainer: Trainer) -> None:
    """Have the training loader made again when the loop next asks for it."""
    trainer.fit_loop._combined_loader = None


def logged_steps(trainer: Trainer) -> int:
    """The optimizer steps of a run as loggers count them."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def set_logged_steps(trainer: Trainer, steps: int) -> None:
    """Set the optimizer steps of a run as loggers count them."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = steps


def write_logged_steps(fit_loop: dict[str, Any], steps: int) -> None:
    """Set the optimizer steps that loggers count in the state of a fit loop, which a checkpoint holds."""
    fit_loop["epoch_loop.state_dict"][LOGGED_STEPS] = steps


def logged_metrics(trainer: Trainer) -> dict[str, Tensor]:
    """The values that loggers get at this moment; the public `trainer.logged_metrics` has those of earlier steps too.

    All processes have to call it: means over an epoch are reduced over them.
    """
    return trainer._logger_connector.metrics["log"]


def give_values(trainer: Trainer, values: Mapping[str, float]) -> None:
    """Give values of an evaluation to loggers and monitors without `self.log`, which takes over a second for 1,000.

    Args:
        trainer: Trainer at the end of an evaluation.
        values: Value by key, the same on all processes.
    """
    tensors = torch.tensor(list(values.values())).unbind()  # views of one tensor, which a checkpoint holds once
    given: dict[str, Tensor] = dict(zip(values, tensors, strict=True))
    trainer.callback_metrics.update(given)
    trainer.logged_metrics.update(given)
    for logger in trainer.loggers:
        logger.log_metrics(dict(values), step=logged_steps(trainer))


def validation_seconds(trainer: Trainer) -> float | None:
    """The seconds between two validations where `val_check_interval` is a duration, else None."""
    seconds: float | None = trainer._val_check_time_interval  # type: ignore[attr-defined]
    return seconds


def set_validation_seconds(trainer: Trainer, seconds: float | None) -> None:
    """Set the seconds between two validations. None lets the intervals in batches and epochs decide."""
    trainer._val_check_time_interval = seconds  # type: ignore[attr-defined]


def unsaved_state(checkpoint: ModelCheckpoint) -> dict[str, Any]:
    """The attributes of a `ModelCheckpoint` that its state leaves out."""
    return {name: getattr(checkpoint, name) for name in UNSAVED}


def set_unsaved_state(checkpoint: ModelCheckpoint, state: dict[str, Any]) -> None:
    """Set the attributes of a `ModelCheckpoint` that its state leaves out."""
    for name, value in state.items():
        setattr(checkpoint, name, value)


def syncs_batch_norm(trainer: Trainer) -> bool:
    """Whether `sync_batchnorm` will replace the batch norms of the net."""
    strategy = trainer.strategy
    return isinstance(strategy, ParallelStrategy) and strategy._layer_sync is not None


def set_average_device(average: WeightAveraging, device: torch.device) -> None:
    """Choose the device that an average is kept on, before its `setup`."""
    average._device = device


def averaged_module(average: WeightAveraging) -> tuple[nn.Module, int] | None:
    """The average of the LightningModule and the number of updates it had, or None before a fit."""
    model = average._average_model
    return None if model is None else (model.module, int(model.n_averaged))


def set_data_parallel_size(strategy: ModelParallelStrategy, size: int) -> None:
    """Set the number of groups of processes that see different data, before the devices are arranged in a mesh."""
    strategy._data_parallel_size = size


class NamedEpochBar(RichProgressBar):
    """Rich progress bar whose description of a training epoch is a public method, and that disappears at the end.

    Lightning's stays, behind all that is printed at the end of a run.
    """

    def describe_epoch(self, epoch: int) -> str:
        """The text to the left of the bar.

        Args:
            epoch: Number of finished epochs.
        """
        return super()._get_train_description(epoch)

    def _get_train_description(self, current_epoch: int) -> str:
        return self.describe_epoch(current_epoch)

    def _stop_progress(self) -> None:
        if self.progress is not None:
            self.progress.live.transient = True
        super()._stop_progress()


class RecipeParser(LightningArgumentParser, NullsParser):
    """Lightning's parser, which understands null everywhere."""


class SubcommandCLI(LightningCLI):
    """LightningCLI whose subcommands run by public methods, and that takes no hyperparameters from a checkpoint.

    Lightning would put those over the recipe and the command line without a word.

    Attributes:
        command: The subcommand that will run, set before `__init__`. The parsers of others get no options, because it
            takes long to collect them. None: it is not known.
    """

    command: str | None = None

    def setup_parser(self, *args: Any) -> None:
        """Collect the options: many objects, which stay."""
        with no_collections():
            super().setup_parser(*args)

    def run_subcommand(self, subcommand: str) -> None:
        """Run the method of the trainer."""
        super()._run_subcommand(subcommand)

    def subcommand_arguments(self, subcommand: str) -> dict[str, Any]:
        """The arguments of the method of the trainer."""
        return super()._prepare_subcommand_kwargs(subcommand)

    def subcommand_parser(self, subcommand: str) -> LightningArgumentParser:
        """The parser of a subcommand."""
        return self._parser(subcommand)

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        if self.command in (None, subcommand):
            return super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        return self.init_parser(**kwargs)

    def _run_subcommand(self, subcommand: str) -> None:
        self.run_subcommand(subcommand)

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        return self.subcommand_arguments(subcommand)

    def _parse_ckpt_path(self) -> None:
        pass
