"""Nets that judge each part of the training split held out.

Covers: commands.doctor.label_errors.held_out.
"""

import sys
from pathlib import Path

import pytest
import yaml

from seglight.commands.doctor.label_errors import folds as module
from seglight.commands.doctor.label_errors.folds import files_of, folds_of, train
from seglight.commands.doctor.label_errors.held_out import checkpoint_of, held_out, run_of
from seglight.data import CamVidDataModule, ShapesDataModule
from seglight.errors import UserError
from tests.support import fabricate

TRAINED = """
import json, pathlib, sys
run = pathlib.Path(sys.argv[sys.argv.index("--run_dir") + 1])
(run / "checkpoints").mkdir(parents=True, exist_ok=True)
(run / "checkpoints" / "last.ckpt").write_text("")
with open(run / "calls.jsonl", "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
sys.exit(int(pathlib.Path(sys.argv[0]).with_name("code").read_text()))
"""


def test_every_image_is_judged_by_a_net_without_it(tmp_path: Path) -> None:
    data = CamVidDataModule(str(fabricate.camvid(tmp_path / "CamVid", train=7)))
    split = data.split("train")
    folds, how = folds_of(data, split, 3, tmp_path / "out")
    assert sorted(index for fold in folds for index in fold.indices) == list(range(7))
    for fold in folds:
        parts = CamVidDataModule(str(tmp_path / "CamVid"), lists=str(fold.lists))
        trained, judged = (
            {part.sources(k)[0] for k in range(len(part))} for part in map(parts.split, ("train", "val"))
        )
        assert judged == {split.sources(index)[0] for index in fold.indices}
        assert not judged & trained
        assert len(judged | trained) == 7
    assert how == "at random, with seed 0", "one prefix before a number tells of no sequence"
    again, _ = folds_of(data, split, 3, tmp_path / "out")
    assert again == folds
    with pytest.raises(UserError, match=r"folds/1/lists/train.txt: it is of other folds"):
        folds_of(data, split, 4, tmp_path / "out")
    with pytest.raises(UserError, match="it holds more than 2 folds"):
        folds_of(data, split, 2, tmp_path / "out")


def test_trainings_are_started_one_after_the_other_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    data = CamVidDataModule(str(fabricate.camvid(tmp_path / "CamVid")))
    folds, _ = folds_of(data, data.split("train"), 2, tmp_path / "out")
    (tmp_path / "fit.py").write_text(TRAINED)
    monkeypatch.setattr(module, "FIT", [sys.executable, str(tmp_path / "fit.py")])
    (tmp_path / "code").write_text("0")
    assert train(folds, ["-c", "recipe.yaml"], cached=True) == 0
    for fold in folds:
        (call,) = [yaml.safe_load(line) for line in (fold.run / "calls.jsonl").read_text().splitlines()]
        assert call == [
            "-c", "recipe.yaml", "--data.lists", str(fold.lists), "--data.cache", "null",
            "--run_dir", str(fold.run), "--resume",
        ]  # fmt: skip
        assert Path(fold.checkpoint).is_file()
    (tmp_path / "code").write_text("75")
    assert train(folds, [], cached=False) == 75
    assert len((folds[0].run / "calls.jsonl").read_text().splitlines()) == 2
    assert len((folds[1].run / "calls.jsonl").read_text().splitlines()) == 1, "none is started after one that failed"


def test_data_that_takes_no_lists_is_refused() -> None:
    with pytest.raises(UserError, match=r"^--folds: ShapesDataModule takes no lists of images"):
        files_of(ShapesDataModule())


def test_whether_the_net_was_trained_on_the_judged_images(tmp_path: Path) -> None:
    root = fabricate.camvid(tmp_path / "CamVid", train=5, val=2)
    data = CamVidDataModule(str(root))
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    best = run / "checkpoints" / "best.ckpt"
    assert checkpoint_of(str(run)) == str(run), "the error of the reader says what is missing"
    best.write_text("")
    assert checkpoint_of(str(run)) == str(best)
    assert run_of(str(best)) is None
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "train.txt").write_text("train/0001TP_000030.png\ntrain/0001TP_000060.png\n")
    init = {"root": str(root), "lists": str(tmp_path / "lists")}
    recipe = {"data": {"class_path": "seglight.data.CamVidDataModule", "init_args": init}}
    (run / "config.yaml").write_text(yaml.safe_dump(recipe))
    assert run_of(str(best)) == run_of(str(run)) == run
    seen = held_out(str(best), data.split("train"), root)
    assert seen.trained_on == 2
    assert str(seen.remark).startswith("The net was trained on 2 of these 5 images")
    unseen = held_out(str(run), data.split("val"), root)
    assert (unseen.trained_on, unseen.remark) == (0, None)
    assert (unseen.chosen_by, unseen.choice) == (0, None), "there is no list of validation images"
    (tmp_path / "lists" / "val.txt").write_text(f"{data.split('val').sources(0)[0].relative_to(root)}\n")
    chosen = held_out(str(run), data.split("val"), root)
    assert (chosen.trained_on, chosen.chosen_by) == (0, 1)
    assert str(chosen.choice).startswith("best.ckpt was chosen by its score on 1 of these 2 images")
    (run / "checkpoints" / "last.ckpt").write_text("")
    last = held_out(str(run / "checkpoints" / "last.ckpt"), data.split("val"), root)
    assert (last.trained_on, last.choice) == (0, None), "the last one was not chosen by any image"
    unknown = held_out(str(tmp_path / "other.ckpt"), data.split("val"), root)
    assert str(unknown.remark).startswith("It is not known which images the net was trained on")
    init["root"] = str(tmp_path / "gone")
    (run / "config.yaml").write_text(yaml.safe_dump(recipe))
    assert held_out(str(run), data.split("val"), root).trained_on is None
    copy = fabricate.camvid(tmp_path / "gone", train=5, val=2)
    assert held_out(str(run), data.split("train"), root).trained_on == 2, f"{copy} is a copy"
