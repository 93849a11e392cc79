"""Checkpoints of settled trials: which stay, that those that stay are whole, and what a kill in between leaves."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import seglight
from seglight.commands.sweep.options import Sweep, read_sweep
from seglight.commands.sweep.record import Record, folder_of
from seglight.commands.sweep.sweep_state import keep, keeps_all
from seglight.commands.sweep.tidying import RESUMING, Tidying
from tests.fuzz.originals import NET, pixels
from tests.support.checkpoint_files import write
from tests.support.small_sweeps import record, small_sweep, written


def checkpoint(path: Path, seed: int) -> dict[str, torch.Tensor]:
    """A checkpoint as a training with AdamW and EMA writes it; gives its weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    net = seglight_net()
    write(path, NET, {f"net.{key}": value for key, value in net.state_dict().items()})
    content = torch.load(path, weights_only=True)
    weights: dict[str, torch.Tensor] = content["state_dict"]
    moments = [{"state": {k: {"exp_avg": v, "exp_avg_sq": v} for k, v in enumerate(weights.values())}}]
    more = {"optimizer_states": moments, "current_model_state": weights, "exact": {"finished": True}, "global_step": 7}
    torch.save(content | more, path)
    return weights


def seglight_net() -> torch.nn.Module:
    from seglight.models import EncoderDecoder, TimmEncoder
    from seglight.models.decoders import FPN

    return EncoderDecoder(3, TimmEncoder("test_resnet", None, depth=2), lambda *fine: FPN(*fine, 8, 8))


def trained(trials: Path, number: int, *names: str, last: int = 0, run: str = "") -> Path:
    """A trial's folder of checkpoints, `last.ckpt` of another seed if there is one."""
    folder = folder_of(trials, number) / run / "checkpoints"
    for name in names or ("best.ckpt", "last.ckpt", "last.previous.ckpt"):
        checkpoint(folder / name, (last if name == "last.ckpt" else 0) or number)
    (folder.parent / "scores.json").write_text("{}")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_the_best_keeps_its_weights_and_all_keep_their_scores(tmp_path: Path) -> None:
    states = ["finished", "finished", "pruned", "failed", "running", "waiting", "stopping"]
    records = [record(number, 0.1, state) for number, state in enumerate(states)]
    records[0].values, records[1].values = [0.5], [0.6]
    folders = [trained(tmp_path, number) for number in range(len(states))]
    whole = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
    before = seglight.load(folders[1] / "best.ckpt", device="cpu").predict(pixels())
    tidying = Tidying(tmp_path, small_sweep(), records)
    tidying.tidy()
    kept = ["best.ckpt", "last.ckpt", "last.previous.ckpt"]
    assert [names(folder) for folder in folders] == [[], ["best.ckpt"], [], [], kept, kept, kept]
    assert all((folder.parent / "scores.json").exists() for folder in folders)
    assert tidying.freed == whole - sum(path.stat().st_size for folder in folders for path in folder.glob("*"))
    content = torch.load(folders[1] / "best.ckpt", weights_only=True)
    assert not content.keys() & set(RESUMING)
    weights = sum(tensor.nbytes for tensor in content["state_dict"].values())
    assert weights < (folders[1] / "best.ckpt").stat().st_size < 2 * weights
    after = seglight.load(folders[1] / "best.ckpt", device="cpu").predict(pixels())
    np.testing.assert_array_equal(before, after)
    tidying.tidy(ended=True)
    assert names(folders[4]) == kept


def test_the_last_weights_stay_where_they_are_others_than_the_best(tmp_path: Path) -> None:
    """It is them that the score of the sweep belongs to."""
    folder = trained(tmp_path, 0, last=5)
    other = folder_of(tmp_path, 1)
    records = [record(0, 0.1, "finished", 0.5), record(1, 0.1, "finished", 0.4)]
    expected = checkpoint(tmp_path / "again.ckpt", 5)
    Tidying(tmp_path, small_sweep(), records).tidy()
    assert names(folder) == ["best.ckpt", "last.ckpt"]
    content = torch.load(folder / "last.ckpt", weights_only=True)
    assert not content.keys() & set(RESUMING)
    assert content["global_step"] == 7
    assert all(torch.equal(content["state_dict"][key], value) for key, value in expected.items())
    assert not other.exists()


def test_one_that_is_beaten_later_loses_its_weights(tmp_path: Path) -> None:
    records = [record(0, 0.1, "finished", 0.5), record(1, 0.2, "running")]
    folders = [trained(tmp_path, number, "best.ckpt") for number in range(2)]
    tidying = Tidying(tmp_path, small_sweep(), records)
    tidying.tidy()
    assert [names(folder) for folder in folders] == [["best.ckpt"]] * 2
    records[1].state, records[1].values = "finished", [0.6]
    tidying.tidy()
    assert [names(folder) for folder in folders] == [[], ["best.ckpt"]]
    Tidying(tmp_path, small_sweep(), records).tidy()
    assert [names(folder) for folder in folders] == [[], ["best.ckpt"]]


