"""What a sweep was begun with: kept in its folder, so that it goes on as the same sweep or not at all."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from seglight.commands.sweep.overrides import Overrides, inside, plain, shown
from seglight.errors import UserError
from seglight.system.atomic import atomic_write
from seglight.training.resume.folder import flat
from seglight.training.resume.resume import FREE as FREE_OF_RUNS

if TYPE_CHECKING:  # needs Optuna
    from seglight.commands.sweep.options import Sweep

FILE, BESIDE = "sweep.yaml", "begun.yaml"
"""In the sweep's folder: a copy of SWEEP.yaml; the config files that it names, and whence relative paths are meant."""

FREE, SEEDS = ("trials", "running"), "running.seeds"
"""Keys of SWEEP.yaml that may change while a sweep goes on, for they decide no candidate; but seeds decide scores."""

ORDERED = ("objectives", "space")
"""Pruners look at the first objective, candidates are drawn key by key."""

SHOWN = 8
"""Differences that are told one by one."""


KEEP = "best"
"""What `running.keep` is where it is not given; sweeps that were begun before there was such a thing keep all."""


def keep(out: Path, text: str, sweep: "Sweep") -> None:
    """Write down what is begun, or what is resumed, by the text of its SWEEP.yaml and its overrides."""
    begun = _read(out / BESIDE) if (out / FILE).exists() else {"keep": KEEP}
    content = {"folder": str(Path.cwd()), "configs": _configs(sweep)} | begun | {"overrides": sweep.overrides}
    if content != begun:
        atomic_write(out / BESIDE, yaml.safe_dump(content, sort_keys=False))
    atomic_write(out / FILE, text)  # the last: from here on there is a sweep in the folder


def keeps_all(out: Path, sweep: "Sweep") -> bool:
    """Whether the checkpoints of all trials stay; as `running.keep` says, or as it was when the sweep was begun."""
    return (sweep.running.keep or _read(out / BESIDE).get("keep")) != KEEP


def overrides_of(out: Path, given: Overrides) -> Overrides:
    """The overrides that a sweep has: those that it was begun with, with those that are given now over them.

    Raises:
        UserError: One that is given changes what the sweep was begun with, and does not only say where or how to run.
    """
    if not (out / FILE).is_file():
        return given
    kept: Overrides = _read(out / BESIDE).get("overrides") or {}
    before, now = shown(kept), shown(given)
    changed = [key for key in given if _differ(before, now, key) and not _is_free(key, now[key])]
    if changed:
        differences = "; ".join(f"{key}: {before.get(key, '-')} -> {now[key]}" for key in changed)
        raise UserError(f"{out} was begun with other overrides: {differences}: leave them out, or choose another --out")
    return kept | given


def free_overrides(overrides: Overrides) -> Overrides:
    """Those that may change while a sweep goes on, as they may when `fit` resumes a run."""
    return {key: texts for key, texts in overrides.items() if _is_free(key, texts[-1])}


def _is_free(key: str, value: object) -> bool:
    return any(inside(plain(key), plain(free)) for free in FREE_OF_RUNS) and not str(value).endswith("FSDP")


def folder_of_start(out: Path) -> Path:
    """The working directory that a sweep was begun in, or this one, where it is new or that one is gone."""
    place = Path(_read(out / BESIDE).get("folder", Path.cwd()))
    return place if place.is_dir() else Path.cwd()


def check_unchanged(out: Path, given: Path, sweep: "Sweep") -> None:
    """Compare a sweep with that of a folder, if it holds one.

    Args:
        out: The folder.
        given: SWEEP.yaml of what is to go on.
        sweep: The same, read.

    Raises:
        UserError: They differ in more than the number of trials and how they are run.
    """
    if not (out / FILE).is_file():
        return
    kept, content = _read(out / FILE), _read(given)
    before, now = _meaning(kept), _meaning(content)
    configs = _read(out / BESIDE).get("configs")
    if configs is not None:
        before, now = before | flat(configs), now | flat(_configs(sweep))
    changed = [f"{k}: {before.get(k, '-')} -> {now.get(k, '-')}" for k in {**before, **now} if _differ(before, now, k)]
    reordered = [name for name in ORDERED if list(kept.get(name) or ()) != list(content.get(name) or ())]
    if reordered and not changed:
        changed = [f"the order in {reordered[0]}:"]
    if changed:
        more = [f"and {len(changed) - SHOWN} more"] if len(changed) > SHOWN else []
        differences = "; ".join([*changed[:SHOWN], *more])
        raise UserError(f"{given}: another sweep than that in {out}: {differences}: choose another --out")


def _differ(before: dict[str, Any], now: dict[str, Any], key: str) -> bool:
    return key not in before or key not in now or before[key] != now[key]


def _meaning(content: dict[str, Any]) -> dict[str, Any]:
    """Dotted keys and values of what must stay."""
    leaves = flat(content)
    return {key: value for key, value in leaves.items() if key == SEEDS or key.split(".")[0] not in FREE}


def _configs(sweep: "Sweep") -> dict[str, Any]:
    """What stands in each config file that the sweep names."""
    choices = [path for parameter in sweep.parameters if parameter.kind == "configs" for path in parameter.values]
    return {path: _read(Path(path)) for path in dict.fromkeys([*sweep.configs, *choices])}


def _read(path: Path) -> dict[str, Any]:
    """Keys and values of a file, none where there is no file."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or f'not YAML: {error}'}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: no keys and values, but {str(content)[:40]}")
    return content
