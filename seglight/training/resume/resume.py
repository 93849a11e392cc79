"""`fit --resume`: find the run to resume, and check that it is still the same run."""

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
    "data.init_args.root", "data.init_args.eval_batch_size", "logger",
)  # fmt: skip
"""Keys of a recipe that change no result, or one that is announced: the number of processes."""

PROCESSES, SHARE = ("trainer.devices", "trainer.num_nodes", "trainer.strategy"), "data.init_args.batch_size"
"""If one of the former changes, each process may take another share of the samples of a step."""

ADDED = {
    "model.method.class_path": former_recipes.SUPERVISED,
    "data.init_args.lists": None,
    "data.init_args.bands": None,
    "data.init_args.instances": False,
}
"""Keys that recipes of earlier versions do not have, and the values that mean what those versions did."""

ADDED_ARGUMENTS: dict[str, Any] = {"per_band": None, "rot90": 0.0, "weight_bands": None}
"""The same for arguments of encoders and augmentations, which may stand at any depth."""

SAVING = "ExactCheckpoint"


def describe_ckpt_path(fit: ArgumentParser) -> None:
    """Replace the help of --ckpt_path, which describes what Lightning would do."""
    (action,) = (action for action in fit._actions if action.dest == "ckpt_path")
    action.help = "not available in fit: resume with --resume, or start from weights with --model.weights"


def refuse_ckpt_path(path: str | None) -> None:
    """Refuse --ckpt_path: a checkpoint is not the whole run, whose logs and best score are files beside it.

    Args:
        path: Value of --ckpt_path.

    Raises:
        UserError: There is one.
    """
    if path is not None:
        raise UserError(
            "fit --ckpt_path: resume a run with --run_dir DIR --resume, or start another from its weights with "
            f"--model.weights {path}"
        )


def find_run_to_resume(run_dir: Path, recipe: str, resume: str | None) -> dict[str, Any] | None:
    """Find the checkpoint that `fit` resumes from, and prepare the run folder.

    Args:
        run_dir: The run folder.
        recipe: Recipe of this command, as YAML.
        resume: Value of --resume: None, "exact", or "force", which accepts a changed recipe.

    Returns:
        None if the folder holds no run: a new one starts.

    Raises:
        UserError: The folder can't be written to, or its run is not to be resumed, has another recipe, or has no
            intact checkpoint.
    """
    first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    if first:
        prepare_folder(run_dir)
    if not holds_run(run_dir):
        if first and resume is not None and (run_dir / RECIPE_FILE).exists():
            say(f"{run_dir}: its run ended before the first checkpoint, and begins again at step 0")
        return None
    if resume is None:
        raise UserError(f"{run_dir} holds a run already: choose another --run_dir, or resume it with --resume")
    checkpoint = newest_checkpoint(run_dir, first)
    if not is_finished(checkpoint, resume):
        check_discriminator(checkpoint, run_dir)
    check_recipe(run_dir, recipe, resume == "force")
    if first:
        check_versions(checkpoint)
    return checkpoint


def is_finished(checkpoint: dict[str, Any], resume: str | None) -> bool:
    """Whether a run has nothing left to train; with "force", it is continued beyond its end."""
    finished: bool = checkpoint["exact"]["finished"]
    return finished and resume != "force"


def without_finders(callbacks: list[Callback], data: Any, checkpoint: dict[str, Any]) -> list[Callback]:
    """Remove Lightning's finders from the callbacks of a resumed run: they have run, and would start it again.

    Args:
        callbacks: Callbacks of the recipe.
        data: Data module, which gets the batch size that was found; the learning rate is in the optimizer's state.
        checkpoint: Checkpoint that the run is resumed from.
    """
    if any(isinstance(callback, BatchSizeFinder) for callback in callbacks):
        data.batch_size = checkpoint["exact"]["batch_sizes"][0]
    return [callback for callback in callbacks if not isinstance(callback, BatchSizeFinder | LearningRateFinder)]


def newest_checkpoint(run_dir: Path, first: bool) -> dict[str, Any]:
    """Read the newest intact checkpoint of a folder that `holds_run`; the first process renames it to `last.ckpt`.

    Args:
        run_dir: The run folder.
        first: Whether this is the first process of the run.

    Raises:
        UserError: All are damaged, or the newest is not an exact checkpoint.
    """
    last, previous = (run_dir / CHECKPOINTS / name for name in (LAST, PREVIOUS))
    for path in (last, previous, last):  # the first process may have put it there in the meantime
        checkpoint = _whole(path)
        if checkpoint is not None:
            if path == previous and first:
                say(f"{last} is {'damaged' if last.exists() else 'not there'}: resuming from the one before it")
                previous.replace(last)
            if "exact" not in checkpoint:
                raise UserError(f"{path}: this is not an exact checkpoint: start from its weights with model.weights")
            return checkpoint
    raise UserError(f"{last}: it is damaged, as is the one before it: start a new run in another --run_dir")


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
    """Print which versions differ from those that wrote a checkpoint."""
    now = {"seglight": __version__, "torch": str(torch.__version__), "lightning": lightning.__version__}
    written = {
        "seglight": checkpoint[KEY].provenance.version,
        "torch": checkpoint["exact"]["torch"],
        "lightning": checkpoint["pytorch-lightning_version"],
    }
    changed = [f"{name} {written[name]} -> {now[name]}" for name in now if written[name] != now[name]]
    if changed:
        say(f"the run was saved by other versions and may not continue to the last digit: {', '.join(changed)}")


def check_recipe(run_dir: Path, recipe: str, force: bool) -> None:
    """Compare the recipe of a run with that of this command.

    Args:
        run_dir: The run folder.
        recipe: Recipe of this command, as YAML.
        force: Whether a changed recipe is accepted.

    Raises:
        UserError: They differ in something that can change the result, and `force` is False.
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
            f"{path}: the recipe has changed since the run started: {differences} (--resume force resumes nevertheless)"
        )
    if changed:
        say(f"resuming with a changed recipe, as forced: {differences}")


def _read(recipe: str) -> dict[str, Any]:
    """Dotted keys and values of a recipe, as this version would write it."""
    content = yaml.safe_load(recipe)
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        former_recipes.translated(content["model"])
    leaves = ((key, value) for key, value in _leaves(content) if not _is_added(key, value))
    return ADDED | dict(leaves)


def _is_added(key: str, value: Any) -> bool:
    name = key.rpartition(".")[2]
    return name in ADDED_ARGUMENTS and value == ADDED_ARGUMENTS[name]


def _is_free(key: str, *values: Any) -> bool:
    if any(str(value).endswith(".FSDP") for value in values):
        return False  # Lightning numbers the optimizer's state in another order there
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values, without callbacks that only decide when to save."""
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
