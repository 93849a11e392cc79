"""`seglight card`: its numbers are those of `validate` and of the metrics, and its folder is new or its own.

Covers: commands.card.run, commands.card.options, commands.card.measure, commands.card.evaluation,
commands.card.counters, commands.card.assemble, commands.card.examples, commands.card.facts, commands.card.given,
commands.card.names.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from sklearn.metrics import average_precision_score

from seglight.__main__ import main
from seglight.checkpoints.checkpoint import load_net, weights_checksum
from seglight.commands.card.folder import UNFINISHED
from seglight.commands.card.given import check_given
from seglight.commands.card.names import names_of
from seglight.commands.card.options import card_parser
from seglight.data import ShapesDataModule
from seglight.errors import UserError
from seglight.metrics import BestTemperature, BoundaryF, BoundaryIoU, CalibrationError, ObjectSizeIoU
from seglight.metrics.boundary_counts import BoundaryCounts, mean_boundary_iou
from seglight.metrics.error_detection import uncertainty_bin
from tests.support.bad_input import CLI, complaint, recipe

KEYS = [
    "seglight", "date", "model", "recipe", "split", "protocol", "images", "class_names", "palette", "groups", "score",
    "classes", "confusions", "sizes", "calibration", "distribution", "worst", "best", "curves", "cost", "data",
    "robustness",
]  # fmt: skip
IMAGES, SIZE = 4, 64
HEAD = "net.head.weight"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a step on drawn scenes."""
    folder = tmp_path_factory.mktemp("trained")
    config = recipe(folder / "recipe.yaml", "ShapesDataModule", size=SIZE, train_images=4, eval_images=IMAGES)
    assert main(["fit", "-c", str(config), "--run_dir", str(folder / "run")]) == 0
    for path in (folder / "run" / "checkpoints").iterdir():
        content = torch.load(path, weights_only=True)
        content["state_dict"][HEAD] *= 100  # so that it predicts more than one class
        torch.save(content, path)
    return folder / "run"


@pytest.fixture(scope="module")
def out(run: Path) -> Path:
    """The card of the run."""
    assert main(["card", str(run), "--out", str(run.parent / "card"), "--groups", r"(\d)$"]) == 0
    return run.parent / "card"


@pytest.fixture(scope="module")
def card(out: Path) -> dict[str, Any]:
    return read(out)


def read(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "card.json").read_text())
    return content


