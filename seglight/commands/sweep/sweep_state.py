"""State of a sweep in its folder: what it was started with, so that it resumes as the same sweep or not at all."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from seglight.commands.sweep.overrides import Overrides, inside, normalized, parsed
from seglight.errors import UserError
from seglight.system.atomic import atomic_write
from seglight.training.resume.folder import flat
from seglight.training.resume.resume import FREE as FREE_IN_RUNS

if TYPE_CHECKING:  # imports Optuna
    from seglight.commands.sweep.options import Sweep

SWEEP_FILE = "sweep.yaml"
"""Copy of SWEEP.yaml in the folder of the sweep; a folder with this file holds a sweep."""

STATE_FILE = "begun.yaml"
"""File beside it with the working directory, the contents of the config files, and the overrides."""

FREE = ("trials", "running")
"""Keys of SWEEP.yaml that may change when a sweep is resumed, as no candidate depends on them."""

SEEDS = "running.seeds"
"""Exception to FREE: scores depend on it."""

ORDERED = ("objectives", "space")
"""Keys whose order matters: pruners use the first objective, and candidates are drawn key by key."""

SHOWN = 8
"""Maximum number of differences in an error message."""

KEEP_BEST = "best"
"""Default of `running.keep`; sweeps that were started before there was such a key keep all checkpoints."""


def save_state(out: Path, text: str, sweep: "Sweep") -> None:
    """Write the state of a sweep that starts or resumes.

    Args:
        out: Folder of the sweep.
        text: Text of its SWEEP.yaml.
        sweep: The same sweep, parsed, with its overrides.
    """
    state = _read(out / STATE_FILE) if (out / SWEEP_FILE).exists() else {"keep": KEEP_BEST}
    content = {"folder": str(Path.cwd()), "configs": _configs(sweep)} | state | {"overrides": sweep.overrides}
    if content != state:
        atomic_write(out / STATE_FILE, yaml.safe_dump(content, sort_keys=False))
    atomic_write(out / SWEEP_FILE, text)  # last: from now on the folder holds a sweep


def keeps_all_checkpoints(out: Path, sweep: "Sweep") -> bool:
    """Whether the checkpoints of all trials are kept, according to `running.keep` or its default."""
    return (sweep.running.keep or _read(out / STATE_FILE).get("keep")) != KEEP_BEST


def merged_overrides(out: Path, given: Overrides) -> Overrides:
    """Overrides that the sweep was started with, updated by those that are given now.

    Raises:
        UserError: An override differs from that of the start, and is not one of those that may change.
    """
    if not (out / SWEEP_FILE).is_file():
        return given
    kept: Overrides = _read(out / STATE_FILE).get("overrides") or {}
    before = parsed(kept)
    now = parsed(given)
    changed = [key for key in given if _differ(before, now, key) and not _is_free(key, now[key])]
    if changed:
        differences = "; ".join(f"{key}: {before.get(key, '-')} -> {now[key]}" for key in changed)
        raise UserError(
            f"{out}: the sweep was started with other overrides: {differences}: leave them out, or choose another --out"
        )
    return kept | given


def free_overrides(overrides: Overrides) -> Overrides:
    """Overrides that may change when a sweep is resumed, as they may when `fit` resumes a run."""
    return {key: texts for key, texts in overrides.items() if _is_free(key, texts[-1])}


def _is_free(key: str, value: object) -> bool:
    return any(inside(normalized(key), normalized(free)) for free in FREE_IN_RUNS) and not str(value).endswith("FSDP")


def working_directory(out: Path) -> Path:
    """Directory that a sweep was started in; the current one if the sweep is new or that directory does not exist."""
    folder = Path(_read(out / STATE_FILE).get("folder", Path.cwd()))
    return folder if folder.is_dir() else Path.cwd()


def check_unchanged(out: Path, path: Path, sweep: "Sweep") -> None:
    """Compare a sweep with the one in a folder, if there is one.

    Args:
        out: Folder of the sweep.
        path: SWEEP.yaml of the sweep to be resumed.
        sweep: The same sweep, parsed.

    Raises:
        UserError: They differ in more than the number of trials and how these are run.
    """
    if not (out / SWEEP_FILE).is_file():
        return
    kept = _read(out / SWEEP_FILE)
    content = _read(path)
    before = _fixed_keys(kept)
    now = _fixed_keys(content)
    configs = _read(out / STATE_FILE).get("configs")
    if configs is not None:
        before |= flat(configs)
        now |= flat(_configs(sweep))
    changed = [f"{k}: {before.get(k, '-')} -> {now.get(k, '-')}" for k in {**before, **now} if _differ(before, now, k)]
    reordered = [name for name in ORDERED if list(kept.get(name) or ()) != list(content.get(name) or ())]
    if reordered and not changed:
        changed = [f"the order of the keys in {reordered[0]}"]
    if changed:
        more = [f"and {len(changed) - SHOWN} more"] if len(changed) > SHOWN else []
        differences = "; ".join([*changed[:SHOWN], *more])
        raise UserError(f"{path}: the sweep in {out} is another one: {differences}: choose another --out")


def _differ(before: dict[str, Any], now: dict[str, Any], key: str) -> bool:
    return key not in before or key not in now or before[key] != now[key]


def _fixed_keys(content: dict[str, Any]) -> dict[str, Any]:
    """Dotted keys and values that may not change."""
    leaves = flat(content)
    return {key: value for key, value in leaves.items() if key == SEEDS or key.split(".")[0] not in FREE}


def _configs(sweep: "Sweep") -> dict[str, Any]:
    """Contents of each config file that the sweep names."""
    choices = [path for parameter in sweep.parameters if parameter.kind == "configs" for path in parameter.values]
    return {path: _read(Path(path)) for path in dict.fromkeys([*sweep.configs, *choices])}


def _read(path: Path) -> dict[str, Any]:
    """Keys and values of a file; none if there is no file."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: {getattr(error, 'strerror', None) or f'the file is not valid YAML: {error}'}"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: the file holds no keys and values, but {str(content)[:40]}")
    return content
