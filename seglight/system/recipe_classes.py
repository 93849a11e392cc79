"""The classes that a recipe names and the options that take them, from the rooms' exports, without importing them."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from seglight.system.signatures import derives, exports


class Kind(NamedTuple):
    """Classes that one option takes.

    Attributes:
        title: What they are, in the plural.
        option: The option, such as "--model.loss".
        package: Package that exports them.
        given: Arguments that they get from the run, and no recipe gives.
        bases: Names of base classes, of which they have one; none: any class.
        names: The classes by name where the package has others too; none: all that it exports.
    """

    title: str
    option: str
    package: str
    given: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


DATA = Kind("data sets", "--data", "seglight.data", ("seed",), ("SegmentationDataModule",))
LABELLED = Kind("data sets", "--data", "seglight.data", ("seed",), ("LabelledImagesDataModule",))
NETS = Kind("nets", "--model.net", "seglight.models", ("num_classes",), ("Net",))
ENCODERS = Kind("encoders", "--model.net.encoder", "seglight.models", (), ("Encoder",))
DECODERS = Kind("decoders", "--model.net.decoder", "seglight.models.decoders", ("in_channels", "in_strides"))
LOSSES = Kind("losses", "--model.loss", "seglight.losses", ("ignore_index",))
OPTIMIZERS = Kind(
    "optimizers",
    "--model.optimizer",
    "torch.optim",
    ("params",),
    names=("Adafactor", "Adam", "AdamW", "Muon", "NAdam", "RAdam", "RMSprop", "SGD"),
)
SCHEDULES = Kind(
    "schedules",
    "--model.schedule",
    "seglight.optim",
    ("optimizer", "total_steps"),
    names=("TwoStageWarmupPoly", "WarmupCosine", "WarmupPoly"),
)
METHODS = Kind("methods", "--model.method", "seglight.training.methods", ("num_classes", "ignore_index"))
CALLBACKS = Kind(
    "callbacks",
    "--trainer.callbacks",
    "seglight.callbacks",
    names=(
        "BatchNormMomentum", "Compile", "EMA", "ExactCheckpoint", "FreezeEncoder", "PreciseBN", "ProgressBar", "SWA",
    ),
)  # fmt: skip
THEIR_CALLBACKS = Kind(
    "callbacks of Lightning",
    "--trainer.callbacks",
    "lightning.pytorch.callbacks",
    names=("EarlyStopping", "LearningRateMonitor", "ModelCheckpoint"),
)
INFERERS = Kind("inferers", "--inferer", "seglight.inference")
AUGMENTATION = Kind("augmentations", "--data.augmentation", "seglight.data", names=("Augmentation",))
GROUPS = Kind("groups of parameters", "--model.groups", "seglight.optim", names=("ParameterGroups",))

KINDS = (
    DATA, NETS, ENCODERS, DECODERS, LOSSES, OPTIMIZERS, SCHEDULES, METHODS, CALLBACKS, THEIR_CALLBACKS, INFERERS,
    AUGMENTATION, GROUPS,
)  # fmt: skip

CONFIG = ("-c", "--config")
BASES = ("FileDataModule",)
"""Base classes that a package exports for classes of the user's own, and no recipe names."""

FORMER = ("Adversarial",)
"""Classes that are read in recipes of earlier versions, and that no new one is to name."""


@cache
def names_of(kind: Kind) -> tuple[str, ...]:
    """The classes of a kind, by name."""
    return kind.names or tuple(name for name in exports(kind.package) if is_of(kind, name))


def is_of(kind: Kind, name: str) -> bool:
    """Whether a kind has a class of a name; reads fewer files than `names_of`."""
    if kind.names or name in BASES:
        return name in kind.names
    if name not in exports(kind.package):
        return False
    return not kind.bases or any(derives(f"{kind.package}.{name}", base) for base in kind.bases)


def offered(kind: Kind) -> tuple[str, ...]:
    """The classes of a kind that lists and hints name."""
    return tuple(name for name in names_of(kind) if name not in FORMER)


@cache
def kind_of(name: str) -> Kind | None:
    """The kind of a class, by its name; None: it is none that a recipe names."""
    return next((kind for kind in (*KINDS, LABELLED) if is_of(kind, name)), None)


def with_class_paths(args: Sequence[str]) -> list[str]:
    """Arguments in which the class of an option stands with its package: `--data FolderDataModule` works without it.

    The parser knows a class by its name alone only where something has imported it already.

    Args:
        args: Arguments of a command that takes a recipe.
    """
    complete = list(args)
    for index, arg in enumerate(complete):
        option, equals, value = arg.partition("=")
        if not option.startswith("--"):
            continue
        if equals:
            complete[index] = f"{option}={_path(option, value)}"
        elif index + 1 < len(complete):
            complete[index + 1] = _path(option, complete[index + 1])
    return complete


def _path(option: str, value: str) -> str:
    """The import path of a value that is the name of a class of the option's kind; else the value."""
    if not value.isidentifier():
        return value
    key = option.removesuffix("+").removesuffix(".class_path").replace(".init_args", "").rpartition(".")[2].lstrip("-")
    for kind in (*KINDS, LABELLED):
        if kind.option.rpartition(".")[2].lstrip("-") == key and is_of(kind, value):
            return f"{kind.package}.{value}"
    return value
