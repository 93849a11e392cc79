"""Checkpoints of trials that are done: which are kept, that they stay complete, and that a kill does no harm."""

import os
import signal
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import seglight
from seglight.commands.sweep.cleanup import RESUME_KEYS, CheckpointCleanup
from seglight.commands.sweep.options import Sweep, read_sweep
from seglight.commands.sweep.record import Record, trial_folder
from seglight.commands.sweep.sweep_state import keeps_all_checkpoints, save_state
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from tests.fuzz.originals import NET, pixels
from tests.support.checkpoint_files import write
from tests.support.small_sweeps import record, small_sweep, written


@cache
def content_of(seed: int) -> tuple[bytes, dict[str, torch.Tensor]]:
    """A checkpoint as a training with AdamW and EMA writes it, and its weights."""
    torch.manual_seed(seed)
    net = EncoderDecoder(3, TimmEncoder("test_resnet", None, depth=2), lambda *fine: FPN(*fine, 8, 8))
    with TemporaryDirectory() as folder:
        path = write(Path(folder) / "a.ckpt", NET, {f"net.{key}": value for key, value in net.state_dict().items()})
        content = torch.load(path, weights_only=True)
        weights: dict[str, torch.Tensor] = content["state_dict"]
        moments = [{"state": {k: {"exp_avg": v, "exp_avg_sq": v} for k, v in enumerate(weights.values())}}]
        more = {"optimizer_states": moments, "current_model_state": weights, "exact": {"finished": True}}
        torch.save(content | more | {"global_step": 7}, path)
        return path.read_bytes(), weights


def trained(trials: Path, number: int, *names: str, last: int = 0, run: str = "") -> Path:
    """Write the checkpoints of a trial, `last.ckpt` with another seed if one is given; returns their folder."""
    folder = trial_folder(trials, number) / run / "checkpoints"
    folder.mkdir(parents=True)
    for name in names or ("best.ckpt", "last.ckpt", "last.previous.ckpt"):
        seed = (last if name == "last.ckpt" else 0) or number
        (folder / name).write_bytes(content_of(seed)[0])
    (folder.parent / "scores.json").write_text("{}")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_the_best_keeps_its_weights_and_all_trials_keep_their_scores(tmp_path: Path) -> None:
    states = ["finished", "finished", "pruned", "failed", "running", "waiting", "stopping"]
    records = [record(number, 0.1, state) for number, state in enumerate(states)]
    records[0].values, records[1].values = [0.5], [0.6]
    folders = [trained(tmp_path, number) for number in range(len(states))]
    whole = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
    before = seglight.load(folders[1] / "best.ckpt", device="cpu").predict(pixels())
    cleanup = CheckpointCleanup(tmp_path, small_sweep(), records)
    cleanup.run()
    kept = ["best.ckpt", "last.ckpt", "last.previous.ckpt"]
    assert [names(folder) for folder in folders] == [[], ["best.ckpt"], [], [], kept, kept, kept]
    assert all((folder.parent / "scores.json").exists() for folder in folders)
    assert cleanup.freed == whole - sum(path.stat().st_size for folder in folders for path in folder.glob("*"))
    content = torch.load(folders[1] / "best.ckpt", weights_only=True)
    assert not content.keys() & set(RESUME_KEYS)
    weights = sum(tensor.nbytes for tensor in content["state_dict"].values())
    assert weights < (folders[1] / "best.ckpt").stat().st_size < 2 * weights
    after = seglight.load(folders[1] / "best.ckpt", device="cpu").predict(pixels())
    np.testing.assert_array_equal(before, after)
    cleanup.run(ended=True)
    assert names(folders[4]) == kept


def test_the_last_weights_are_kept_if_they_differ_from_the_best(tmp_path: Path) -> None:
    """The score of the trial belongs to them."""
    folder = trained(tmp_path, 0, last=5)
    other = trial_folder(tmp_path, 1)
    records = [record(0, 0.1, "finished", 0.5), record(1, 0.1, "finished", 0.4)]
    expected = content_of(5)[1]
    CheckpointCleanup(tmp_path, small_sweep(), records).run()
    assert names(folder) == ["best.ckpt", "last.ckpt"]
    content = torch.load(folder / "last.ckpt", weights_only=True)
    assert not content.keys() & set(RESUME_KEYS)
    assert content["global_step"] == 7
    assert all(torch.equal(content["state_dict"][key], value) for key, value in expected.items())
    assert not other.exists()


def test_a_trial_loses_its_weights_when_another_becomes_the_best(tmp_path: Path) -> None:
    records = [record(0, 0.1, "finished", 0.5), record(1, 0.2, "running")]
    folders = [trained(tmp_path, number, "best.ckpt") for number in range(2)]
    cleanup = CheckpointCleanup(tmp_path, small_sweep(), records)
    cleanup.run()
    assert [names(folder) for folder in folders] == [["best.ckpt"]] * 2
    records[1].state, records[1].values = "finished", [0.6]
    cleanup.run()
    assert [names(folder) for folder in folders] == [[], ["best.ckpt"]]
    CheckpointCleanup(tmp_path, small_sweep(), records).run()
    assert [names(folder) for folder in folders] == [[], ["best.ckpt"]]


