"""fit, validate and test: LightningCLI with run folders and one-line errors.

Facts about the data, such as the number of classes, are linked from the data module to the module.
"""

import shlex
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from jsonargparse import Namespace
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser

from seglight.callbacks import ShortRuns
from seglight.checkpoints.checkpoint import load_weights, read_checkpoint
from seglight.checkpoints.model_card import KEY, ModelCard
from seglight.checkpoints.net_config import plain_values, without_encoder_weights
from seglight.checkpoints.writer import CheckpointFiles
from seglight.commands.doctor.quick import quick_check
from seglight.commands.fit.messages import quiet_lightning
from seglight.commands.fit.options import add_options
from seglight.commands.fit.run_callbacks import RunCallbacks
from seglight.commands.fit.run_loggers import named, run_loggers
from seglight.data import SegmentationDataModule
from seglight.errors import UserError, say, user_error_behind
from seglight.images.bands import RGB
from seglight.models.ensemble import in_full
from seglight.system.class_paths import check_parsed, class_rules
from seglight.system.collector import no_collections
from seglight.system.parsing import parser_errors
from seglight.system.recipe_classes import with_class_paths
from seglight.system.recipe_files import check_recipe_given, check_yaml, data_options, with_recipe
from seglight.system.run_files import CHECKPOINTS, LAST
from seglight.system.signals import SCHEDULERS, STOP
from seglight.training import before_run, former_recipes
from seglight.training.early_stopping import early_stopping
from seglight.training.launch import check_processes, claimed_run_dir, launcher
from seglight.training.lightning_internals import RecipeParser, SubcommandCLI
from seglight.training.mask_classification import maker
from seglight.training.profiler import RunTimes
from seglight.training.resume import resume
from seglight.training.resume.folder import check_scored, default_run_dir, folder_of_scores
from seglight.training.resume.random_states import random_states, set_random_states
from seglight.training.semantic import SegmentationModule
from seglight.training.trainer_arguments import (
    check_arguments,
    check_machine,
    check_seed,
    check_trainer,
    refusals_in_one_line,
)

