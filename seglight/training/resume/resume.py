"""`fit --resume`: whether there is a run to go on with, and whether it is still the same run."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch.callbacks import BatchSizeFinder, Callback, LearningRateFinder
from lightning.pytorch.utilities import rank_zero_only

from seglight import __version__
from seglight.checkpoints.checkpoint import read_checkpoint
from seglight.checkpoints.model_card import KEY
from seglight.errors import UserError, say
from seglight.system.run_files import CHECKPOINTS, LAST, PREVIOUS, RECIPE_FILE
from seglight.training import former_recipes
from seglight.training.resume.folder import holds_run, prepare_folder

FREE = (
    "trainer.devices", "trainer.num_nodes", "trainer.strategy", "trainer.logger", "trainer.enable_progress_bar",
    "trainer.enable_model_summary", "trainer.log_every_n_steps", "trainer.num_sanity_val_steps", "trainer.profiler",
    "trainer.max_time", "trainer.default_root_dir", "data.init_args.num_workers", "data.init_args.cache",
    "data.init_args.root", "data.init_args.eval_batch_size",
)  # fmt: skip
"""Keys of a recipe that change no result, or, for the number of processes, one that is said."""

PROCESSES, SHARE = ("trainer.devices", "trainer.num_nodes", "trainer.strategy"), "data.init_args.batch_size"
"""Where the former change, each process may take another share of the samples of a step."""

ADDED = {"model.method.class_path": former_recipes.SUPERVISED}
"""Keys that recipes of earlier versions do not have, and the values that mean what those versions did."""

SAVING = "ExactCheckpoint"


def with_recipe(args: list[str]) -> list[str]:
    """The arguments of `fit --resume` with the recipe of the run in front of the others, if none was given.

    Raises:
        UserError: There is neither a run nor a recipe.
    """
    if not any(arg.split("=")[0] == "--resume" for arg in args):
        return args
    joined = [part for arg in args for part in (arg.split("=", 1) if arg.startswith("--run_dir=") else [arg])]
    run_dir = next((place for option, place in itertools.pairwise(joined) if option == "--run_dir"), None)
    if run_dir is None:
        raise UserError("--resume goes on with the run in a folder: say which with --run_dir")
    if any(arg.split("=")[0] in ("-c", "--config") for arg in args):
        return args
    recipe = Path(run_dir) / RECIPE_FILE
    if not recipe.is_file():
        raise UserError(f"{run_dir}: no run to go on with, and no recipe to start one: add --config RECIPE")
    return [args[0], "--config", str(recipe), *args[1:]]


def describe_ckpt_path(fit: ArgumentParser) -> None:
    """Let the help of `fit` say so: Lightning's says what it would do."""
    next(action for action in fit._actions if action.dest == "ckpt_path").help = "refused: --resume, or --model.weights"


def refuse_ckpt_path(path: str | None) -> None:
    """Checkpoints alone are no run: what it has logged and its best score lie beside them.

    Raises:
        UserError: One was given.
    """
    if path is not None:
        raise UserError(
            "fit --ckpt_path: go on with a run by --run_dir DIR --resume, or start another from its weights with "
            f"--model.weights {path}"
        )


def find_run_to_resume(run_dir: Path, recipe: str, resume: str | None) -> dict[str, Any] | None:
    """The checkpoint that `fit` goes on from, or None where it starts; its folder is ready to be written to.

    Args:
        run_dir: The run folder.
        recipe: What is to be trained, as YAML.
        resume: None, "exact" or "force", which takes a changed recipe.

    Raises:
        UserError: The folder can't be written to; it holds a run that is not to be gone on with, is of another recipe,
            or has no whole checkpoint.
    """
    first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    if first:
        prepare_folder(run_dir)
    if not holds_run(run_dir):
        return None
    if resume is None:
        raise UserError(f"{run_dir} holds a run already: choose another --run_dir, or go on with --resume")
    checkpoint = take_up(run_dir, first)
    if not is_finished(checkpoint, resume):
        check_discriminator(checkpoint, run_dir)
    check_recipe(run_dir, recipe, resume == "force")
    if first:
        check_versions(checkpoint)
    return checkpoint


def is_finished(checkpoint: dict[str, Any], resume: str | None) -> bool:
    """Whether there is nothing to go on with: by force, a run goes on beyond its end."""
    finished: bool = checkpoint["exact"]["finished"]
    return finished and resume != "force"


