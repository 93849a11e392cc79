"""fit, validate, test: LightningCLI with the data's facts linked to the module, run folders and one-line errors."""

import logging
import shlex
import warnings
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.callbacks import ProgressBar as AnyProgressBar
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import TensorBoardLogger

from seglight.callbacks import (
    ConfusionFigure,
    Environment,
    ExactCheckpoint,
    ImagePanels,
    ImageScores,
    LabelledPixels,
    MetricsFile,
    NonFinite,
    Preflight,
    ProgressBar,
    RunReport,
    ShortRuns,
    Throughput,
)
from seglight.callbacks.best_checkpoint import BestCheckpoint
from seglight.checkpoints.checkpoint import load_weights, read_checkpoint, without_encoder_weights
from seglight.checkpoints.model_card import KEY, ModelCard
from seglight.checkpoints.writer import CheckpointFiles
from seglight.commands.doctor.quick import quick_check
from seglight.commands.recipe import config_paths, data_options, read_recipe
from seglight.data import SegmentationDataModule
from seglight.errors import UserError, say, user_error_behind
from seglight.interfaces import Inferer
from seglight.models.ensemble import in_full
from seglight.system.class_paths import check_parsed, class_rules
from seglight.system.parsing import parser_errors
from seglight.system.run_files import CHECKPOINTS, ENVIRONMENT_FILE, LAST, METRICS_FILE, RECIPE_FILE
from seglight.system.signals import SCHEDULERS, STOP
from seglight.training import before_run, former_recipes
from seglight.training.launch import check_processes, claimed_run_dir, launcher
from seglight.training.lightning_internals import SubcommandCLI
from seglight.training.profiler import RunTimes
from seglight.training.resume import resume
from seglight.training.resume.folder import check_scored, default_run_dir, flat, folder_of_scores
from seglight.training.resume.random_states import random_states, set_random_states
from seglight.training.semantic import SegmentationModule
from seglight.training.trainer_arguments import (
    check_arguments,
    check_machine,
    check_seed,
    check_trainer,
    refusals_in_one_line,
)

UNWANTED: dict[str, dict[str, Any]] = {
    ".*LeafSpec.*deprecated": {"module": "lightning"},  # theirs to fix
    # the state of best.ckpt had this key in earlier versions, and is found all the same
    ".* add the following callbacks: ..ModelCheckpoint.'monitor': 'val/miou'[^{]*$": {},
    "The number of training batches .* smaller than the logging interval": {},  # ShortRuns
    r"\s*Dump of a value that does not round-trip: a tuple": {},  # albumentations' ranges
    "Checkpoint directory .* exists and is not empty": {},  # when a run resumes
    "The `srun` command is available": {},  # said where it is wrong, and only there
}
"""Warnings of Lightning that are not shown: the beginning of their text, and options of the filter."""

FACTS = ("num_classes", "ignore_index", "class_names", "palette")
"""Facts about the data that the data module knows, and the module gets from it."""


class Built(NamedTuple):
    """What was built in Python, and is trained or scored as it is."""

    module: SegmentationModule
    data: SegmentationDataModule


