"""Which arguments of Lightning's Trainer work in `fit`, `validate` and `test`, and with which values.

What does not work is refused in one line: by its value before anything is built, by the finished Trainer before
anything is written. The table of `docs/tasks/lightning.md` is that of `ARGUMENTS`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.strategies import ParallelStrategy

from seglight.errors import UserError, one_line, user_error_behind
from seglight.training import trainer_values as values
from seglight.training.trainer_values import Complaint, Options

LARGEST = 2**63 - 1
"""Largest integer of torch."""

PROCESSES_A_CORE = 4
"""Maximum number of CPU processes per core: with a mistyped number, all of them would start before anything fails."""


class Argument(NamedTuple):
    """An argument of the Trainer.

    Attributes:
        verdict: Description of what works and what is refused.
        complaint: Function that returns why a value is refused, or None.
    """

    verdict: str
    complaint: Complaint


ARGUMENTS = {
    "accelerator": Argument(
        "works: auto, cpu, gpu, cuda, mps; accelerators that are not available, and all others, are refused",
        values.accelerator,
    ),
    "strategy": Argument(
        "works: auto, ddp, ddp_fork and configs/cluster/fsdp.yaml; strategies that spawn processes or need a TPU, a "
        "GPU or a package that is not available are refused",
        values.strategy,
    ),
    "devices": Argument(
        "works: a number, a list or auto; on the CPU the number of processes, at most four per core", values.devices
    ),
    "num_nodes": Argument(
        "works: from 1; several nodes need a launcher that provides their addresses",
        values.whole_number("num_nodes", 1, none=False),
    ),
    "precision": Argument(
        "works: 32-true, 16-mixed, bf16-mixed; weights of 16 or 64 bits are refused", values.precision
    ),
    "logger": Argument("works: see the table of loggers", values.anything),
    "callbacks": Argument("works: see the table of callbacks", values.anything),
    "fast_dev_run": Argument(
        "works: true or a number of batches; all files are written to a temporary folder that is removed afterwards",
        values.fast_dev_run,
    ),
    "max_epochs": Argument(
        "works: from 1, or -1 with max_steps; null means 1000 epochs, and is refused together with max_time unless "
        "max_steps is given",
        values.max_epochs,
    ),
    "min_epochs": Argument("works: from 0 to max_epochs", values.minimum("epochs")),
    "max_steps": Argument(
        "works: from 1, -1 for no limit; with max_epochs, the limit that is reached first applies", values.max_steps
    ),
    "min_steps": Argument("works: from 0 to max_steps", values.minimum("steps")),
    "max_time": Argument("works: above zero, together with max_epochs or max_steps", values.max_time),
    "limit_train_batches": Argument(
        "works: a number of batches from 1, or a fraction of at least one batch", values.limit("train", "fit")
    ),
    "limit_val_batches": Argument(
        "works: a number of batches, or a fraction of at least one batch; 0 trains without validation and is refused "
        "by `validate`",
        values.limit("val", "validate"),
    ),
    "limit_test_batches": Argument(
        "works: a number of batches from 1, or a fraction of at least one batch", values.limit("test", "test")
    ),
    "limit_predict_batches": Argument("works in `Trainer.predict`", values.limit("predict", "")),
    "overfit_batches": Argument(
        "works: trains on the first batches of the split with the same crops in each epoch, and validates on the same "
        "number of batches; refused together with a different limit_train_batches or limit_val_batches",
        values.overfit_batches,
    ),
    "val_check_interval": Argument(
        "works: a number of batches from 1, a fraction of the epoch above 0.0, or a time; more batches than an epoch "
        "has require check_val_every_n_epoch null",
        values.val_check_interval,
    ),
    "check_val_every_n_epoch": Argument(
        "works: from 1; with null, val_check_interval is counted across epochs",
        values.whole_number("check_val_every_n_epoch", 1),
    ),
    "num_sanity_val_steps": Argument(
        "works: from 0, -1 for the whole split", values.whole_number("num_sanity_val_steps", -1)
    ),
    "log_every_n_steps": Argument("works: from 1; 0 logs no step", values.whole_number("log_every_n_steps", 0)),
    "enable_checkpointing": Argument(
        "works: with false no checkpoint is written, and the run cannot be resumed", values.anything
    ),
    "enable_progress_bar": Argument("works", values.anything),
    "enable_model_summary": Argument("works; off by default", values.anything),
    "accumulate_grad_batches": Argument(
        "works: from 1; the loss is the mean over all labelled pixels of the accumulated batches",
        values.whole_number("accumulate_grad_batches", 1, none=False),
    ),
    "gradient_clip_val": Argument("works: above 0; 0 and null disable clipping", values.gradient_clip_val),
    "gradient_clip_algorithm": Argument(
        "works: norm or value, together with gradient_clip_val", values.gradient_clip_algorithm
    ),
    "deterministic": Argument("works: true, false or warn", values.anything),
    "benchmark": Argument("works", values.anything),
    "inference_mode": Argument("works", values.anything),
    "use_distributed_sampler": Argument(
        "refused with several processes: the data module distributes the images itself, each of them once",
        values.anything,
    ),
    "profiler": Argument("works: simple, advanced, pytorch; xla is refused", values.profiler),
    "detect_anomaly": Argument("works", values.anything),
    "barebones": Argument("refused: it disables the logs, checkpoints and scores that every run has", values.barebones),
    "plugins": Argument(
        "works: precision of float32 weights, cluster environments, layer synchronisation; a CheckpointIO is refused",
        values.plugins,
    ),
    "sync_batchnorm": Argument("works on GPUs; refused with several CPU processes", values.anything),
    "reload_dataloaders_every_n_epochs": Argument(
        "works: from 0", values.whole_number("reload_dataloaders_every_n_epochs", 0, none=False)
    ),
    "default_root_dir": Argument("refused: all files of a run are written to --run_dir", values.default_root_dir),
    "enable_autolog_hparams": Argument("works", values.anything),
    "model_registry": Argument("refused: no model is uploaded or downloaded", values.model_registry),
}
"""All arguments of `Trainer.__init__`, in its order."""


def check_arguments(options: Options, command: str) -> None:
    """Check the arguments of the Trainer, each and together.

    Args:
        options: All arguments by name, as parsed; classes are dicts with `class_path` and `init_args`.
        command: "fit", "validate" or "test"; limits of a training are only checked for `fit`.

    Raises:
        UserError: An argument is refused; the line names it, its value, and what to do.
    """
    if not options:
        raise UserError("trainer: null: give arguments of the Trainer as keys below it, or remove the key")
    for name, argument in ARGUMENTS.items():
        complaint = argument.complaint(options, command)
        if complaint is not None:
            raise UserError(f"trainer.{name} {_shown(options[name])}: {complaint}")
        if name != "gradient_clip_val" and _too_large(options[name]):  # a bound may be any
            raise UserError(f"trainer.{name} {_shown(options[name])}: give whole numbers up to {LARGEST}")


def _too_large(value: Any) -> bool:
    """Whether a value is, or a list contains, a number beyond torch's integers."""
    if isinstance(value, list):
        return any(map(_too_large, value))
    return isinstance(value, int | float) and abs(value) > LARGEST


