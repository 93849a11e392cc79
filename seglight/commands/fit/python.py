"""`seglight.fit` and `seglight.evaluate`: the commands of the same names, called from Python."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_type_hints

import torch

from seglight.checkpoints.checkpoint import read_checkpoint
from seglight.checkpoints.model_card import KEY, ModelCard
from seglight.checkpoints.net_config import describe_net
from seglight.checkpoints.release import is_release
from seglight.checkpoints.trust import check_classes
from seglight.commands.fit.cli import FACTS, Built, SegmentationCLI, run
from seglight.commands.fit.in_python import in_python
from seglight.data import SegmentationDataModule
from seglight.errors import UserError, say
from seglight.images.bands import Bands
from seglight.interfaces import Inferer
from seglight.losses import MaskClassificationLoss
from seglight.metrics import Scores
from seglight.metrics.confusion_content import matrix_of
from seglight.system.description import arguments, changes, describe
from seglight.system.recipe_files import read_recipe, with_recipe
from seglight.system.run_files import BEST, CHECKPOINTS, LAST, RECIPE_FILE, SCORES_FILE
from seglight.training.mask_classification import MaskClassificationModule
from seglight.training.semantic import SegmentationModule

Recipe = str | Path | Mapping[str, Any]
"""A recipe: the path of a YAML file, or its content."""

Data = SegmentationDataModule | Mapping[str, Any]
"""A data module, or the description of one: `class_path` and `init_args`."""


OWN = ("logger", "early_stopping")
"""Options of `fit` beside those of the Trainer, where they are given as text."""


@dataclass(frozen=True)
class Run:
    """A training that has ended.

    Attributes:
        run_dir: Folder of the run.
        best: Checkpoint of the best validation, or the last one where nothing was validated; None: none was saved.
        scores: Scores of the last validation; None: nothing was validated.
    """

    run_dir: Path
    best: Path | None
    scores: Scores | None


def fit(
    recipe: Recipe | Sequence[Recipe] | SegmentationModule | None = None,
    data: Data | None = None,
    *,
    run_dir: str | Path | None = None,
    resume: bool | Literal["exact", "force"] = False,
    inferer: Inferer | Mapping[str, Any] | None = None,
    on_nonfinite: Literal["stop", "skip"] | None = None,
    **trainer: Any,
) -> Run:
    """Train as `seglight fit` does, with the same run folder.

        run = seglight.fit("configs/quickstart.yaml", run_dir="runs/first", max_epochs=2)
        print(run.scores.miou, run.best)

        module = SegmentationModule(partial(EncoderDecoder, encoder=TimmEncoder("resnet18"), decoder=FPN), **data.facts)
        run = seglight.fit(module, data, run_dir="runs/second", max_epochs=20)

    Args:
        recipe: Recipe as a path or as a dict, or several, of which a later one wins; or a module, which is trained as
            it is. None: the recipe of the run that is resumed.
        data: Data module, which replaces that of the recipe; required with a module. Its seed, where it was given one,
            is that of the run.
        run_dir: Folder of the run; None: `runs/<recipe>/<time>`.
        resume: Whether a run that is in the folder is resumed; "force": with a recipe that has changed, too.
        inferer: How images are evaluated; None: each whole, in one pass.
        on_nonfinite: What is done about a loss or a gradient that is not finite: "stop" ends the run, "skip" leaves the
            step out.
        **trainer: Arguments of Lightning's Trainer, such as `max_epochs=20` or `accelerator="cpu"`. Callbacks and
            loggers are given as `partial(EMA, decay=0.98)` or by `class_path` and `init_args`. Texts as on the
            command line: `logger="csv,tensorboard"` and `early_stopping="val/miou:5"`.

    Raises:
        UserError: The recipe, the module or the data is wrong, or can't be described in the recipe of the run.
        SystemExit: A signal, or Ctrl-C, has stopped the run; it is saved and can be resumed.
    """
    built = None
    if isinstance(recipe, SegmentationDataModule):
        raise UserError("seglight.fit: the first argument is a data module: give the recipe or the module first")
    if isinstance(recipe, SegmentationModule):
        built = _built(recipe, data)
        inferer = inferer or recipe.inferer
        if recipe.lr is not None and not resume:
            raise UserError(
                f"module.lr is {recipe.lr}, which a LearningRateFinder has set and no recipe holds: set it to None, "
                "and give the module an optimizer with that rate"
            )
        if not resume and torch.initial_seed() != built.data.seed:
            seed = built.data.seed
            say(f"config.yaml will start from other random weights: torch.manual_seed({seed}) was not called at first")
    args = ["fit", *_configs(recipe, data), *_data(data), *_trainer(trainer)]
    args += [*_options(inferer=inferer, on_nonfinite=on_nonfinite), *_run_dir(run_dir)]
    if resume:
        args += ["--resume", "exact" if resume is True else resume]
    with in_python("seglight.fit", isinstance(data, SegmentationDataModule)), _same_inferer(built):
        cli = run(with_recipe(args), built)
    best = (cli.run_dir / CHECKPOINTS / name for name in (BEST, LAST))
    return Run(cli.run_dir, next((path for path in best if path.is_file()), None), _scores_of(cli))


def evaluate(
    model: str | Path | SegmentationModule | Run,
    data: Data | None = None,
    split: Literal["val", "test"] = "val",
    *,
    run_dir: str | Path | None = None,
    inferer: Inferer | Mapping[str, Any] | None = None,
    trust: Sequence[str] = (),
    **trainer: Any,
) -> Scores:
    """Score a net on a split, as `seglight validate` and `seglight test` do.

        scores = seglight.evaluate("runs/first")
        print(scores.miou, scores.iou)  # the mean, and the IoU of each class

    Args:
        model: A module with its weights; or a run, its folder, a checkpoint or a released folder. Of a run, the best
            checkpoint is scored.
        data: Data module, which replaces that of the run; required if the model is not in a run folder.
        split: "val" or "test".
        run_dir: Folder for `scores.json` and the counts of each image; None: nothing is written.
        inferer: How images are evaluated, this once; None: by the module's own inferer, as the run was, or each whole,
            in one pass.
        trust: Packages beside seglight, torch, torchvision and timm whose classes the net may name.
        **trainer: Arguments of Lightning's Trainer, such as `accelerator="cpu"`.

    Returns:
        The scores, equal to those that the command writes to `scores.json`.

    Raises:
        UserError: The model or the data is wrong, or there is nothing to score.
    """
    if split not in ("val", "test"):
        raise UserError(f"seglight.evaluate: split {split!r}: give 'val' or 'test'")
    built = None
    args = ["validate" if split == "val" else "test"]
    if isinstance(model, SegmentationModule):
        built = _built(model, data)
        inferer = inferer or model.inferer
        args += _configs(model, data)
    else:
        args += _of_file(_checkpoint(model), data, trust)
    args += [*_data(data), *_trainer(trainer), *_options(inferer=inferer)]
    with (
        in_python("seglight.evaluate", isinstance(data, SegmentationDataModule)),
        _same_inferer(built),
        TemporaryDirectory(prefix="seglight-evaluate-") as folder,
    ):
        cli = run([*args, *_run_dir(run_dir or Path(folder, "scores"))], built, temporary=run_dir is None)
        scores = _scores_of(cli)
    assert scores is not None
    return scores


def read_scores(path: Path) -> Scores:
    """The scores that a `scores.json` holds."""
    content = json.loads(path.read_text(encoding="utf-8"))
    nan = float("nan")
    low, high = content["miou_interval"] or (nan, nan)
    return Scores.from_confusion(torch.from_numpy(matrix_of(content["confusion"])), content["images"], (low, high))


def _scores_of(cli: SegmentationCLI) -> Scores | None:
    path = cli.run_dir / SCORES_FILE
    return read_scores(path) if path.is_file() else cli.model.scores


@contextmanager
def _same_inferer(built: Built | None) -> Iterator[None]:
    """Let the inferer of a module that was built in Python be as it was afterwards."""
    own = built.module.inferer if built else None
    try:
        yield
    finally:
        if built:
            built.module.use_inferer(own)


def _configs(recipe: Recipe | Sequence[Recipe] | SegmentationModule | None, data: Data | None) -> list[str]:
    """The recipe as options of the command: a path, or a text in one line, which has no data where others are given."""
    if isinstance(recipe, SegmentationModule):
        return [_text({"model": _recipe_of(recipe)})]
    if recipe is None:
        return []
    parts = [recipe] if isinstance(recipe, str | Path | Mapping) else recipe
    if not isinstance(parts, Iterable):
        raise _refused("recipe", recipe, "a path, a dict, several of them, or a module")
    args = []
    for part in parts:
        content = describe(part, "recipe") if isinstance(part, Mapping) else read_recipe(str(part))
        if data is not None and "data" in content:  # its arguments would be kept for a data module of the same class
            del content["data"]
            args.append(_text(content))
        else:
            args.append(_text(content) if isinstance(part, Mapping) else f"--config={part}")
    return args


def _text(config: Any) -> str:
    return f"--config={json.dumps(config)}"


def _recipe_of(module: SegmentationModule) -> dict[str, Any]:
    """What a recipe holds under `model`; the facts about the data are linked.

    Raises:
        UserError: An argument can't be described.
    """
    if type(module) not in (SegmentationModule, MaskClassificationModule):
        raise UserError(
            f"a {type(module).__name__} is not trained by a recipe, which names no other module than "
            "SegmentationModule: give one, or use Lightning's Trainer"
        )
    if module.undescribed is not None:
        raise module.undescribed
    given = arguments(SegmentationModule, *module.built_with, "model")
    net = given.pop("net")
    if isinstance(module, MaskClassificationModule):
        given.setdefault("loss", MaskClassificationLoss)
    given |= changes(module, module.built_options)
    hints = get_type_hints(SegmentationModule.__init__)
    described = {key: describe(part, f"model.{key}", hints[key]) for key, part in given.items() if key not in FACTS}
    return {"net": describe_net(net), **described}


def _data(data: Data | None) -> list[str]:
    """The data module as options of the command; a seed that it was given is that of the run."""
    if data is None:
        return []
    if not isinstance(data, SegmentationDataModule | Mapping):
        raise _refused("data", data, 'a data module, or {"class_path": ..., "init_args": {...}}')
    config = describe(data, "data")
    init_args = config.get("init_args") or {}
    if not isinstance(init_args, dict):
        raise _refused("data.init_args", init_args, "the arguments by name, as a dict")
    seed = init_args.pop("seed", None)
    if isinstance(data, SegmentationDataModule):
        changed = changes(data, data.built_options)
        seed = changed.get("seed", arguments(type(data), *data.built_with, "data").get("seed"))
        init_args |= describe({key: value for key, value in changed.items() if key in init_args}, "data.init_args")
    return [_option("data", config), *_options(seed_everything=seed)]


def _trainer(options: Mapping[str, Any]) -> list[str]:
    own = {name: value for name, value in options.items() if name in OWN and isinstance(value, str)}
    described = {name: describe(value, f"trainer.{name}") for name, value in options.items() if name not in own}
    return [*_options(**own), *(_option(f"trainer.{name}", value) for name, value in described.items())]


def _options(**options: Any) -> list[str]:
    """Options of the command that were given."""
    return [_option(name, describe(value, name)) for name, value in options.items() if value is not None]


def _run_dir(run_dir: str | Path | None) -> list[str]:
    """The run folder as an option of the command, whose parser takes `null` for no folder, but `./null` for one."""
    return [] if run_dir in (None, "") else [f"--run_dir={os.path.join(os.curdir, run_dir)}"]


def _refused(key: str, value: object, remedy: str) -> UserError:
    return UserError(f"{key}: {type(value).__name__} ({value!r:.40}): give {remedy}")


def _option(name: str, value: Any) -> str:
    return f"--{name}={value if isinstance(value, str) else json.dumps(value)}"


def _built(module: SegmentationModule, data: Data | None) -> Built:
    """A module and its data module, which fit each other.

    Raises:
        UserError: There is no data module, or the module is for other classes.
    """
    if not isinstance(data, SegmentationDataModule):
        raise UserError("a module is trained on a data module: give it as the second argument")
    own = {
        "num_classes": module.num_classes,
        "ignore_index": module.ignore_index,
        "class_names": module.class_names,
        "palette": [tuple(color) for color in module.palette],
        "bands": module.bands,
    }
    for fact, value in data.facts.items():
        if own[fact] != value:
            ours, theirs = (entry.line() if isinstance(entry, Bands) else entry for entry in (own[fact], value))
            raise UserError(f"the module has {fact} {ours}, the data {theirs}: build it with **data.facts")
    return Built(module, data)


def _checkpoint(model: str | Path | Run) -> Path:
    """The checkpoint that is meant.

    Raises:
        UserError: The folder of a run has none.
    """
    if not isinstance(model, str | Path | Run):
        raise _refused("model", model, "a module, a run, or the path of a run folder, checkpoint or released folder")
    path = model.run_dir if isinstance(model, Run) else Path(model)
    if not path.is_dir() or is_release(path):
        return path
    for name in (BEST, LAST):
        if (path / CHECKPOINTS / name).is_file():
            return path / CHECKPOINTS / name
    raise UserError(f"{path}: no run of `seglight fit` and no released net: there is no {CHECKPOINTS}/{BEST} in it")


def _of_file(path: Path, data: Data | None, trust: Sequence[str]) -> list[str]:
    """The options that score a checkpoint, by the recipe of its run, or by the checkpoint itself.

    Raises:
        UserError: It can't be read, names a class that is not trusted, or there is no data to score it on.
    """
    recipe = path.parent.parent / RECIPE_FILE
    if path.parent.name == CHECKPOINTS and recipe.is_file():
        return [*_configs(recipe, data), _option("ckpt_path", str(path))]
    card: ModelCard = read_checkpoint(path)[KEY]
    check_classes(str(path), card.net, trust)
    if data is None:
        raise UserError(f"{path}: it is not in a run folder, whose config.yaml names the data: give data")
    model = {"net": card.net, "channels_last": card.channels_last}
    return [_text({"model": model}), _option("ckpt_path", str(path))]
