"""The folder that everything of a run goes to."""

import itertools
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from seglight.errors import UserError
from seglight.running.checkpoint_files import LAST, PREVIOUS


def default_run_dir(configs: list[str]) -> Path:
    """`runs/<recipe>/<time>`: the recipe is the file's place under `configs`; several files are joined by `+`."""
    names = []
    for config in configs:
        parts = Path(config).with_suffix("").parts
        names.append("/".join(parts[parts.index("configs") + 1 :]) if "configs" in parts else parts[-1])
    recipe = names[0] if len(names) == 1 else "+".join(name.replace("/", "_") for name in names) or "no_recipe"
    return Path("runs") / recipe / time.strftime("%Y%m%d-%H%M%S")


def prepare_folder(run_dir: Path) -> None:
    """Clean what killed runs left half written, and see that the folder can be written to.

    Raises:
        UserError: It can't.
    """
    places = [place for place in (run_dir, run_dir / "checkpoints") if place.exists()]
    try:
        # a folder that is not there yet is made when there is something to write: in the first one that is there
        for place in places or [next(parent for parent in run_dir.absolute().parents if parent.exists())]:
            with tempfile.TemporaryFile(dir=place):
                pass
        for place, pattern in itertools.product(places, ("*.part", "*.part.*")):
            for part in place.glob(pattern):
                part.unlink(missing_ok=True)  # another process of this run may have been first
    except OSError as error:
        raise UserError(
            f"{run_dir}: nothing can be written there ({error.strerror}): choose another --run_dir"
        ) from error


def holds_run(run_dir: Path) -> bool:
    """Whether a run was saved in a folder."""
    # in this order: another process may be renaming the one into the other
    return any((run_dir / "checkpoints" / name).exists() for name in (PREVIOUS, LAST))


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
