"""Removal of checkpoints when trials are done: those that are not resumed any more are deleted or reduced to weights.

Everything that a trial is scored, compared and reproduced with is kept: recipe, scores, logged values, events, log. The
removal may be interrupted at any moment and repeated: each file is deleted, or written under another name and renamed.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from seglight.checkpoints.torch_file import read_weights_only
from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.record import Record, trial_folder
from seglight.commands.sweep.study import best_records
from seglight.commands.sweep.trial import LATENCY, run_folders
from seglight.errors import UserError, say
from seglight.system.atomic import atomic_path, remove_parts
from seglight.system.run_files import BEST, CHECKPOINTS, LAST, PREVIOUS

RESUME_KEYS = (
    "optimizer_states", "lr_schedulers", "loops", "callbacks", "exact", "current_model_state", "averaging_state",
)  # fmt: skip
"""Keys of a checkpoint that are only needed to resume its training; an EMA's average is in `state_dict`."""


class CheckpointCleanup:
    """Removes the checkpoints that trials no longer need, and counts the bytes that are freed.

    Trials that wait, run or are about to be pruned are not touched. The checkpoints of trials that failed, were pruned,
    or are finished but not among the best (with several objectives: on the Pareto front) are deleted. Of the best, the
    weights of `best.ckpt` are kept, and those of `last.ckpt`, which the score belongs to, if they differ.

    Args:
        trials: Folder of the trials.
        sweep: Sweep that defines the objectives and the seeds.
        records: Records of the coordinator, which updates them; each is on disk before its trial is cleaned up.

    Attributes:
        freed: Bytes that were freed.
    """

    def __init__(self, trials: Path, sweep: Sweep, records: Sequence[Record]) -> None:
        self.trials = trials
        self.sweep = sweep
        self.records = records
        self.freed = 0
        self.done: set[Path] = set()
        """Folders of checkpoints that are reduced, and stay so unless another trial becomes the best."""

    def run(self, ended: bool = False) -> None:
        """Clean up all trials that are done.

        Args:
            ended: Whether the final latencies are measured. They may change which trials are the best, so with latency
                among the objectives no finished trial loses its weights before.
        """
        undecided = LATENCY in self.sweep.objectives and not ended
        best = {record.number for record in best_records(self.sweep, self.records)[: self._limit()]}
        for record in self.records:
            if not record.done:
                continue
            keep = record.number in best or (undecided and record.state == "finished")
            for run in run_folders(self.sweep, trial_folder(self.trials, record.number)):
                self._clean(run / CHECKPOINTS, keep)

    def _limit(self) -> int | None:
        """Number of best trials: one, or the whole front."""
        return 1 if len(self.sweep.objectives) == 1 else None

    def _clean(self, folder: Path, keep: bool) -> None:
        if not folder.is_dir() or (keep and folder in self.done):
            return
        before = _size(folder)
        try:
            if keep:
                _reduce(folder)
                self.done.add(folder)
            else:
                shutil.rmtree(folder)
        except (OSError, UserError) as error:
            cause = error if isinstance(error, UserError) else f"{folder}: {error.strerror}"
            say(f"{cause}; the checkpoints of this trial are left unchanged")
            self.done.add(folder)
        self.freed += before - _size(folder)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _reduce(folder: Path) -> None:
    """Keep only the weights of each checkpoint, and `last.ckpt` only if its weights differ from those of `best.ckpt`.

    Raises:
        OSError: A file can't be written or removed.
        UserError: A checkpoint is damaged.
    """
    remove_parts(folder)
    (folder / PREVIOUS).unlink(missing_ok=True)
    weights: dict[str, torch.Tensor] = {}
    for path in _checkpoints(folder):
        content = read_weights_only(path)
        if not isinstance(content, dict):  # not one of ours
            continue
        if path.name == LAST and weights and _equal(content.get("state_dict"), weights):
            path.unlink()
            continue
        if path.name == BEST:
            weights = content["state_dict"]
        if not content.keys() & set(RESUME_KEYS):
            continue
        with atomic_path(path, sync=True) as part:
            torch.save({key: value for key, value in content.items() if key not in RESUME_KEYS}, part)


def _checkpoints(folder: Path) -> Iterator[Path]:
    """Checkpoints of a folder, `last.ckpt` after all others."""
    paths = sorted(folder.glob("*.ckpt"))
    yield from (path for path in paths if path.name not in (LAST, PREVIOUS))
    yield from (path for path in paths if path.name == LAST)


def _equal(state: Any, other: dict[str, torch.Tensor]) -> bool:
    return (
        isinstance(state, dict)
        and state.keys() == other.keys()
        and all(torch.equal(tensor, other[name]) for name, tensor in state.items())
    )
