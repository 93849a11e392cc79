"""`seglight release`: what is written is plain data that fits its checksums, and stands in for the checkpoint.

Covers: commands.release.readme.
"""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from PIL import Image

import seglight
from seglight.__main__ import main
from seglight.checkpoints.checkpoint import read_checkpoint
from seglight.checkpoints.model_card import Provenance
from seglight.checkpoints.release import read_release, write_release
from seglight.commands.release.command import run_scores
from seglight.commands.release.readme import readme
from seglight.errors import UserError
from seglight.images.bands import Bands
from tests.support import fabricate
from tests.support.bad_input import CLI, complaint, recipe
from tests.support.checkpoint_files import card


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on CamVid's eleven classes, its checkpoint scored on the test split."""
    folder = tmp_path_factory.mktemp("trained")
    root = fabricate.camvid(folder / "CamVid", train=2, val=1, test=2)
    config = recipe(folder / "recipe.yaml", "CamVidDataModule", root=str(root))
    assert main(["fit", "-c", str(config), "--run_dir", str(folder / "run")]) == 0
    return folder / "run"


def evaluated(run: Path, model: Path, run_dir: Path) -> dict[str, Any]:
    """What `seglight test` says of a checkpoint or a release."""
    config = run.parent / "recipe.yaml"
    assert main(["test", "-c", str(config), "--ckpt_path", str(model), "--run_dir", str(run_dir)]) == 0
    scores: dict[str, Any] = json.loads((run_dir / "scores.json").read_text())
    return scores


@pytest.fixture(scope="module")
def released(run: Path) -> Path:
    evaluated(run, run / "checkpoints" / "best.ckpt", run)
    assert main(["release", str(run / "checkpoints" / "best.ckpt"), "--out", str(run.parent / "net")]) == 0
    return run.parent / "net"


def test_weights_are_those_of_the_checkpoint(run: Path, released: Path) -> None:
    saved = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    expected = {key.removeprefix("net."): value.numpy() for key, value in saved.items() if key.startswith("net.")}
    found = safetensors.numpy.load_file(released / "model.safetensors")
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, strict=True)


def test_checksums_by_hand(released: Path) -> None:
    read = json.loads((released / "release.json").read_text())
    assert read["sha256_of_weights"] == hashlib.sha256((released / "model.safetensors").read_bytes()).hexdigest()
    checksum = read.pop("sha256")
    text = json.dumps(read, sort_keys=True, separators=(",", ":"))
    assert checksum == hashlib.sha256(text.encode()).hexdigest()


def test_description(run: Path, released: Path) -> None:
    read = json.loads((released / "release.json").read_text())
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert read["net"]["class_path"] == "seglight.models.EncoderDecoder"
    assert read["class_names"] == checkpoint["seglight"]["class_names"]
    assert read["palette"] == [list(color) for color in checkpoint["seglight"]["palette"]]
    assert read["step"] == checkpoint["global_step"] == 1
    assert read["scores"] == json.loads((run / "scores.json").read_text())
    assert read["scores"]["split"] == "test"
    assert "one int64 confusion matrix" in read["scores"]["protocol"]
    mean = checkpoint["state_dict"]["net.encoder.mean"].flatten() / 255
    assert read["normalisation"][0]["mean"] == pytest.approx(mean.tolist(), abs=1e-6)


def test_fingerprint_of_the_labels(run: Path, released: Path) -> None:
    """A line an image, of its name and of the pixels of each class in its label file."""
    masks = sorted((run.parent / "CamVid" / "testannot").glob("*.png"))
    lines = []
    for mask in masks:
        counts = np.bincount(np.asarray(Image.open(mask)).ravel(), minlength=12)[:11]  # 11 is void
        lines.append("\t".join([mask.name, *map(str, counts)]) + "\n")
    data = json.loads((released / "release.json").read_text())["data"]
    assert data == {"split": "test", "images": 2, "sha256": hashlib.sha256("".join(lines).encode()).hexdigest()}