def evaluated(run: Path, run_dir: Path, *options: str, command: str = "validate") -> dict[str, Any]:
    """scores.json of `validate` or `test`."""
    args = [command, "-c", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints" / "best.ckpt")]
    assert main([*args, "--run_dir", str(run_dir), *options]) == 0
    scores: dict[str, Any] = json.loads((run_dir / "scores.json").read_text())
    return scores


def test_the_folder_and_the_keys(out: Path, card: dict[str, Any], run: Path) -> None:
    assert list(card) == KEYS
    pictures = {entry["picture"] for kind in ("worst", "best") for entry in card[kind]}
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == {
        "card.json", "card.html", "image_scores.npz", "image_boundaries.npz", *pictures,
    }  # fmt: skip
    net, _ = load_net(run / "checkpoints" / "best.ckpt")
    assert card["model"] == {
        "path": str(run / "checkpoints" / "best.ckpt"),
        "checksum": weights_checksum(net.state_dict()),
        "net": "EncoderDecoder",
        "encoder": "TimmEncoder test_resnet",
        "decoder": "FPN",
    }
    assert card["recipe"] == str(run / "config.yaml")
    assert card["images"] == IMAGES
    assert card["groups"] == {"by": r"(\d)$", "count": IMAGES}
    assert card["robustness"] is None


def test_the_score_is_that_of_validate_to_the_last_bit(
    run: Path, out: Path, card: dict[str, Any], tmp_path: Path
) -> None:
    expected = evaluated(run, tmp_path / "scores")
    for key in ("miou", "miou_interval", "accuracy", "fwiou"):
        assert card["score"][key] == expected[key]
    for entry in card["classes"]:
        for key in ("iou", "f1", "precision", "recall"):
            assert entry[key] == expected[key][entry["name"]]
    pixels = np.sum(expected["confusion"], axis=1)
    assert [entry["pixels"] for entry in card["classes"]] == pixels.tolist()
    assert card["protocol"] == expected["protocol"]
    with np.load(out / "image_scores.npz") as ours, np.load(tmp_path / "scores" / "image_scores.npz") as theirs:
        assert sorted(ours.files) == sorted(theirs.files)
        for key in ours.files:
            np.testing.assert_array_equal(ours[key], theirs[key], key)
    edges = BoundaryCounts.load(out / "image_boundaries.npz")
    assert edges.union.shape == (IMAGES, len(card["classes"]))
    assert mean_boundary_iou(edges.intersection.sum(0), edges.union.sum(0)) == card["score"]["boundary_iou"]


def predictions(run: Path) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Full-resolution logits (1, C, H, W), labels (1, H, W) and masks (1, H, W), as torch gives them."""
    net, _ = load_net(run / "checkpoints" / "best.ckpt")
    split = ShapesDataModule(SIZE, 4, IMAGES, num_workers=0).split("val")
    found = []
    for index in range(len(split)):
        image, mask, _ = split.read(index)
        with torch.no_grad():
            logits = net(torch.from_numpy(image).permute(2, 0, 1)[None]).logits
        full = torch.nn.functional.interpolate(logits, mask.shape, mode="bilinear", align_corners=False)
        found.append((full, full.argmax(1), torch.from_numpy(mask)[None]))
    return found


def test_other_figures_are_those_of_the_metrics_over_the_split(run: Path, card: dict[str, Any]) -> None:
    iou, f, sizes = BoundaryIoU(8, 255), BoundaryF(8, 255), ObjectSizeIoU(8, 255)
    before, temperature = CalibrationError(255), BestTemperature(255)
    found = predictions(run)
    for logits, labels, mask in found:
        for metric in (iou, f, sizes):
            metric.update(labels, mask)
        before.update(logits, mask)
        temperature.update(logits, mask)
    score, calibration = card["score"], card["calibration"]
    assert score["boundary_iou"] == pytest.approx(float(iou.compute().nanmean()))
    assert f.compute().f.nanmean() == 0, "the pixels around the drawn objects are ignored"
    assert not f.true.any()
    assert score["boundary_f"] is None, "so F says nothing"
    by_class = [np.nan if entry["boundary_iou"] is None else entry["boundary_iou"] for entry in card["classes"]]
    np.testing.assert_allclose(by_class, iou.compute())
    assert [entry["objects"] for entry in card["sizes"]["bins"]] == sizes.compute().objects.sum(0).tolist()
    assert card["sizes"]["bins"][0]["iou"] == pytest.approx(float(sizes.compute().iou[:, 0].nanmean()))
    assert card["sizes"]["bins"][1]["recall"] == pytest.approx(float(sizes.compute().recall[:, 1].nanmean()))
    assert calibration["ece"] == pytest.approx(float(before.compute().ece), abs=1e-6)
    assert calibration["temperature"] == pytest.approx(float(temperature.compute()), rel=1e-3)
    after = CalibrationError(255, temperature=calibration["temperature"])
    for logits, _, mask in found:
        after.update(logits, mask)
    assert calibration["ece_after"] == pytest.approx(float(after.compute().ece), abs=1e-6)
    kept = [mask != 255 for _, _, mask in found]
    rest = torch.cat([1 - logits.softmax(1).amax(1)[one] for (logits, _, _), one in zip(found, kept, strict=True)])
    wrong = torch.cat([(labels != mask)[one] for (_, labels, mask), one in zip(found, kept, strict=True)])
    expected = average_precision_score(wrong, uncertainty_bin(rest))
    assert calibration["error_detection_ap"] == pytest.approx(expected, abs=1e-3)


def test_worst_and_best_images_and_what_they_are_taken_for(run: Path, out: Path, card: dict[str, Any]) -> None:
    scores = {}
    for index, (_, labels, mask) in enumerate(predictions(run)):
        kept = mask != 255
        true, guess = mask[kept].numpy(), labels[kept].numpy()
        present = np.union1d(true, guess)
        ious = [((true == c) & (guess == c)).sum() / ((true == c) | (guess == c)).sum() for c in present]
        scores[f"scene_{1_000_000 + index:07d}"] = np.mean(ious)
    ranked = sorted(scores, key=lambda name: scores[name])
    assert [entry["name"] for entry in card["worst"]] == ranked
    assert [entry["name"] for entry in card["best"]] == ranked[::-1]
    assert [entry["miou"] for entry in card["worst"]] == pytest.approx([scores[name] for name in ranked])
    quantiles = card["distribution"]["quantiles"]
    assert quantiles["50"] == pytest.approx(np.median(list(scores.values())))
    assert sum(one["images"] for one in card["distribution"]["bins"]) == IMAGES
    wrong = sum(entry["pixels"] for entry in card["confusions"])
    listed = sum(error["pixels"] for entry in card["worst"] for error in entry["errors"])
    assert 0 < listed <= wrong
    assert all(entry["pixels"] > 0 and entry["true"] != entry["predicted"] for entry in card["confusions"])
    with Image.open(out / card["worst"][0]["picture"]) as picture:
        assert picture.mode == "RGB"
        assert min(picture.size) >= SIZE


def test_curves_cost_and_data(run: Path, card: dict[str, Any]) -> None:
    miou = json.loads((run / "scores.json").read_text())["miou"]
    assert [value for _, value in card["curves"]["val/miou"]] == [pytest.approx(miou)]
    net, _ = load_net(run / "checkpoints" / "best.ckpt")
    assert card["cost"]["parameters"] == sum(parameter.numel() for parameter in net.parameters())
    assert card["cost"]["image_size"] == [SIZE, SIZE]
    assert card["cost"]["multiply_adds"] > 0
    assert card["cost"]["latency_ms"] > 0
    assert card["data"]["splits"]["val"]["images"] == IMAGES
    assert set(card["data"]["splits"]["train"]["classes"]) == set(card["class_names"])


SLIDING = "{class_path: seglight.inference.SlidingWindow, init_args: {window: 32, overlap: 0.5}}"


def test_the_inferer_of_the_recipe_and_the_test_split(run: Path, tmp_path: Path) -> None:
    args = ["card", str(run / "checkpoints" / "last.ckpt"), "--config", str(run.parent / "recipe.yaml")]
    assert main([*args, "--out", str(tmp_path / "card"), "--split", "test", "--inferer", SLIDING]) == 0
    expected = evaluated(run, tmp_path / "scores", "--inferer", SLIDING, command="test")
    found = read(tmp_path / "card")
    assert found["score"]["miou"] == expected["miou"]
    assert found["protocol"] == expected["protocol"]
    assert found["split"] == "test"
    assert found["curves"] is not None, "the checkpoint lies in a run folder"


def test_one_image_of_which_some_pixels_are_ignored(run: Path, tmp_path: Path) -> None:
    single = ["--data.eval_images", "1", "--out", str(tmp_path / "card")]
    assert main(["card", str(run), *single]) == 0
    found = read(tmp_path / "card")
    assert found["images"] == 1
    assert found["score"]["miou_interval"] is None, "a single image does not show how much the score depends on it"
    absent = [entry for entry in found["classes"] if entry["iou"] is None]
    assert absent, "no scene holds all classes"
    assert all(entry["iou_interval"] is None and entry["pixels"] == 0 for entry in absent)
    assert "NaN" not in (tmp_path / "card" / "card.json").read_text()


def test_the_temperature_is_kept_in_a_copy_of_the_model(run: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    single = ["--data.eval_images", "1"]
    ran = seglight_cli("card", run, *single, "--out", tmp_path / "card", "--calibrate")
    found = read(tmp_path / "card")["calibration"]
    path = tmp_path / "card" / "calibrated.ckpt"
    assert f"{path}, temperature {found['temperature']:.4g}" in ran.out
    net, model = load_net(path)
    former, _ = load_net(run / "checkpoints" / "best.ckpt")
    assert model.temperature == found["temperature"] != 1
    assert weights_checksum(net.state_dict()) == weights_checksum(former.state_dict())
    seglight_cli("card", path, "-c", run / "config.yaml", *single, "--out", tmp_path / "again")
    again = read(tmp_path / "again")
    assert again["calibration"]["ece"] == found["ece_after"], "the error is that of the model as it is"
    assert again["calibration"]["temperature"] == found["temperature"]
    assert again["score"] == read(tmp_path / "card")["score"], "labels do not depend on it"


def test_a_folder_with_anything_else_is_refused(run: Path, out: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    assert "it holds a finished card: name a new folder" in complaint(seglight_cli("card", run, "--out", out))
    (tmp_path / "note.txt").touch()
    assert "it is not empty, note.txt is in it" in complaint(seglight_cli("card", run, "--out", tmp_path))
    assert "a file of this name exists" in complaint(seglight_cli("card", run, "--out", tmp_path / "note.txt"))


def test_an_unfinished_card_is_continued_only_with_the_same_options(
    run: Path, tmp_path: Path, seglight_cli: CLI, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "card"

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("seglight.commands.card.run.write_page", interrupted)
        ran = seglight_cli("card", run, "--out", folder)
    assert ran.rc == 130
    assert f"{folder}: what is finished of the card is kept: the same command continues it" in ran.err
    assert (folder / UNFINISHED).exists()
    line = complaint(seglight_cli("card", run, "--out", folder, "--split", "test"))
    assert "it holds an unfinished card with split val in place of test: name" in line
    with monkeypatch.context() as patch:
        patch.setattr("seglight.commands.card.run.measure", None)  # it is not measured again
        assert seglight_cli("card", run, "--out", folder).rc == 0
    assert not (folder / UNFINISHED).exists()
    assert read(folder)["images"] == IMAGES


def test_mistakes_are_one_line(run: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    out = ["--out", tmp_path / "card"]
    assert "no such checkpoint" in complaint(seglight_cli("card", tmp_path / "none", *out))
    assert "no such checkpoint" in complaint(seglight_cli("card", run, *out, "--ckpt", "first"))
    line = complaint(seglight_cli("card", run / "checkpoints" / "best.ckpt", *out, "--ckpt", "last"))
    assert "is no run folder" in line
    shutil.copy(run / "checkpoints" / "best.ckpt", tmp_path / "net.ckpt")
    assert "no data is given: give --config FILE" in complaint(seglight_cli("card", tmp_path / "net.ckpt", *out))
    assert "--groups [" in complaint(seglight_cli("card", run, *out, "--groups", "["))
    assert "scene_1000000 has no group" in complaint(seglight_cli("card", run, *out, "--groups", "(street)"))
    assert "split: expected 'val' or 'test'" in complaint(seglight_cli("card", run, *out, "--split", "train"))
    line = complaint(seglight_cli("card", run, *out, "--trainer.precision", "bf16-true"))
    assert line.startswith("--trainer.precision bf16-true: losses and scores are exact for weights of 32 bits: use")
    assert "required: out" in complaint(seglight_cli("card", run))
    assert not (tmp_path / "card").exists(), "no mistake leaves a folder"


def test_names_are_known_before_a_pass(
    run: Path, tmp_path: Path, seglight_cli: CLI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seglight.commands.card.run.measure", None)
    out = ["--out", tmp_path / "card"]
    line = complaint(seglight_cli("card", run, *out, "--groups", r"(\w+)\d$"))
    assert f"all {IMAGES} images are in the group scene_100000, and it takes two: divide" in line
    line = complaint(seglight_cli("card", run, *out, "--groups", "([0-2])$"))
    assert "scene_1000003 has no group" in line
    assert not (tmp_path / "card").exists()


def test_names_of_files_are_their_paths_and_others_are_read(tmp_path: Path) -> None:
    class Files:
        reads: list[int] = []  # noqa: RUF012
        prefix = str(tmp_path)

        def __len__(self) -> int:
            return 9

        def sources(self, index: int) -> tuple[Path, ...]:
            return (tmp_path / f"{index}.png", tmp_path / f"{index}.txt")

        def read(self, index: int) -> tuple[None, None, str]:
            self.reads.append(index)
            return None, None, f"{self.prefix}/{index}.png"

    split: Any = Files()
    assert names_of(split) == [f"{tmp_path}/{index}.png" for index in range(9)]
    assert split.reads == [0, 4, 8]
    split.prefix = "elsewhere"
    assert names_of(split) == [f"elsewhere/{index}.png" for index in range(9)]


def test_a_folder_of_several_trainings_is_refused_by_name(run: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    for seed in (3, 7):
        shutil.copytree(run, tmp_path / f"seed_{seed}", ignore=shutil.ignore_patterns("*.ckpt"))
    expected = f"{tmp_path}: a folder of `fit --seeds`, of 2 trainings: name one, {tmp_path}/seed_3"
    assert complaint(seglight_cli("card", tmp_path, "--out", tmp_path / "card")) == expected
    assert complaint(seglight_cli("export", tmp_path, "--out", tmp_path / "net.onnx")) == expected


def test_lists_are_checked_without_torch(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglight.commands.card.run.main", None)
    args = ["card", str(run), "--out", str(tmp_path / "card")]
    for wrong, message in {
        ("--attacks", "pgd:4/255"): "--attacks: it is an option of --robustness",
        ("--robustness", "--attacks=pdg:4/255"): "there is no attack 'pdg'",
        ("--robustness", "--corruptions", "fogg"): "--corruptions fogg",
        ("--robustness", "--corruptions", ""): "--corruptions '': choose from",
        ("--robustness", "--attacks="): "there is no attack ''",
        ("--robustness", "--attack_steps", "0"): "--attack_steps 0: give a whole number of 1 or more",
        ("--robustness", "--attack_images=-2.5"): "--attack_images -2.5: give a whole number of 1 or more",
        ("--devices", "0"): "--devices 0: give",
        ("--groups", "["): "no regular expression",
        ("--out", str(run)): "it is not empty",
    }.items():
        with pytest.raises(UserError, match=re.escape(message)):
            check_given([*args, *wrong])
    check_given([*args, "--robustness", "--attacks", "fgsm:1/255", "--corruptions", "common,fog", "--groups", "(a)"])


def test_the_beginning_and_the_amount_are_printed(run: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    ran = seglight_cli("card", run, "--out", tmp_path / "card", "--data.eval_images", "1")
    first = ran.out.splitlines()[0]
    assert first == "measuring   1 images of val in 2 passes, then pictures and a look at the data"


def test_logits_that_are_not_finite_are_one_line_with_the_image(run: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    path = tmp_path / "broken.ckpt"
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    content["state_dict"][HEAD].fill_(3e38)  # the sum over the channels overflows
    torch.save(content, path)
    line = complaint(seglight_cli("card", path, "-c", run / "config.yaml", "--out", tmp_path / "card"))
    assert line.startswith("scene_1000000: ")
    assert "logits are NaN or infinite" in line


def test_a_net_of_other_classes_is_refused(run: Path, tmp_path: Path, seglight_cli: CLI, camvid: Path) -> None:
    config = recipe(tmp_path / "other.yaml", "CamVidDataModule", root=str(camvid))
    line = complaint(seglight_cli("card", run, "-c", config, "--out", tmp_path / "card"))
    assert "the data and the model have other classes" in line


def test_every_option_is_known_to_the_recipe_or_the_parser() -> None:
    """So that a recipe of `fit` is accepted whatever else it holds."""
    options = card_parser().get_defaults()
    assert {"inferer", "trainer.accelerator", "trainer.precision"} <= set(options.keys())
    assert yaml.safe_load(str(options.split)) == "val"
