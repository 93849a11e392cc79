"""Checkpoints of settled trials: those that nobody resumes any more are removed, or cut down to their weights.

All that a trial is scored, compared and repeated by stays: recipe, scores, logged values, events, log. What is done
here may be interrupted at any moment and done again: each file is removed, or written beside and renamed.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from seglight.checkpoints.torch_file import read_weights_only
from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.record import Record, folder_of
from seglight.commands.sweep.study import best_records
from seglight.commands.sweep.trial import LATENCY, run_folders
from seglight.errors import UserError, say
from seglight.system.atomic import atomic_path, remove_parts
from seglight.system.run_files import BEST, CHECKPOINTS, LAST, PREVIOUS

"""In a run folder; and its checkpoint with the highest `val/miou`."""

RESUMING = (
    "optimizer_states", "lr_schedulers", "loops", "callbacks", "exact", "current_model_state", "averaging_state",
)  # fmt: skip
"""Keys of a checkpoint that only serve to resume its training; an EMA's average is in `state_dict`."""


class Tidying:
    """Removes what settled trials no longer need, and counts its bytes.

    Trials that wait, run or are about to be pruned are left alone. Of those that failed, were pruned, or are finished
    and not among the best (with several objectives: on the Pareto front), the checkpoints are removed. Of the best, the
    weights of `best.ckpt` stay, and those of `last.ckpt`, which the score belongs to, where they differ.

    Args:
        trials: Folder of the trials.
        sweep: Of which the objectives and the seeds.
        records: Those of the coordinator, which change; each is on the disk before it is tidied after.

    Attributes:
        freed: Bytes that were freed.
    """

    def __init__(self, trials: Path, sweep: Sweep, records: Sequence[Record]) -> None:
        self.trials, self.sweep, self.records = trials, sweep, records
        self.freed = 0
        self.done: set[Path] = set()
        """Folders of checkpoints in which nothing more is to be done, unless their trial is beaten."""

    def tidy(self, ended: bool = False) -> None:
        """Tidy all trials that are settled.

        Args:
            ended: Whether latencies are measured alone. Until then, those that guide the search may put another trial
                among the best: with latency among the objectives no finished trial loses its weights before.
        """
        undecided = LATENCY in self.sweep.objectives and not ended
        best = {record.number for record in best_records(self.sweep, self.records)[: self._count()]}
        for record in self.records:
            if not record.settled:
                continue
            stays = record.number in best or (undecided and record.state == "finished")
            for run in run_folders(self.sweep, folder_of(self.trials, record.number)):
                self._tidy(run / CHECKPOINTS, stays)

    def _count(self) -> int | None:
        """How many of the best there are: one, or a whole front."""
        return 1 if len(self.sweep.objectives) == 1 else None

    def _tidy(self, folder: Path, stays: bool) -> None:
        if not folder.is_dir() or (stays and folder in self.done):
            return
        before = _bytes(folder)
        try:
            if stays:
                _cut_down(folder)
                self.done.add(folder)
            else:
                shutil.rmtree(folder)
        except (OSError, UserError) as error:
            said = error if isinstance(error, UserError) else f"{folder}: {error.strerror}"
            say(f"{said}; the checkpoints of this trial are left as they are")
            self.done.add(folder)
        self.freed += before - _bytes(folder)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _cut_down(folder: Path) -> None:
    """Leave the weights of each checkpoint alone, of `last.ckpt` if they are others than those of `best.ckpt`.

    Raises:
        OSError: A file can't be written or removed.
        UserError: A checkpoint is damaged.
    """
    remove_parts(folder)
    (folder / PREVIOUS).unlink(missing_ok=True)
    weights: dict[str, torch.Tensor] = {}
    for path in _checkpoints(folder):
        content = read_weights_only(path)
        if not isinstance(content, dict):  # somebody's own
            continue
        if path.name == LAST and weights and _same(content.get("state_dict"), weights):
            path.unlink()
            continue
        if path.name == BEST:
            weights = content["state_dict"]
        if not content.keys() & set(RESUMING):
            continue
        with atomic_path(path, sync=True) as part:
            torch.save({key: value for key, value in content.items() if key not in RESUMING}, part)


def _checkpoints(folder: Path) -> Iterator[Path]:
    """Those of a folder, `last.ckpt` after all others."""
    paths = sorted(folder.glob("*.ckpt"))
    yield from (path for path in paths if path.name not in (LAST, PREVIOUS))
    yield from (path for path in paths if path.name == LAST)


def _same(state: Any, other: dict[str, torch.Tensor]) -> bool:
    return (
        isinstance(state, dict)
        and state.keys() == other.keys()
        and all(torch.equal(tensor, other[name]) for name, tensor in state.items())
    )