FACTS = ("num_classes", "ignore_index", "class_names", "palette", "bands")
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
        self.command = args[0]
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
                parser_class=RecipeParser,
                load_from_checkpoint_support=False,
                seed_everything_default=0,
                # the data module distributes the images: Lightning's own sampler would count some of them twice
                trainer_defaults={"use_distributed_sampler": False, "enable_model_summary": False},
                parser_kwargs={**strict, **{name: dict(strict) for name in self.subcommands()}},
                args=args,
            )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The commands, and those arguments of the trainer's methods that are no options."""
        given = {"model", "datamodule", "weights_only"}
        return {
            "fit": given | {"train_dataloaders", "val_dataloaders"},
            "validate": given | {"dataloaders", "verbose"},
            "test": given | {"dataloaders", "verbose"},
        }

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the options of a run, and link the facts about the data to the module and the seed to the data."""
        add_options(parser)
        for fact in FACTS:
            parser.link_arguments(f"data.{fact}", f"model.{fact}", apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.init_args.seed", compute_fn=int)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse without Lightning's warning that `args` is meant for Python."""
        if self.command == "fit":
            resume.describe_ckpt_path(self.subcommand_parser("fit"))
        command = str(self.command)
        with (
            no_collections(),
            parser_errors(f"seglight {command}", before_run.refused_class, self.subcommand_parser(command)),
        ):
            self.config = parser.parse_args(args)
        config = self.config[self.config.subcommand]
        check_parsed(config)
        if former_recipes.translated(config.model):
            former_recipes.say_translated()
        check_seed(config.seed_everything)
        check_arguments(_plain(config.trainer), self.config.subcommand)

    def before_instantiate_classes(self) -> None:
        """Choose the run folder, and read the checkpoint before anything is built: it brings the encoder's weights."""
        config = self.config[self.subcommand]
        before_run.check_entries(config, self.subcommand == "fit")
        named(config.logger, config.trainer.logger)
        fits = self.subcommand == "fit" and config.early_stopping is not None
        self.stopping = [early_stopping(config.early_stopping)] if fits else []
        self.run_dir = self._claimed_run_dir(self._proposal(config))
        net = without_encoder_weights(in_full(_plain(config.model.net)))
        self.net_config: dict[str, Any] = plain_values(net)
        recipe = config.clone()
        for key in ("run_dir", "ckpt_path", "resume"):  # of this run, and none that repeats it
            recipe[key] = None
        for key in ("logger", "early_stopping"):  # unless given, a recipe does not have them
            if recipe[key] is None:
                del recipe[key]
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
            config.model.weights = None  # those of the checkpoint are used
        if self.checkpoint is not None or config.model.weights is not None:
            config.model.net = net
        before_run.prepare_outputs(
            config.trainer, self.run_dir, self.subcommand == "fit" and self.checkpoint is not None
        )

    def instantiate_classes(self) -> None:
        """Build module, data module and trainer.

        Raises:
            UserError: A callback or a logger refuses its arguments.
        """
        try:
            self._instantiate(self.built)
        except ValueError as error:
            complaint = before_run.construction_complaint(error)
            if complaint is None or user_error_behind(error):
                raise
            raise UserError(f"trainer: {complaint}") from error

    def _instantiate(self, built: Built | None) -> None:
        """Build all, or all but the module and the data module."""
        config = self.config[self.subcommand]
        if built is not None:
            config.data = built.data
            config.model.net = built.module.net
        made = maker(self.net_config, built and built.module)
        self.config_init = self.parser.instantiate(self.config, instantiators=[(made, SegmentationModule, False)])
        self.datamodule = self.config_init[self.subcommand].data if built is None else built.data
        self.model = self.config_init[self.subcommand].model
        self.trainer = self.instantiate_trainer()
        if built is not None:
            # the module was built with these generators, and continues to draw from them
            set_random_states(self.generators, torch.device("cpu"))

    def _proposal(self, config: Any) -> Path:
        """Folder of a run without --run_dir; that of an evaluation lies in the folder of the run that it scores."""
        configs = _files(config)
        scored = None if self.subcommand == "fit" else folder_of_scores(str(self.subcommand), config.ckpt_path, configs)
        return scored or default_run_dir(configs)

    def _claimed_run_dir(self, proposal: Path) -> Path:
        """The run folder, which is locked against other processes while this command runs."""
        config = self.config[self.subcommand]
        if config.trainer.fast_dev_run:  # everything is tried, also writing files, and nothing is kept
            return Path(self.claims.enter_context(TemporaryDirectory(prefix="seglight-fast_dev_run-")))
        claim = claimed_run_dir(config.run_dir, proposal, self.data_root, config.resume is not None)
        return self.claims.enter_context(claim)

    @property
    def data_root(self) -> str | None:
        """Folder of the data set; None where its class has no argument `root`."""
        root: str | None = self.config[self.subcommand].get("data.init_args.root")
        return root

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Build the trainer, with what every run has in its own folder."""
        if self.checkpoint is not None:
            self._take_checkpoint(self.checkpoint)
        config = self.config_init[self.subcommand].trainer
        self.model.describe_net(self.net_config)
        self.model.use_inferer(self.config_init[self.subcommand].inferer)
        environment = launcher()
        plugins = [*_listed(config.plugins), *([environment] if environment else [])]
        if self.subcommand == "fit" and config.enable_checkpointing is not False:
            plugins.append(CheckpointFiles())
        else:
            STOP.restore()  # there would be no checkpoint to leave behind
        kwargs["plugins"] = plugins
        kwargs["callbacks"] = self._callbacks(config)
        kwargs["default_root_dir"] = str(self.run_dir)
        step = 0 if self.checkpoint is None else self.checkpoint["global_step"]
        loggers = run_loggers(self.config_init[self.subcommand], self.run_dir, step)
        if loggers is not None:
            kwargs["logger"] = loggers
        if self.subcommand == "fit" and config.profiler is None:
            kwargs["profiler"] = RunTimes()
        check_machine(config)
        with refusals_in_one_line():
            trainer = super().instantiate_trainer(**kwargs)
        if self.subcommand == "fit":
            trainer.callbacks.append(ShortRuns())  # type: ignore[attr-defined]  # behind the timer that Lightning adds
        check_processes(trainer, environment)
        check_trainer(trainer, config)
        return trainer

    def _callbacks(self, config: Namespace) -> list[Callback]:
        given = [*_listed(config.callbacks), *self.stopping]
        before_run.check_callbacks(given, config)
        callbacks = RunCallbacks(self.run_dir, self.recipe, config, self.temporary)
        if self.subcommand != "fit":
            return callbacks.of_evaluation(given, self.checkpoint)
        before_run.check_monitors(given, self.model, config)
        if self.checkpoint is not None:
            given = resume.without_finders(given, self.datamodule, self.checkpoint)
        return callbacks.of_training(given, self.config[self.subcommand].on_nonfinite)

    def _take_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        path = self.config[self.subcommand].ckpt_path
        card: ModelCard = checkpoint[KEY]
        if list(card.class_names) != self.model.class_names:
            raise UserError(
                f"{path}: a net for {card.num_classes} classes ({', '.join(card.class_names[:3])}, ...), "
                f"the data has {self.model.num_classes} ({', '.join(self.model.class_names[:3])}, ...): "
                "use model.weights to start from it on other classes"
            )
        difference = (card.image or RGB).difference(self.model.bands)
        if difference:
            raise UserError(f"{path}: the net and the data have {difference}: give images that it was trained for")
        load_weights(self.model.net, checkpoint, path)

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
            say(f"{self.run_dir}: the run is finished, there is nothing to resume")
            return
        if subcommand == "fit" and self.checkpoint and self.trainer.is_global_zero:
            say(f"{self.run_dir}: resumed at step {self.checkpoint['global_step']}")
        if subcommand == "fit" and self.trainer.is_global_zero:
            trainer: Any = self.trainer
            scored = trainer.limit_val_batches != 0
            overfits = trainer.overfit_batches != 0
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


def _listed(value: Any) -> list[Any]:
    """One or several plugins or callbacks, or None, as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _plain(config: Any) -> Any:
    """A jsonargparse namespace as dicts and lists."""
    return config.as_dict() if isinstance(config, Namespace) else config


def _files(config: Namespace) -> list[str]:
    """Paths of the config files; what was given as text, as Python does, has none."""
    return [str(path) for path in config.config or [] if path is not None]


def main(args: list[str]) -> None:
    """Run `fit`, `validate` or `test`.

    Raises:
        UserError: The recipe or the data is wrong.
    """
    args = with_class_paths(args)
    args = with_recipe(args) if args[0] == "fit" else args
    check_recipe_given(args)
    check_yaml(args)
    run(args)


def run(args: list[str], built: Built | None = None, temporary: bool = False) -> SegmentationCLI:
    """Run a command, and return what it has built and left; the arguments are those of `SegmentationCLI`.

    Raises:
        UserError: The recipe or the data is wrong.
    """
    quiet_lightning()
    try:
        if args[0] == "fit":
            STOP.install(SCHEDULERS)  # until there is something to save, Ctrl-C ends the process at once
        with parser_errors(f"seglight {args[0]}", before_run.refused_class):
            return SegmentationCLI(args, built, temporary)
    finally:
        STOP.restore()