def check_machine(options: Options) -> None:
    """Check that this machine has the devices that the Trainer needs.

    Args:
        options: As in `check_arguments`.

    Raises:
        UserError: The accelerator is not available, or there are too few cores.
    """
    name, devices = options["accelerator"], str(options["devices"])
    there = {"gpu": torch.cuda.is_available() or torch.backends.mps.is_available()}
    there |= {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(name, True):
        raise UserError(f"trainer.accelerator {name}: torch finds none on this machine: use auto or cpu")
    cores = os.cpu_count() or 1
    if name == "cpu" and devices.isdecimal() and int(devices) > PROCESSES_A_CORE * cores:
        raise UserError(
            f"trainer.devices {devices}: so many processes on {cores} cores: give at most {PROCESSES_A_CORE * cores}"
        )


def check_seed(seed: Any) -> None:
    """Check that random generators accept a seed.

    Args:
        seed: Value of `seed_everything`: a number, or true for 0 and false for none.

    Raises:
        UserError: The seed is out of range.
    """
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f"seed_everything {_shown(seed)}: give a whole number from 0 to {2**32 - 1}")


def _shown(value: Any) -> str:
    """Format a value as in YAML."""
    return {"True": "true", "False": "false", "None": "null"}.get(str(value), str(value))


@contextmanager
def refusals_in_one_line() -> Iterator[None]:
    """Report any error within the block, in which a Trainer is built, in one line.

    Raises:
        UserError: Instead of any exception, because each is due to a value of the recipe.
    """
    try:
        yield
    except Exception as error:
        raise (user_error_behind(error) or UserError(f"trainer: {one_line(error)}")) from error


def check_trainer(trainer: Trainer, options: Options) -> None:
    """Check what is only known of the finished Trainer.

    Args:
        trainer: Trainer built from the options.
        options: As in `check_arguments`.

    Raises:
        UserError: The processes would not find each other, or not share the work.
    """
    processes = trainer.num_devices * trainer.num_nodes
    on_cpu = isinstance(trainer.accelerator, CPUAccelerator)
    if options["use_distributed_sampler"] and processes > 1:
        raise UserError(
            "trainer.use_distributed_sampler true: the data module distributes the images itself, each of them once: "
            "take it out"
        )
    if options["sync_batchnorm"] and processes > 1 and on_cpu:
        raise UserError("trainer.sync_batchnorm: torch supports it on GPUs only: remove it, or use another accelerator")
    strategy = trainer.strategy
    environment = strategy.cluster_environment if isinstance(strategy, ParallelStrategy) else None
    if trainer.num_nodes > 1 and type(environment) is LightningEnvironment and "MASTER_ADDR" not in os.environ:
        raise UserError(
            f"trainer.num_nodes {trainer.num_nodes}: no address of the other nodes is given: start it by torchrun or "
            "srun, or set MASTER_ADDR, MASTER_PORT and NODE_RANK"
        )