class SegmentationCLI(SubcommandCLI):
    """One command: parse, build, run.

    Args:
        args: Name of the command and its options.
        built: Module and data module that were built in Python; `args` describe them. None: they are built from `args`.
        temporary: Whether the run folder of an evaluation is removed after it.
    """

    def __init__(self, args: list[str], built: Built | None = None, temporary: bool = False) -> None:
        self.built = built
        self.temporary = temporary
        self.generators = random_states(torch.device("cpu"))
        self.see = shlex.join(["seglight", "doctor", *data_options(args)])
        # errors come up as exceptions, to be shown in one line; a misspelt option is not completed to another one
        strict = {"exit_on_error": False, "allow_abbrev": False}
        with class_rules(), ExitStack() as self.claims:
            super().__init__(
                SegmentationModule,
                SegmentationDataModule,
                subclass_mode_data=True,
                save_config_callback=None,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
                seed_everything_default=0,
                # order and shares are the data module's: Lightning's own sampler would count images twice
                trainer_defaults={"use_distributed_sampler": False, "enable_model_summary": False},
                parser_kwargs={**strict, **{name: dict(strict) for name in self.subcommands()}},
                args=args,
            )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The commands and the arguments of Trainer's methods that are not the user's."""
        given = {"model", "datamodule", "weights_only"}
        return {
            "fit": given | {"train_dataloaders", "val_dataloaders"},
            "validate": given | {"dataloaders", "verbose"},
            "test": given | {"dataloaders", "verbose"},
        }

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add --run_dir and --resume, and link the data's facts to the module and the seed to the data."""
        parser.add_argument("--run_dir", type=str | None, default=None, help="where everything of the run goes")
        about = "fit: go on with the run in --run_dir, or start it; 'force': with a recipe that has changed"
        parser.add_argument("--resume", type=Literal["exact", "force"] | None, nargs="?", const="exact", help=about)
        about = "how images are evaluated, such as seglight.inference.SlidingWindow; none: each whole, in one pass"
        parser.add_argument("--inferer", type=Inferer | None, help=about)
        parser.add_argument("--seeds", type=type(None), help="fit, not in a recipe: train for each, such as 0,1,2")
        about = "fit: what a loss or gradient that is not finite does: end the run, or leave the step out"
        parser.add_argument("--on_nonfinite", type=Literal["stop", "skip"], default="stop", help=about)
        for fact in FACTS:
            parser.link_arguments(f"data.{fact}", f"model.{fact}", apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.init_args.seed", compute_fn=int)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse without Lightning's warning that `args` is meant for Python."""
        resume.describe_ckpt_path(self.subcommand_parser("fit"))
        self.config = parser.parse_args(args)
        config = self.config[self.config.subcommand]
        check_parsed(config)
        if former_recipes.translated(config.model):
            former_recipes.say_translated()
        check_seed(config.seed_everything)
        check_arguments(_plain(config.trainer), self.config.subcommand)

    def before_instantiate_classes(self) -> None:
        """Settle the run folder; a checkpoint is read before anything is built, and brings the encoder's weights."""
        config = self.config[self.subcommand]
        before_run.check_entries(config, self.subcommand == "fit")
        self.run_dir = self._claimed_run_dir(self._proposal(config))
        self.net_config: dict[str, Any] = without_encoder_weights(in_full(_plain(config.model.net)))
        recipe = config.clone()  # what another run repeats: not where this one went, nor what it went on from
        recipe.run_dir = recipe.ckpt_path = recipe.resume = None
        self.recipe = self.subcommand_parser(str(self.subcommand)).dump(recipe, skip_unset=False)
        if self.subcommand == "fit":
            resume.refuse_ckpt_path(config.ckpt_path)
            self.checkpoint = resume.find_run_to_resume(self.run_dir, self.recipe, config.resume)
            config.ckpt_path = None if self.checkpoint is None else str(self.run_dir / CHECKPOINTS / LAST)
        else:
            self.checkpoint = None if config.ckpt_path is None else read_checkpoint(config.ckpt_path)
        if self.subcommand != "fit" and self.checkpoint is None and config.model.weights is None and not self.built:
            check_scored(str(self.subcommand), _files(config))
        if self.checkpoint is not None:
            config.model.weights = None  # which the checkpoint has, and more
        if self.checkpoint is not None or config.model.weights is not None:
            config.model.net = self.net_config
        before_run.settle(config.trainer, self.run_dir, self.subcommand == "fit" and self.checkpoint is not None)

    def instantiate_classes(self) -> None:
        """Tell in one line what a callback or a logger refuses.

        Raises:
            UserError: It does.
        """
        try:
            if self.built is None:
                super().instantiate_classes()
            else:
                self._instantiate_trainer_for(self.built)
        except ValueError as error:
            complaint = before_run.construction_complaint(error)
            if complaint is None or user_error_behind(error):
                raise
            raise UserError(f"trainer: {complaint}") from error

    def _instantiate_trainer_for(self, built: Built) -> None:
        """Build all but the module and the data module."""
        config = self.config[self.subcommand]
        config.data = built.data
        config.model.net = built.module.net
        instantiators = [(lambda kind, **arguments: built.module, SegmentationModule, False)]
        self.config_init = self.parser.instantiate(self.config, instantiators=instantiators)
        self.datamodule, self.model = built.data, built.module
        self.trainer = self.instantiate_trainer()
        # the module was built with these generators, and continues to draw from them
        set_random_states(self.generators, torch.device("cpu"))

    def _proposal(self, config: Any) -> Path:
        """Where a run goes that was told no folder; an evaluation goes beside the run that it scores."""
        configs = _files(config)
        scored = None if self.subcommand == "fit" else folder_of_scores(str(self.subcommand), config.ckpt_path, configs)
        return scored or default_run_dir(configs)

    def _claimed_run_dir(self, proposal: Path) -> Path:
        """The run folder, which no other process writes to as long as this command runs."""
        config = self.config[self.subcommand]
        if config.trainer.fast_dev_run:  # tries everything out, files too, and keeps nothing
            return Path(self.claims.enter_context(TemporaryDirectory(prefix="seglight-fast_dev_run-")))
        claim = claimed_run_dir(config.run_dir, proposal, self.data_root, config.resume is not None)
        return self.claims.enter_context(claim)

    @property
    def data_root(self) -> str | None:
        """Folder of the data set, where it lies in one."""
        root: str | None = self.config[self.subcommand].get("data.init_args.root")
        return root

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Add what every run has, in its own folder."""
        if self.checkpoint is not None:
            self._take_checkpoint(self.checkpoint)
        self.model.describe_net(self.net_config)
        self.model.inferer = self.config_init[self.subcommand].inferer
        config = self.config_init[self.subcommand].trainer
        if config.logger in (None, True):
            # what a killed run has shown of later steps is shown anew
            step = 0 if self.checkpoint is None else self.checkpoint["global_step"]
            kwargs["logger"] = TensorBoardLogger(self.run_dir, "", "", default_hp_metric=False, purge_step=step)
        if self.subcommand == "fit" and config.profiler is None:
            kwargs["profiler"] = RunTimes()
        kwargs["default_root_dir"] = str(self.run_dir)
        given = _listed(config.callbacks)
        before_run.check_callbacks(given, config)
        if self.subcommand == "fit":
            before_run.check_monitors(given, self.model, config)
        if self.subcommand == "fit" and self.checkpoint is not None:
            given = resume.without_finders(given, self.datamodule, self.checkpoint)
        exact = [callback for callback in given if isinstance(callback, ExactCheckpoint)]
        environment = launcher()
        kwargs["plugins"] = [*_listed(config.plugins), *([environment] if environment else [])]
        if self.subcommand == "fit" and config.enable_checkpointing is not False:
            exact = exact or [ExactCheckpoint()]
            kwargs["plugins"].append(CheckpointFiles())
        else:
            STOP.restore()  # nobody would save, and leave
        others = [callback for callback in given if not isinstance(callback, ExactCheckpoint)]
        if self.subcommand == "fit" and config.enable_checkpointing is False:
            exact = []
        kwargs["callbacks"] = [*exact, *others, *self._callbacks()]
        check_machine(config)
        with refusals_in_one_line():
            trainer = super().instantiate_trainer(**kwargs)
        if self.subcommand == "fit":
            trainer.callbacks.append(ShortRuns())  # type: ignore[attr-defined]  # behind the timer that Lightning adds
        check_processes(trainer, environment)
        check_trainer(trainer, config)
        return trainer

    def _take_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        path = self.config[self.subcommand].ckpt_path
        card: ModelCard = checkpoint[KEY]
        if list(card.class_names) != self.model.class_names:
            raise UserError(
                f"{path}: a net for {card.num_classes} classes ({', '.join(card.class_names[:3])}, ...), "
                f"the data has {self.model.num_classes} ({', '.join(self.model.class_names[:3])}, ...): "
                "use model.weights to start from it on other classes"
            )
        load_weights(self.model.net, checkpoint, path)

    def _callbacks(self) -> list[Callback]:
        config = self.config_init[self.subcommand].trainer
        scored = None if self.subcommand == "fit" else self.checkpoint
        report = RunReport(self.run_dir, self.recipe, flat(yaml.safe_load(self.recipe)), scored, self.temporary)
        first = Preflight(self.run_dir / RECIPE_FILE, self.recipe)
        callbacks: list[Callback] = [first, ImageScores(self.run_dir), report]
        bars = [callback for callback in _listed(config.callbacks) if isinstance(callback, AnyProgressBar)]
        if config.enable_progress_bar is not False and not bars:
            callbacks.append(ProgressBar())
        if self.subcommand == "fit":
            callbacks += [
                NonFinite(self.config[self.subcommand].on_nonfinite),
                MetricsFile(self.run_dir / METRICS_FILE),
                Environment(self.run_dir / ENVIRONMENT_FILE),
                LabelledPixels(),
                Throughput(),
                ImagePanels(self.run_dir),
                ConfusionFigure(),
            ]
        if self.subcommand == "fit" and config.enable_checkpointing is not False:
            callbacks.append(BestCheckpoint(self.run_dir / CHECKPOINTS))
        return callbacks

    def subcommand_arguments(self, subcommand: str) -> dict[str, Any]:
        """Add how the trainer's method reads a checkpoint."""
        kwargs = super().subcommand_arguments(subcommand)
        if subcommand == "fit":
            return {**kwargs, "weights_only": True}
        # the weights are in the net already: Lightning would ask for the callbacks of the training too
        return {**kwargs, "ckpt_path": None, "verbose": False}

    def run_subcommand(self, subcommand: str) -> None:
        """Train or evaluate, unless there is nothing left to train."""
        if subcommand == "fit" and self.checkpoint and resume.is_finished(self.checkpoint, self.config.fit.resume):
            say(f"{self.run_dir}: the run is finished, there is nothing to go on with")
            return
        if subcommand == "fit" and self.trainer.is_global_zero:
            trainer: Any = self.trainer
            scored, overfits = trainer.limit_val_batches != 0, trainer.overfit_batches != 0
            quick_check(self.datamodule, self.see, scored, overfits)
        if subcommand != "fit":
            self._say_scored(subcommand)
        super().run_subcommand(subcommand)
        if self.config[subcommand].trainer.fast_dev_run and self.trainer.is_global_zero:
            say(f"fast_dev_run: {subcommand} ran to its end; its files are removed")

    def _say_scored(self, subcommand: str) -> None:
        config = self.config[subcommand]
        weights = self.checkpoint is not None or config.model.weights is not None or self.built is not None
        if not weights and self.trainer.is_global_zero:
            say(f"{subcommand}: no --ckpt_path or --model.weights: the net is scored with the weights of its recipe")


def _listed(plugins: Any) -> list[Any]:
    return plugins if isinstance(plugins, list) else [] if plugins is None else [plugins]


def _plain(config: Any) -> Any:
    """A jsonargparse namespace as dicts and lists."""
    return config.as_dict() if isinstance(config, Namespace) else config


def _files(config: Namespace) -> list[str]:
    """Paths of the config files; what was given as text, as Python does, has none."""
    return [str(path) for path in config.config or [] if path is not None]


def check_yaml(args: list[str]) -> None:
    """The parser does not say which of several configs is no YAML: do it here.

    Raises:
        UserError: A config file is missing or not YAML.
    """
    for path in config_paths(args):
        read_recipe(path)


def main(args: list[str]) -> None:
    """Run `fit`, `validate` or `test`.

    Raises:
        UserError: The recipe or the data is wrong.
    """
    if args[0] == "fit":
        args = resume.with_recipe(args)
    check_yaml(args)
    run(args)


def run(args: list[str], built: Built | None = None, temporary: bool = False) -> SegmentationCLI:
    """Run a command, and return what it has built and left; the arguments are those of `SegmentationCLI`.

    Raises:
        UserError: The recipe or the data is wrong.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):  # seeds, devices that are not there, advertisements
        logging.getLogger(name).setLevel(logging.WARNING)
    before_run.let_callbacks_speak()
    for message, options in UNWANTED.items():
        warnings.filterwarnings("ignore", message, **options)
    try:
        if args[0] == "fit":
            STOP.install(SCHEDULERS)  # Ctrl-C may end at once what has nothing to save yet
        with parser_errors(f"seglight {args[0]}", before_run.refused_class):
            return SegmentationCLI(args, built, temporary)
    finally:
        STOP.restore()
