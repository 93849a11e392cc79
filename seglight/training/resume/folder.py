"""The folder that everything of a run goes to."""

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
    """`runs/<recipe>/<time>`: the recipe is the file's place under `configs`; several files are joined by `+`."""
    names = []
    for config in configs:
        parts = Path(config).with_suffix("").parts
        names.append("/".join(parts[parts.index("configs") + 1 :]) if "configs" in parts else parts[-1])
    recipe = names[0] if len(names) == 1 else "+".join(name.replace("/", "_") for name in names) or "no_recipe"
    return Path("runs") / recipe / time.strftime("%Y%m%d-%H%M%S")


def folder_of_scores(command: str, ckpt_path: str | None, configs: list[str]) -> Path | None:
    """`RUN/<command>/<time>`, where `validate` and `test` write unless they are given a folder.

    Args:
        command: "validate" or "test".
        ckpt_path: The checkpoint that is scored, which lies in RUN/checkpoints; or None.
        configs: Config files; one of them may be RUN/config.yaml.

    Returns:
        None where neither the checkpoint nor a config file lies in a run's folder.
    """
    places = [] if ckpt_path is None else [Path(ckpt_path).parent.parent]
    places += [Path(config).parent for config in configs if Path(config).name == RECIPE_FILE]
    run = next((place for place in places if (place / RECIPE_FILE).is_file() and holds_run(place)), None)
    return None if run is None else run / command / time.strftime("%Y%m%d-%H%M%S")


def check_apart(folder: Path, root: str | Path | None, option: str) -> None:
    """See that a run neither writes among the images and labels of its data set nor has them in its folder.

    Args:
        folder: What is written to.
        root: Folder of the data set; None where the data lies in none.
        option: Option of the command that names `folder`, for the message.

    Raises:
        UserError: One folder is or contains the other, also by way of links.
    """
    check_outside(folder, root, option)
    if root is not None and _is_below(Path(root), folder):
        raise UserError(f"{option} {folder}: the data set {root} lies in it: choose a folder of its own")


def check_outside(path: Path, root: str | Path | None, option: str) -> None:
    """See that what is written doesn't come to lie among the images and labels of a data set.

    Args:
        path: File or folder that is written.
        root: As in `check_apart`.
        option: As in `check_apart`.

    Raises:
        UserError: It lies in the folder of the data set, or is that folder, also by way of links.
    """
    if root is not None and _is_below(path, Path(root)):
        raise UserError(f"{option} {path}: lies in the data set {root}: choose a place outside of it")


def check_utf8(run_dir: Path) -> None:
    """See that the path of a run folder is text, which logs and recipes hold.

    Raises:
        UserError: It has bytes that are no UTF-8.
    """
    try:
        str(run_dir).encode("utf-8")
    except UnicodeEncodeError as error:
        shown = os.fsencode(run_dir).decode("utf-8", "backslashreplace")
        raise UserError(f"--run_dir {shown}: the name is not UTF-8: choose another") from error


def _is_below(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it, by real paths and, for what there is, by inode: of bind mounts too."""
    real, target = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if real.is_relative_to(target):
        return True
    return target.exists() and any(place.exists() and place.samefile(target) for place in (real, *real.parents))


def prepare_folder(run_dir: Path) -> None:
    """Clean what killed runs left half written, and see that the folder can be written to.

    Raises:
        UserError: It can't.
    """
    places = [place for place in (run_dir, run_dir / CHECKPOINTS) if place.exists()]
    try:
        # a folder that is not there yet is made when there is something to write: in the first one that is there
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
    """Refuse to score the recipe of a run without one of its checkpoints: the net would be untrained.

    Args:
        command: `validate` or `test`.
        configs: The recipe's files.

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
    """Whether a run was saved in a folder."""
    # in this order: another process may be renaming the one into the other
    return any((run_dir / CHECKPOINTS / name).exists() for name in (PREVIOUS, LAST))


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one with dotted keys."""
    if not isinstance(config, dict):
        return {prefix: config if isinstance(config, (bool, int, float, str)) else str(config)}
    return {
        key: value for name, part in config.items() for key, value in flat(part, f"{prefix}.{name}".strip(".")).items()
    }


def relocated(value: Any, old: str, new: str) -> Any:
    """A copy of nested values with the paths under one folder, also those that are keys, turned to another."""
    if isinstance(value, dict):
        return {relocated(key, old, new): relocated(part, old, new) for key, part in value.items()}
    if isinstance(value, str) and (value == old or value.startswith(f"{old}{os.sep}")):
        return new + value.removeprefix(old)
    return value