def test_model_card(released: Path) -> None:
    card = (released / "README.md").read_text()
    scores = json.loads((released / "release.json").read_text())["scores"]
    assert card.startswith("---\nlibrary_name: seglight\n")
    assert f"On the test split, 2 images: **miou {scores['miou']:.4f}**" in card
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in card.splitlines() if line.startswith("| ")]
    assert [row[1] for row in rows[2:]] == list(scores["iou"])
    assert [row[3] for row in rows[2:]] == ["-" if iou is None else f"{iou:.4f}" for iou in scores["iou"].values()]
    assert scores["protocol"] in card


def test_a_class_name_is_one_cell(released: Path) -> None:
    """Whatever stands in it: a line's end would end the table, and a bar the cell."""
    card, _ = read_release(released)
    names = ("a\nb", "a\r\nb", "a|b", "a\u2028b", *card.class_names[4:])
    unscored = replace(card.provenance, scores=None)
    text = readme(replace(card, class_names=names, provenance=unscored), "net")
    rows = text.split("| ---: | --- |")[1].split("\n")[1:12]
    assert [row.split(" #")[0] for row in rows[:5]] == [
        "| 0 | a\\\\nb |",
        "| 1 | a\\\\r\\\\nb |",
        "| 2 | a\\|b |",
        "| 3 | a\\\\u2028b |",
        f"| 4 | {names[4]} |",
    ]


def test_a_soup_has_no_steps_of_its_own(released: Path) -> None:
    """`seglight soup` writes the step 0."""
    card, _ = read_release(released)
    assert "trained for 1 optimizer steps with AdamW and CrossEntropy, released" in readme(card, "net")
    soup = replace(card, provenance=Provenance(step=0, parameters=1))
    assert "trained for an unknown number of optimizer steps, released" in readme(soup, "net")


def test_other_images_than_rgb_are_named(released: Path) -> None:
    card, _ = read_release(released)
    text = readme(replace(card, image=Bands(("nir",), "uint16", (900.0,), (300.0,))), "net")
    assert "Semantic segmentation: images with 1 band of uint16 (nir) of any size" in text
    assert 'net.predict("image.tif")' in text
    assert "the net takes 1 band of uint16 (nir) and normalises itself" in text


