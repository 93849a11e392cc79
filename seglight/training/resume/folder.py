"""The folder that all files of a run are written to."""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seglight.errors import UserError
from seglight.system.atomic import remove_parts
from seglight.system.run_files import BEST, CHECKPOINTS, LAST, PREVIOUS, RECIPE_FILE


def default_run_dir(configs: list[str]) -> Path:
    """Return `runs/<recipe>/<time>`; the recipe is the file's path below `configs`, several files are joined by `+`."""
    names = []
    for config in configs:
        parts = Path(config).with_suffix("").parts
        names.append("/".join(parts[parts.index("configs") + 1 :]) if "configs" in parts else parts[-1])
    recipe = names[0] if len(names) == 1 else "+".join(name.replace("/", "_") for name in names) or "no_recipe"
    return Path("runs") / recipe / time.strftime("%Y%m%d-%H%M%S")


def folder_of_scores(command: str, ckpt_path: str | None, configs: list[str]) -> Path | None:
    """Return `RUN/<command>/<time>`, the default folder of `validate` and `test`.

    Args:
        command: "validate" or "test".
        ckpt_path: Checkpoint that is scored, in RUN/checkpoints, or None.
        configs: Config files; one of them may be RUN/config.yaml.

    Returns:
        None if neither the checkpoint nor a config file lies in the folder of a run.
    """
    places = [] if ckpt_path is None else [Path(ckpt_path).parent.parent]
    places += [Path(config).parent for config in configs if Path(config).name == RECIPE_FILE]
    run = next((place for place in places if (place / RECIPE_FILE).is_file() and holds_run(place)), None)
    return None if run is None else run / command / time.strftime("%Y%m%d-%H%M%S")


def check_apart(folder: Path, root: str | Path | None, option: str) -> None:
    """Check that neither of the folders of a run and of its data set contains the other.

    Args:
        folder: Folder that is written to.
        root: Folder of the data set; None if it has no single folder.
        option: Option of the command that names `folder`, for the message.

    Raises:
        UserError: One folder is or contains the other, links included.
    """
    check_outside(folder, root, option)
    if root is not None and _is_below(Path(root), folder):
        raise UserError(f"{option} {folder}: the data set {root} lies in it: choose a folder of its own")


def check_outside(path: Path, root: str | Path | None, option: str) -> None:
    """Check that nothing is written among the images and labels of a data set.

    Args:
        path: File or folder that is written.
        root: As in `check_apart`.
        option: As in `check_apart`.

    Raises:
        UserError: The path is the folder of the data set or lies in it, links included.
    """
    if root is not None and _is_below(path, Path(root)):
        raise UserError(f"{option} {path}: lies in the data set {root}: choose a place outside of it")


def check_utf8(run_dir: Path) -> None:
    """Check that the path of a run folder is text: logs and recipes contain it.

    Raises:
        UserError: The path is not UTF-8.
    """
    try:
        str(run_dir).encode("utf-8")
    except UnicodeEncodeError as error:
        shown = os.fsencode(run_dir).decode("utf-8", "backslashreplace")
        raise UserError(f"--run_dir {shown}: the name is not UTF-8: choose another") from error


def _is_below(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it, by real paths and, for existing ones, by inode, for bind mounts."""
    real, target = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if real.is_relative_to(target):
        return True
    return target.exists() and any(place.exists() and place.samefile(target) for place in (real, *real.parents))


def prepare_folder(run_dir: Path) -> None:
    """Remove partial files of killed runs, and check that the folder can be written to.

    Raises:
        UserError: It can't.
    """
    places = [place for place in (run_dir, run_dir / CHECKPOINTS) if place.exists()]
    try:
        # a missing folder is created with the first file; until then its closest existing parent is checked
        for place in places or [next(parent for parent in run_dir.absolute().parents if parent.exists())]:
            with tempfile.TemporaryFile(dir=place):
                pass
        for place in places:
            remove_parts(place)
    except OSError as error:
        raise UserError(
            f"{run_dir}: nothing can be written there ({error.strerror}): choose another --run_dir"
        ) from error


def check_scored(command: str, configs: Sequence[str]) -> None:
    """Refuse to score the recipe of a run without one of its checkpoints, because the net would be untrained.

    Args:
        command: `validate` or `test`.
        configs: Files of the recipe.

    Raises:
        UserError: One of them is the recipe of a run.
    """
    for config in map(Path, configs):
        if config.name == RECIPE_FILE and holds_run(config.parent):
            best = config.parent / CHECKPOINTS / BEST
            raise UserError(
                f"{command}: {config} is the recipe of a run, and without a checkpoint its net is untrained: "
                f"add --ckpt_path {best if best.exists() else best.with_name(LAST)}"
            )


def holds_run(run_dir: Path) -> bool:
    """Whether a folder holds a checkpoint of a run."""
    # in this order: another process may be renaming the one into the other
    return any((run_dir / CHECKPOINTS / name).exists() for name in (PREVIOUS, LAST))


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested dicts into one with dotted keys."""
    if not isinstance(config, dict):
        return {prefix: config if isinstance(config, (bool, int, float, str)) else str(config)}
    return {
        key: value for name, part in config.items() for key, value in flat(part, f"{prefix}.{name}".strip(".")).items()
    }


def relocated(value: Any, old: str, new: str) -> Any:
    """Copy nested values, with paths and keys below folder `old` moved to folder `new`."""
    if isinstance(value, dict):
        return {relocated(key, old, new): relocated(part, old, new) for key, part in value.items()}
    if isinstance(value, str) and (value == old or value.startswith(f"{old}{os.sep}")):
        return new + value.removeprefix(old)
    return value