def without_finders(callbacks: list[Callback], data: Any, checkpoint: dict[str, Any]) -> list[Callback]:
    """The callbacks of a run that goes on: Lightning's finders have done their work, and would begin the run anew.

    Args:
        callbacks: Of the recipe.
        data: The data module, which gets the batch size that was found; the optimizer's state has the learning rate.
        checkpoint: What is gone on from.
    """
    if any(isinstance(callback, BatchSizeFinder) for callback in callbacks):
        data.batch_size = checkpoint["exact"]["batch_sizes"][0]
    return [callback for callback in callbacks if not isinstance(callback, BatchSizeFinder | LearningRateFinder)]


def take_up(run_dir: Path, first: bool) -> dict[str, Any]:
    """The newest whole checkpoint of a folder that `holds_run`; the first process makes it `last.ckpt`.

    Raises:
        UserError: None is whole, or they are not exact ones.
    """
    last, previous = (run_dir / CHECKPOINTS / name for name in (LAST, PREVIOUS))
    for path in (last, previous, last):  # the first process may have put it there in the meantime
        checkpoint = _whole(path)
        if checkpoint is not None:
            if path == previous and first:
                say(f"{last} is {'damaged' if last.exists() else 'not there'}: going on with the one before it")
                previous.replace(last)
            if "exact" not in checkpoint:
                raise UserError(f"{path}: not an exact checkpoint: start from its weights with model.weights")
            return checkpoint
    raise UserError(f"{last}: damaged, as is the one before it: start anew in another --run_dir")


def _whole(path: Path) -> dict[str, Any] | None:
    try:
        return read_checkpoint(path)
    except UserError:
        return None


def check_discriminator(checkpoint: dict[str, Any], run_dir: Path) -> None:
    """Refuse an adversarial run of a version whose loss trained its discriminator.

    Raises:
        UserError: It is one: the optimizer of the discriminator was part of the loss, and followed other rules.
    """
    if any(key.startswith("loss.discriminator.") for key in checkpoint["state_dict"]):
        raise UserError(
            f"{run_dir}: an adversarial run of an earlier version cannot be resumed exactly, because its loss had an "
            "optimizer of its own. Start another run from its weights with --model.weights "
            f"{run_dir / CHECKPOINTS / LAST}."
        )


def check_versions(checkpoint: dict[str, Any]) -> None:
    """Say what has changed since a checkpoint was written."""
    now = {"seglight": __version__, "torch": str(torch.__version__), "lightning": lightning.__version__}
    written = {
        "seglight": checkpoint[KEY].provenance.version,
        "torch": checkpoint["exact"]["torch"],
        "lightning": checkpoint["pytorch-lightning_version"],
    }
    changed = [f"{name} {written[name]} -> {now[name]}" for name in now if written[name] != now[name]]
    if changed:
        say(f"the run was saved by other versions, it may not go on to the last digit: {', '.join(changed)}")


def check_recipe(run_dir: Path, recipe: str, force: bool) -> None:
    """Compare the recipe of a run with what is to go on.

    Raises:
        UserError: They differ in what can change the result, and it is not forced.
    """
    path = run_dir / RECIPE_FILE
    if not path.is_file():
        return
    earlier, now = (_read(text) for text in (path.read_text(encoding="utf-8"), recipe))
    changed = [key for key in {**earlier, **now} if earlier.get(key, "-") != now.get(key, "-")]
    if not set(changed).isdisjoint(PROCESSES):
        changed = [key for key in changed if key != SHARE]
    changed = [key for key in changed if not _is_free(key, earlier.get(key), now.get(key))]
    differences = "; ".join(f"{key}: {earlier.get(key, '-')} -> {now.get(key, '-')}" for key in changed)
    if changed and not force:
        raise UserError(
            f"{path}: another recipe than the one to go on with: {differences} (--resume force goes on all the same)"
        )
    if changed:
        say(f"going on with another recipe, as forced: {differences}")


def _read(recipe: str) -> dict[str, Any]:
    """Dotted keys and values of a recipe, as this version would write it."""
    content = yaml.safe_load(recipe)
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        former_recipes.translated(content["model"])
    return ADDED | dict(_leaves(content))


def _is_free(key: str, *values: Any) -> bool:
    if any(str(value).endswith(".FSDP") for value in values):
        return False  # Lightning numbers the optimizer's state in another order there
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; a callback that only decides when to save is left out."""
    if isinstance(config, list):
        config = {
            str(index): entry
            for index, entry in enumerate(
                entry for entry in config if not (isinstance(entry, dict) and SAVING in str(entry.get("class_path")))
            )
        }
    if isinstance(config, dict):
        for name, part in config.items():
            yield from _leaves(part, f"{prefix}.{name}".strip("."))
    else:
        yield prefix, config
