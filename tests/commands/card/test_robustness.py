"""`seglight card --robustness`: both parts are in the card, and an interrupted one is resumed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from seglight.__main__ import main
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
    assert "it holds an unfinished card with another attack_images, attack_steps, attacks, corruptions, rob" in line
    with monkeypatch.context() as patch:
        patch.setattr("seglight.commands.card.run.measure", None)  # it is not measured again
        patch.setattr("seglight.commands.card.corrupted.corrupt", None)  # nor are images corrupted again
        ran = seglight_cli("card", run, "--out", out, *FEW, "--transfer", run)  # a run stands for its best checkpoint
    assert ran.rc == 0
    assert ran.out.splitlines()[:2] == [
        "corruptions 2 kinds of 5 severities and the consistency: 21 passes over 3 images",
        "attacks     pgd:8/255 of 2 steps on 2 images, then checks of the gradients",
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
    assert attacked["accuracy"] <= robustness["attacks"]["clean"]["0"]["accuracy"]
    assert robustness["gradient_masking"]["checks"][-1]["name"] == "stronger than transfer"
    assert "brightness" in (out / "card.html").read_text()


def test_mistakes_are_one_line_before_anything_takes_time(run: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    out = ["--out", tmp_path / "card"]
    line = complaint(seglight_cli("card", run, *out, "--attacks", "pgd:4/255"))
    assert line.startswith("--attacks: it is an option of --robustness")
    assert "no attack 'pdg'" in complaint(seglight_cli("card", run, *out, "--robustness", "--attacks", "pdg:4/255"))
    assert "--corruptions fogg" in complaint(seglight_cli("card", run, *out, "--robustness", "--corruptions", "fogg"))
    line = complaint(seglight_cli("card", run, *out, "--robustness", "--reference", tmp_path))
    assert "--reference" in line
    line = complaint(seglight_cli("card", run, *out, "--robustness", "--transfer", tmp_path / "net.ckpt"))
    assert "no such checkpoint" in line
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    content["seglight"]["class_names"][0] = "another"
    torch.save(content, tmp_path / "other.ckpt")
    line = complaint(seglight_cli("card", run, *out, "--robustness", "--transfer", tmp_path / "other.ckpt"))
    assert "other.ckpt: the data and this model have other classes" in line
    assert not (tmp_path / "card").exists()
