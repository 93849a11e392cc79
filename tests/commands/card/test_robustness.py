"""`seglight card --robustness`: both parts are in the card, and an interrupted one is resumed.

Covers: commands.card.calibrated.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from seglight.__main__ import main
from seglight.checkpoints.temperature import keep_temperature
from seglight.commands.card.folder import UNFINISHED
from tests.support.bad_input import CLI, complaint, recipe

FEW = ["--robustness", "--attacks", "pgd:8/255", "--attack_steps", "2", "--attack_images", "2"]
FEW += ["--corruptions", "brightness,contrast"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    config = recipe(folder / "recipe.yaml", "ShapesDataModule", size=64, train_images=4, eval_images=3)
    assert main(["fit", "-c", str(config), "--run_dir", str(folder / "run")]) == 0
    return folder / "run"


def test_an_interrupted_card_is_resumed(
    run: Path, tmp_path: Path, seglight_cli: CLI, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "card"

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("seglight.commands.card.robustness.attacked_scores", interrupted)
        assert seglight_cli("card", run, "--out", out, *FEW).rc == 130
    assert (out / UNFINISHED).exists()
    line = complaint(seglight_cli("card", run, "--out", out))
    assert "it holds an unfinished card with attack_images 2 in place of none, attack_steps 2 in place of none" in line
    with monkeypatch.context() as patch:
        patch.setattr("seglight.commands.card.run.measure", None)  # it is not measured again
        patch.setattr("seglight.commands.card.corrupted.corrupt", None)  # nor are images corrupted again
        ran = seglight_cli("card", run, "--out", out, *FEW, "--transfer", run)  # a run stands for its best checkpoint
    assert ran.rc == 0
    assert ran.out.splitlines()[:3] == [
        "corruptions 2 kinds of 5 severities and the consistency: 21 passes over 3 images",
        "attacks     pgd:8/255 of 2 steps on 2 images",
        "            then 7 attacks on 2 images, which check the gradients",
    ]
    assert not (out / UNFINISHED).exists()
    card: dict[str, Any] = json.loads((out / "card.json").read_text())
    robustness = card["robustness"]
    assert list(robustness) == [
        "corruptions", "corruption_mean", "relative", "consistency", "attacks", "gradient_masking",
    ]  # fmt: skip
    assert list(robustness["corruptions"]) == ["brightness", "contrast"]
    assert all(len(kind["severities"]) == 5 for kind in robustness["corruptions"].values())
    attacked = robustness["attacks"]["pgd"]["8/255"]
    assert attacked["images"] == 2
    assert attacked["steps"] == 2
    assert len(attacked["classes"]) == len(card["classes"])
    assert len(list((out / "attacks").glob("check_*"))) == 7
    assert attacked["accuracy"] <= robustness["attacks"]["clean"]["0"]["accuracy"]
    assert robustness["gradient_masking"]["checks"][-1]["name"] == "stronger than transfer"
    assert "brightness" in (out / "card.html").read_text()


@pytest.fixture(scope="module")
def unfinished(run: Path) -> Path:
    """An unfinished card whose passes are done, with the groups of the file groups.csv beside it."""
    groups = run.parent / "groups.csv"
    groups.write_text("".join(f"scene_100000{k},{k // 2}\n" for k in range(3)))

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    out = run.parent / "unfinished"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seglight.commands.card.run.robustness_of", interrupted)
        assert main(["card", str(run), "--out", str(out), *FEW, "--groups", str(groups), "--calibrate"]) == 130
    return out


@pytest.fixture
def again(unfinished: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The command that continues a copy of that card in the folder `card`, without corruptions and attacks."""
    shutil.copytree(unfinished, tmp_path / "card")
    monkeypatch.setattr("seglight.commands.card.run.measure", None)  # it is not measured again
    monkeypatch.setattr("seglight.commands.card.run.robustness_of", lambda *args: None)
    return ["card", run, "--out", tmp_path / "card", *FEW, "--groups", run.parent / "groups.csv", "--calibrate"]


def test_another_transfer_continues(
    again: list[object], run: Path, seglight_cli: CLI, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    monkeypatch.setattr("seglight.commands.card.run.robustness_of", lambda *args: seen.append(args[4].transfer))
    monkeypatch.setattr("seglight.commands.card.run._finish", lambda *args: None)
    for transfer in (run / "checkpoints" / "last.ckpt", run):
        assert seglight_cli(*again, "--transfer", transfer).rc == 0
    assert seen == [run / "checkpoints" / "last.ckpt", run / "checkpoints" / "best.ckpt"]


def test_a_changed_file_of_groups_does_not(again: list[object], run: Path, seglight_cli: CLI) -> None:
    path = run.parent / "groups.csv"
    former = path.read_text()
    path.write_text(former.replace(",1", ",3"))
    line = complaint(seglight_cli(*again))
    path.write_text(former)
    assert "it holds an unfinished card with another content of the file of --groups: name a new folder" in line


@pytest.mark.parametrize("whose", ["nobody's", "another temperature's", "this card's"])
def test_a_copy_of_the_model_is_announced_only_if_the_card_wrote_it(
    whose: str, again: list[object], run: Path, tmp_path: Path, seglight_cli: CLI
) -> None:
    copy = tmp_path / "card" / "calibrated.ckpt"
    temperature = json.loads((tmp_path / "card" / UNFINISHED).read_text())["card"]["calibration"]["temperature"]
    if whose == "nobody's":
        copy.write_bytes(b"junk")
    else:
        keep_temperature(run / "checkpoints" / "best.ckpt", temperature + (whose[0] == "a"), copy)
    ran = seglight_cli(*again)
    if whose == "this card's":
        assert f"calibrated  {copy}" in ran.out
    else:
        assert complaint(ran).startswith(f"{copy}: it is not the copy of the model that this card writes")


def test_mistakes_are_one_line_before_anything_takes_time(run: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    out = ["--out", tmp_path / "card"]
    line = complaint(seglight_cli("card", run, *out, "--attacks", "pgd:4/255"))
    assert line.startswith("--attacks: it is an option of --robustness")
    assert "no attack 'pdg'" in complaint(seglight_cli("card", run, *out, "--robustness", "--attacks", "pdg:4/255"))
    assert "--corruptions fogg" in complaint(seglight_cli("card", run, *out, "--robustness", "--corruptions", "fogg"))
    line = complaint(seglight_cli("card", run, *out, "--robustness", "--reference", tmp_path))
    assert "--reference" in line
    line = complaint(seglight_cli("card", run, *out, "--robustness", "--transfer", tmp_path / "net.ckpt"))
    assert line.startswith("--transfer ")
    assert "no such checkpoint" in line
    line = complaint(seglight_cli("card", run, *out, "--robustness", "--transfer", tmp_path))
    assert line.startswith(f"--transfer {tmp_path}: no such checkpoint in it")
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    content["seglight"]["class_names"][0] = "another"
    torch.save(content, tmp_path / "other.ckpt")
    line = complaint(seglight_cli("card", run, *out, "--robustness", "--transfer", tmp_path / "other.ckpt"))
    assert "other.ckpt: the data and this model have other classes" in line
    assert not (tmp_path / "card").exists()