def test_it_stands_in_for_the_checkpoint(run: Path, released: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    """For `predict`, `test`, `--model.weights` and `load`."""
    checkpoint = run / "checkpoints" / "best.ckpt"
    image = next((run.parent / "CamVid" / "test").glob("*.png"))
    labels = seglight.load(released, device="cpu").predict(image)
    np.testing.assert_array_equal(labels, seglight.load(checkpoint, device="cpu").predict(image))
    ran = seglight_cli("predict", released, image, "--out", tmp_path / "masks", "--device", "cpu")
    assert ran.rc == 0, ran.err
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "masks" / image.name)), labels)
    scores = json.loads((run / "scores.json").read_text())
    assert evaluated(run, released, tmp_path / "test") == scores
    frozen = ("--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "0")
    ran = seglight_cli(
        "fit", "-c", run.parent / "recipe.yaml", "--model.weights", released, "--run_dir", tmp_path / "fit", *frozen
    )
    assert ran.rc == 0, ran.err
    began = read_checkpoint(tmp_path / "fit" / "checkpoints" / "last.ckpt")["state_dict"]
    saved = read_checkpoint(checkpoint)["state_dict"]
    weights = [key for key in saved if key.startswith("net.") and key.endswith("weight")]
    assert weights
    assert all(torch.equal(began[key], saved[key]) for key in weights)


@pytest.mark.slow
def test_a_folder_whose_name_is_not_utf_8(run: Path, released: Path, tmp_path: Path) -> None:
    """Latin-1's `relé`: Linux takes any bytes for a name. In a process, as Python's own streams refuse such names."""
    checkpoint, out = run / "checkpoints" / "best.ckpt", tmp_path / os.fsdecode(b"rel\xe9")
    command = [sys.executable, "-m", "seglight", "release", str(checkpoint), "--out", str(out)]
    env = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}  # as in most locales
    done = subprocess.run(command, env=env, capture_output=True, text=True, errors="surrogateescape", check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert f"{out}: " in done.stdout
    card = (out / "README.md").read_text(encoding="utf-8")
    assert card == (released / "README.md").read_text().replace('"net"', '"rel?"').replace(
        "predict net", "predict 'rel?'"
    )
    _, found = read_release(out)
    _, expected = read_release(released)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    ours, theirs = (seglight.load(folder, device="cpu").predict(image) for folder in (out, released))
    np.testing.assert_array_equal(ours, theirs)


def copy(released: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in released.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.mark.parametrize("name", ["release.json", "model.safetensors"])
def test_any_flipped_bit_is_noticed(name: str, released: Path, tmp_path: Path) -> None:
    path = copy(released, tmp_path / "net") / name
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for bit in rng.integers(8 * len(whole), size=60):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        told = complaint_of(path.parent)
        # a blank between two entries may have become another one
        assert told.startswith(f"{path}: ") or (not told and json.loads(damaged) == json.loads(whole)), bit


def complaint_of(folder: Path) -> str:
    try:
        read_release(folder)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["release.json", "model.safetensors"])
def test_a_file_that_is_missing_or_cut_off(name: str, released: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    path = copy(released, tmp_path / "net") / name
    path.write_bytes(path.read_bytes()[:-9])
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    for _ in range(2):
        told = complaint(seglight_cli("predict", path.parent, tmp_path / "image.png", "--out", tmp_path / "masks"))
        assert str(path.parent) in told
        path.unlink(missing_ok=True)


def test_without_scores(run: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    """Weights other than those that the run has scored, of the same step, as an average of weights may be."""
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    content["state_dict"]["net.head.bias"] += 1
    other = run / "checkpoints" / "other.ckpt"
    torch.save(content, other)
    ran = seglight_cli("release", other, "--out", tmp_path / "net")
    assert ran.rc == 0, ran.err
    assert "released without scores" in ran.err
    assert f"`seglight test -c {run / 'config.yaml'} --ckpt_path {other} " in ran.err
    assert json.loads((tmp_path / "net" / "release.json").read_text())["scores"] is None
    assert "Not known." in (tmp_path / "net" / "README.md").read_text()
    own = tmp_path / "own" / "checkpoints" / "other.ckpt"  # of a Trainer of the user's own, which writes no recipe
    own.parent.mkdir(parents=True)
    torch.save(content, own)
    ran = seglight_cli("release", own, "--out", tmp_path / "net2")
    assert f"`seglight.evaluate('{own}', data, run_dir='{own.parents[1]}')`" in ran.err


@pytest.mark.parametrize(
    ("scored", "ours"),
    [
        ({"step": 7, "weights": "aa"}, False),
        ({"step": 0, "weights": "bb"}, True),
        ({"step": 7, "weights": None}, True),
        ({"step": 8, "weights": None}, False),
        ({"step": 7}, True),
        ({}, False),
    ],
)
def test_whose_scores_they_are(scored: dict[str, Any], ours: bool, tmp_path: Path) -> None:
    """A training's by the step; by the weights where those of a file were scored, whatever its step."""
    (tmp_path / "scores.json").write_text(json.dumps({**scored, "iou": {"a": 1.0}}))
    found, _ = run_scores(tmp_path / "checkpoints" / "soup.ckpt", 7, "bb", ["a"])
    assert (found is not None) is ours


def test_what_is_refused(run: Path, released: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    checkpoint = run / "checkpoints" / "best.ckpt"
    assert "it exists already" in complaint(seglight_cli("release", checkpoint, "--out", released))
    assert "is a released folder already" in complaint(seglight_cli("release", released, "--out", tmp_path / "net"))
    assert "no such checkpoint" in complaint(seglight_cli("release", tmp_path / "gone", "--out", tmp_path / "net"))
    assert not (tmp_path / "net").exists()
    told = complaint(seglight_cli("release", checkpoint, "--out", checkpoint / "net"))
    assert "best.ckpt" in told
    assert "Not a directory" in told


def test_of_two_at_once_the_slower_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(path: Path) -> str:
        (tmp_path / "net").mkdir()
        (tmp_path / "net" / "release.json").write_text("the other's")
        return "0" * 64

    monkeypatch.setattr("seglight.checkpoints.release.file_sha256", slow)
    with pytest.raises(UserError, match=r"net: it exists already: name another folder"):
        write_release(tmp_path / "net", card(["a"]), {}, "")
    assert (tmp_path / "net" / "release.json").read_text() == "the other's"
    assert os.listdir(tmp_path) == ["net"]