def test_the_front_of_several_objectives(tmp_path: Path) -> None:
    """0 and 1 are better in one each, 2 in none. Latencies decide when they were measured alone, and not before."""
    for other, kept_before in (("parameters", [True, True, False]), ("latency", [True, True, True])):
        sweep = small_sweep(objectives={"val/miou": "maximize", other: "minimize"})
        records = [record(number, 0.1, "finished", 0.5) for number in range(3)]
        for one, values in zip(records, ([0.5, 1.0], [0.6, 2.0], [0.4, 3.0]), strict=True):
            one.values = values
        folders = [trained(tmp_path / other, number, "best.ckpt", "last.ckpt") for number in range(3)]
        tidying = Tidying(tmp_path / other, sweep, records)
        tidying.tidy()
        assert [names(folder) == ["best.ckpt"] for folder in folders] == kept_before
        records[2].values = [0.4, 0.1] if other == "latency" else [0.4, 3.0]
        tidying.tidy(ended=True)
        assert [folder.exists() for folder in folders] == [True, True, other == "latency"]


def test_each_seed_of_the_best(tmp_path: Path) -> None:
    sweep = small_sweep(running={"seeds": [3, 4]})
    folders = [trained(tmp_path, number, "best.ckpt", run=f"seed_{seed}") for number in (0, 1) for seed in (3, 4)]
    Tidying(tmp_path, sweep, [record(0, 0.1, "finished", 0.5), record(1, 0.1, "finished", 0.4)]).tidy()
    assert [folder.exists() for folder in folders] == [True, True, False, False]


def test_a_damaged_checkpoint_is_told_and_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained(tmp_path, 0, "best.ckpt", "last.ckpt")
    data = (folder / "best.ckpt").read_bytes()
    (folder / "best.ckpt").write_bytes(data[:-100])
    tidying = Tidying(tmp_path, small_sweep(), [record(0, 0.1, "finished", 0.5)])
    tidying.tidy()
    tidying.tidy()
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "best.ckpt: not readable" in err
    assert names(folder) == ["best.ckpt", "last.ckpt"]


CHANGES = ("os.remove", "os.rename", "os.rmdir")
"""torch.save writes unseen: what a kill within it leaves is put there before."""


def killed_at(count: int, tidying: Tidying) -> bool:
    """Tidy in a fork that is killed by SIGKILL before its so many-th change on the disk; gives whether it was."""
    child = os.fork()
    if not child:
        left = [count]

        def hook(event: str, args: Any) -> None:
            if event in CHANGES:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        tidying.tidy()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_killed_before_any_change_on_the_disk_it_is_done_by_the_next(tmp_path: Path) -> None:
    records = [record(0, 0.1, "finished", 0.5), record(1, 0.1, "finished", 0.4)]
    kills = 0
    while True:
        trials = tmp_path / str(kills)
        best, beaten = trained(trials, 0, last=5), trained(trials, 1)
        (best / ".best.00000000-1.part.ckpt").write_bytes(b"half")
        was_killed = killed_at(kills, Tidying(trials, small_sweep(), records))
        for name in ("best.ckpt", "last.ckpt"):
            content = torch.load(best / name, weights_only=True)
            assert content["global_step"] == 7, "at any moment a whole file"
        Tidying(trials, small_sweep(), records).tidy()
        assert names(best) == ["best.ckpt", "last.ckpt"]
        assert not any(torch.load(path, weights_only=True).keys() & set(RESUMING) for path in best.iterdir())
        assert not beaten.exists()
        if not was_killed:
            break
        kills += 1
    assert kills >= 8, "a part and the previous one, two renames, three of the beaten trial and its folder"


def begun(tmp_path: Path, **changes: Any) -> tuple[Path, Sweep]:
    path, out = written(tmp_path, **changes), tmp_path / "out"
    sweep = read_sweep(path)
    keep(out, path.read_text(), sweep)
    return out, sweep


def test_what_is_kept_may_be_chosen(tmp_path: Path) -> None:
    for running, kept in (({}, False), ({"keep": "all"}, True), ({"keep": "best"}, False)):
        assert keeps_all(*begun(tmp_path, running=running)) == kept


def test_a_sweep_of_before_loses_nothing_unless_it_is_told_to(tmp_path: Path) -> None:
    out, sweep = begun(tmp_path)
    content = yaml.safe_load((out / "begun.yaml").read_text())
    (out / "begun.yaml").write_text(yaml.safe_dump({key: content[key] for key in ("folder", "configs")}))
    assert keeps_all(out, sweep)
    keep(out, (out / "sweep.yaml").read_text(), sweep)
    assert keeps_all(out, sweep), "also when it was resumed once"
    sweep.running.keep = "best"
    assert not keeps_all(out, sweep)


def test_a_record_without_the_newer_keys_is_read(tmp_path: Path) -> None:
    one = Record(0, {}, {}, {})
    assert (one.cause, one.error) == ("", "")
