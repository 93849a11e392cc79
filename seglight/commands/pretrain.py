"""Pre-train an encoder by classification; it writes weights that `TimmEncoder` can load."""

import logging
import math
import sys
from contextlib import ExitStack
from functools import partial
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from safetensors.torch import save_file

from seglight.data.datasets.labelled_images import LabelledImagesDataModule
from seglight.errors import UserError, say
from seglight.system.atomic import atomic_path
from seglight.system.class_paths import check_parsed, class_rules
from seglight.system.help_pages import asks_help, listing, paragraph, rows, with_parser_help
from seglight.system.parsing import parser_errors
from seglight.system.recipe_classes import LABELLED, OPTIMIZERS, names_of, with_class_paths
from seglight.system.recipe_files import config_paths, read_recipe
from seglight.system.run_files import CHECKPOINTS
from seglight.system.terminal import plain_console
from seglight.training.classification import ClassificationModule
from seglight.training.launch import claimed_run_dir
from seglight.training.resume.folder import default_run_dir
from seglight.training.trainer_arguments import (
    check_arguments,
    check_machine,
    check_seed,
    check_trainer,
    refusals_in_one_line,
)

WEIGHTS = "encoder.safetensors"
"""File with the weights, in the run folder."""


USAGE = "usage: seglight pretrain -c RECIPE [--run_dir DIR] [--KEY VALUE ...]\n"
OPTIONS = (
    ("-c, --config FILE", "recipe; may be given several times"),
    ("--run_dir DIR", "folder of the run; default: runs/RECIPE/TIME"),
    ("--ckpt_path FILE", "checkpoint of a run to resume"),
    ("--data CLASS, --data.root DIR", "data set and its folder; --data.size N, --data.batch_size N"),
    ("--model.name NAME", "encoder of timm: `seglight models WORD` lists them"),
    ("--model.optimizer.lr RATE", "learning rate; --model.schedule.warmup_steps N"),
    ("--trainer.max_epochs N", "length; also --trainer.devices N, --trainer.precision bf16-mixed"),
    ("--help_all", "every option, in hundreds of lines"),
)
EXAMPLE = (
    "example:\n"
    "  seglight pretrain --data ImageFolderDataModule --data.root DIR --model.name resnet18 --run_dir runs/r18\n"
)


class ClassificationCLI(LightningCLI):
    """Parses the recipe and builds module, data module and trainer; `train` runs them.

    Args:
        args: Arguments that follow the name of the command.
        claims: Stack that releases the run folder.
    """

    def __init__(self, args: list[str], claims: ExitStack) -> None:
        self.claims = claims
        with class_rules():
            super().__init__(
                ClassificationModule,
                LabelledImagesDataModule,
                subclass_mode_data=True,
                save_config_callback=None,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
                seed_everything_default=0,
                trainer_defaults={"use_distributed_sampler": False, "enable_model_summary": False},
                parser_kwargs={"exit_on_error": False, "prog": "seglight pretrain", "description": __doc__},
                run=False,
                args=args,
            )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add --run_dir and --ckpt_path, and link the number of classes and the seed."""
        parser.add_argument("--run_dir", type=str | None, default=None, help="folder for all files of the run")
        parser.add_argument("--ckpt_path", type=str | None, default=None, help="checkpoint of a run to resume")
        parser.link_arguments("data.num_classes", "model.num_classes", apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.init_args.seed", compute_fn=int)

    def parse_arguments(self, parser: LightningArgumentParser, args: list[str]) -> None:  # type: ignore[override]
        """Parse without Lightning's warning that `args` is meant for Python."""
        with parser_errors("seglight pretrain", parser=parser):
            self.config = parser.parse_args(args)
        check_parsed(self.config)
        check_seed(self.config.seed_everything)
        check_arguments(self.config.trainer.as_dict(), "fit")

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Build a trainer that writes all files to the run folder."""
        proposal = default_run_dir([str(path) for path in self.config.config or []])
        root = self.config.get("data.init_args.root")
        resumes = self.config.ckpt_path is not None
        self.run_dir = self.claims.enter_context(claimed_run_dir(self.config.run_dir, proposal, root, resumes))
        if (self.run_dir / WEIGHTS).exists():
            raise UserError(f"{self.run_dir} holds a run already: choose another --run_dir")
        checkpoint = partial(
            ModelCheckpoint, self.run_dir / CHECKPOINTS, auto_insert_metric_name=False, enable_version_counter=False
        )
        own = [checkpoint("best", monitor="val/acc", mode="max"), checkpoint("last", save_on_train_epoch_end=True)]
        logger = TensorBoardLogger(self.run_dir, name="", version="", default_hp_metric=False)
        callbacks = [*(self.config_init.trainer.callbacks or []), *own]
        options = self.config_init.trainer
        check_machine(options)
        with refusals_in_one_line():
            trainer = super().instantiate_trainer(
                logger=logger, callbacks=callbacks, default_root_dir=str(self.run_dir)
            )
        check_trainer(trainer, options)
        return trainer


def help_page() -> str:
    """What `pretrain --help` prints."""
    data = listing("data sets (--data)", names_of(LABELLED))
    optimizers = listing("optimizers (--model.optimizer)", names_of(OPTIMIZERS))
    about = paragraph(str(__doc__))
    return f"{USAGE}\n{about}\n\noptions used most:\n{rows(OPTIONS)}\n\n{data}\n{optimizers}\n\n{EXAMPLE}"


def main(args: list[str]) -> None:
    """Run `pretrain`, or print its help.

    Raises:
        UserError: The recipe or the data is wrong.
    """
    if asks_help(args):
        sys.stdout.write(help_page())
        return
    args = with_parser_help(args)
    for name in ("lightning.pytorch", "lightning.fabric"):  # about seeds and unused devices, and advertisements
        logging.getLogger(name).setLevel(logging.WARNING)
    with ExitStack() as claims:
        with parser_errors("seglight pretrain"):
            for config in config_paths(args):
                read_recipe(config)
            cli = ClassificationCLI(with_class_paths(args[1:]), claims)
        train(cli)


def train(cli: ClassificationCLI) -> None:
    """Train, and write the weights of the encoder."""
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=cli.config.ckpt_path, weights_only=True)
    if cli.config.trainer.fast_dev_run:
        say("fast_dev_run: pretrain completed; its weights are not written")
    elif cli.trainer.is_global_zero:
        path = cli.run_dir / WEIGHTS
        with atomic_path(path) as part:
            save_file(cli.model.encoder_weights(), part)
        accuracy = float(cli.trainer.callback_metrics.get("val/acc", math.nan))  # limit_val_batches may be 0
        plain_console().print(
            f"val/acc {accuracy:.4f}\nweights     {path}\n"
            "next        encoder: {class_path: seglight.models.TimmEncoder, "
            f"init_args: {{name: {cli.config.model.name}, weights: {path}}}}}"
        )