def test_the_front_of_several_objectives_keeps_its_weights(tmp_path: Path) -> None:
    """0 and 1 are best in one objective each, 2 in none. Latencies count only after their final measurement."""
    for other, kept_before in (("parameters", [True, True, False]), ("latency", [True, True, True])):
        sweep = small_sweep(objectives={"val/miou": "maximize", other: "minimize"})
        records = [record(number, 0.1, "finished", 0.5) for number in range(3)]
        for one, values in zip(records, ([0.5, 1.0], [0.6, 2.0], [0.4, 3.0]), strict=True):
            one.values = values
        folders = [trained(tmp_path / other, number, "best.ckpt", "last.ckpt") for number in range(3)]
        cleanup = CheckpointCleanup(tmp_path / other, sweep, records)
        cleanup.run()
        assert [names(folder) == ["best.ckpt"] for folder in folders] == kept_before
        records[2].values = [0.4, 0.1] if other == "latency" else [0.4, 3.0]
        cleanup.run(ended=True)
        assert [folder.exists() for folder in folders] == [True, True, other == "latency"]


def test_all_seeds_of_the_best_keep_their_weights(tmp_path: Path) -> None:
    sweep = small_sweep(running={"seeds": [3, 4]})
    folders = [trained(tmp_path, number, "best.ckpt", run=f"seed_{seed}") for number in (0, 1) for seed in (3, 4)]
    CheckpointCleanup(tmp_path, sweep, [record(0, 0.1, "finished", 0.5), record(1, 0.1, "finished", 0.4)]).run()
    assert [folder.exists() for folder in folders] == [True, True, False, False]


def test_a_damaged_checkpoint_is_reported_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained(tmp_path, 0, "best.ckpt", "last.ckpt")
    data = (folder / "best.ckpt").read_bytes()
    (folder / "best.ckpt").write_bytes(data[:-100])
    cleanup = CheckpointCleanup(tmp_path, small_sweep(), [record(0, 0.1, "finished", 0.5)])
    cleanup.run()
    cleanup.run()
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "best.ckpt: not readable" in err
    assert names(folder) == ["best.ckpt", "last.ckpt"]


CHANGES = ("os.remove", "os.rename", "os.rmdir")
"""torch.save raises no audit events: the test writes what a kill within it leaves beforehand."""


def killed_at(count: int, cleanup: CheckpointCleanup) -> bool:
    """Clean up in a fork that SIGKILL ends before its change number `count` on disk; returns whether it was killed."""
    child = os.fork()
    if not child:
        left = [count]

        def hook(event: str, args: Any) -> None:
            if event in CHANGES:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        cleanup.run()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_a_cleanup_killed_at_any_change_is_completed_by_the_next_one(tmp_path: Path) -> None:
    records = [record(0, 0.1, "finished", 0.5), record(1, 0.1, "finished", 0.4)]
    kills = 0
    while True:
        trials = tmp_path / str(kills)
        best, beaten = trained(trials, 0, last=5), trained(trials, 1)
        (best / ".best.00000000-1.part.ckpt").write_bytes(b"half")
        was_killed = killed_at(kills, CheckpointCleanup(trials, small_sweep(), records))
        for name in ("best.ckpt", "last.ckpt"):
            content = torch.load(best / name, weights_only=True)
            assert content["global_step"] == 7, "the file is complete at any moment"
        CheckpointCleanup(trials, small_sweep(), records).run()
        assert names(best) == ["best.ckpt", "last.ckpt"]
        assert not any(torch.load(path, weights_only=True).keys() & set(RESUME_KEYS) for path in best.iterdir())
        assert not beaten.exists()
        if not was_killed:
            break
        kills += 1
    assert kills >= 8, "a partial file, the previous one, two renames, three files of the other trial and its folder"


def started(tmp_path: Path, **changes: Any) -> tuple[Path, Sweep]:
    path, out = written(tmp_path, **changes), tmp_path / "out"
    sweep = read_sweep(path)
    save_state(out, path.read_text(), sweep)
    return out, sweep


def test_running_keep_chooses_what_is_kept(tmp_path: Path) -> None:
    for running, kept in (({}, False), ({"keep": "all"}, True), ({"keep": "best"}, False)):
        assert keeps_all_checkpoints(*started(tmp_path, running=running)) == kept


def test_a_sweep_of_an_earlier_version_keeps_all_unless_configured_otherwise(tmp_path: Path) -> None:
    out, sweep = started(tmp_path)
    content = yaml.safe_load((out / "begun.yaml").read_text())
    (out / "begun.yaml").write_text(yaml.safe_dump({key: content[key] for key in ("folder", "configs")}))
    assert keeps_all_checkpoints(out, sweep)
    save_state(out, (out / "sweep.yaml").read_text(), sweep)
    assert keeps_all_checkpoints(out, sweep), "also after it was resumed once"
    sweep.running.keep = "best"
    assert not keeps_all_checkpoints(out, sweep)


def test_a_record_without_the_newer_keys(tmp_path: Path) -> None:
    one = Record(0, {}, {}, {})
    assert (one.cause, one.error) == ("", "")
