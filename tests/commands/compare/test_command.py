"""`seglight compare` on stored scores: what it says, what it writes, and what it refuses.

Covers: commands.compare.sides, commands.compare.result, commands.compare.tables, metrics.boundary_counts.
"""

import html
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglight.metrics.boundary_counts import FILE, BoundaryCounts
from tests.support.scored_runs import CLASSES, drawn_matrices, write_run

Cli = Callable[..., Any]

HELP = """
import sys
from seglight.__main__ import main
try:
    main(sys.argv[1:])
except SystemExit:
    print("LOADED", *{name.partition(".")[0] for name in sys.modules})
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs: "good" recognises 92 % of each class, "same" too, "bad" 80 %."""
    for name, recall, seed in (("good", 0.92, 1), ("same", 0.92, 2), ("bad", 0.8, 3)):
        write_run(tmp_path / name, drawn_matrices([recall] * 3, seed=seed))
    return tmp_path


def result_of(path: Path) -> Any:
    return json.loads(path.read_text())


def test_two_that_are_alike_and_two_that_are_not(runs: Path, seglight_cli: Cli) -> None:
    ran = seglight_cli("compare", runs / "good", runs / "same", "--json", runs / "alike.json")
    assert ran.rc == 0, ran.err
    assert "A and B: can't be told apart" in ran.out
    (pair,) = result_of(runs / "alike.json")["pairs"]
    low, high = pair["miou"]["interval"]
    assert low < 0 < high or abs(pair["miou"]["difference"]) < 0.02
    ran = seglight_cli("compare", runs / "bad", runs / "good", "--json", runs / "apart.json")
    assert ran.rc == 0, ran.err
    assert "A and B: B is better" in ran.out
    found = result_of(runs / "apart.json")
    (pair,) = found["pairs"]
    assert pair["miou"]["verdict"] == "B is better"
    assert pair["miou"]["interval"][1] < 0
    assert [row["verdict"] for row in pair["classes"]] == ["B is better"] * 3
    assert [row["name"] for row in pair["classes"]] == list(CLASSES)
    assert [side["letters"] for side in found["sides"]] == ["b", "a"]
    assert found["intervals"] == "images"
    assert "nothing about another training" in ran.out


def test_scores_are_those_of_the_counts(tmp_path: Path, seglight_cli: Cli) -> None:
    """Worked by hand: two images of two classes."""
    one = np.array([[[6, 2], [1, 3]], [[4, 0], [2, 2]]])
    other = np.array([[[8, 0], [1, 3]], [[4, 0], [0, 4]]])
    for name, matrices in (("one", one), ("other", other)):
        write_run(tmp_path / name, matrices, class_names=["x", "y"])
    ran = seglight_cli("compare", tmp_path / "one", tmp_path / "other", "--json", tmp_path / "r.json")
    assert ran.rc == 0, ran.err
    found = result_of(tmp_path / "r.json")
    ious = [[10 / 15, 5 / 10], [12 / 13, 7 / 8]]
    for side, iou, right in zip(found["sides"], ious, (15, 19), strict=True):
        assert side["iou"] == pytest.approx(iou)
        assert side["miou"] == pytest.approx(sum(iou) / 2)
        assert side["accuracy"] == pytest.approx(right / 20)
    (pair,) = found["pairs"]
    assert pair["miou"]["difference"] == pytest.approx(sum(ious[0]) / 2 - sum(ious[1]) / 2)
    changed = {row["name"]: row["scores"] for row in found["changed"]}
    assert changed["drive0_000"] == pytest.approx({"A": (6 / 9 + 3 / 6) / 2, "B": (8 / 9 + 3 / 4) / 2})
    assert list(changed) == ["drive0_001", "drive0_000"], "the second image differs by more"


def test_of_two_images_no_interval_is_beyond_the_range_of_scores(tmp_path: Path, seglight_cli: Cli) -> None:
    """Two images, one right and one wrong: Student's t of one degree of freedom alone would reach from -5.6 to 6.4."""
    write_run(tmp_path / "one", np.array([[[9, 0], [0, 9]], [[1, 8], [8, 1]]]), class_names=["x", "y"])
    write_run(tmp_path / "other", np.array([[[1, 8], [8, 1]], [[9, 0], [0, 9]]]), class_names=["x", "y"])
    ran = seglight_cli("compare", tmp_path / "one", tmp_path / "other", "--json", tmp_path / "r.json")
    assert ran.rc == 0, ran.err
    found = result_of(tmp_path / "r.json")
    for side in found["sides"]:
        assert side["miou_interval"] == side["accuracy_interval"] == [0, 1]
    (pair,) = found["pairs"]
    assert pair["miou"]["interval"] == [-1, 1]
    assert not pair["identical"], "only the sums are equal"
    assert "Of so few they are wider than those of card and validate" in " ".join(ran.out.split())


def test_identical_scores_are_said_to_be(runs: Path, seglight_cli: Cli) -> None:
    write_run(runs / "copy", drawn_matrices([0.92] * 3, seed=1))
    said = "A and B: can't be told apart: their scores are identical: each image has the same pixels of each class"
    for more, expected in (([], said), ([runs / "bad"], "A and B: their scores are identical")):
        ran = seglight_cli("compare", runs / "good", runs / "copy", *more)
        assert ran.rc == 0, ran.err
        assert expected in " ".join(ran.out.split())
    assert "A and C: their" not in " ".join(ran.out.split())


def test_several_trainings_a_side(runs: Path, seglight_cli: Cli) -> None:
    """A folder of `fit --seeds` and a list with commas; the interval contains the variation between trainings."""
    seeds = runs / "seeds"
    recalls = {0: 0.88, 3: 0.93, 5: 0.90}
    for seed, recall in recalls.items():
        write_run(seeds / f"seed_{seed}", drawn_matrices([recall] * 3, seed=seed))
    (seeds / "seeds.json").write_text(json.dumps({"runs": {str(seed): {} for seed in recalls}}))
    listed = f"{runs / 'good'},{runs / 'same'}"
    ran = seglight_cli("compare", seeds, listed, runs / "bad", "--json", runs / "r.json")
    assert ran.rc == 0, ran.err
    found = result_of(runs / "r.json")
    assert [len(side["trainings"]) for side in found["sides"]] == [3, 2, 1]
    assert found["sides"][0]["miou"] == pytest.approx(np.mean(found["sides"][0]["miou_by_training"]))
    assert found["intervals"] == "images and trainings"
    assert found["seed_deviation"]["measured"] > 0.01
    assert found["pairs"][0]["miou"]["verdict"] == "can't be told apart"
    low, high = found["pairs"][0]["miou"]["interval"]
    assert high - low > 0.05, "trainings of the first side are 0.09 apart"
    ran = seglight_cli("compare", seeds / "seed_3", runs / "good", "--json", runs / "s.json")
    low, high = result_of(runs / "s.json")["pairs"][0]["miou"]["interval"]
    assert high - low < 0.02, "and without that variation it is narrow"


def test_of_one_training_a_side_the_verdict_allows_for_another_one(runs: Path, seglight_cli: Cli) -> None:
    write_run(runs / "near", drawn_matrices([0.91] * 3, seed=8))
    for option, verdict in (([], "can't be told apart"), (["--seed_deviation", 0], "A is better")):
        path = runs / f"{len(option)}.json"
        ran = seglight_cli("compare", runs / "good", runs / "near", *option, "--json", path)
        assert ran.rc == 0, ran.err
        (pair,) = result_of(path)["pairs"]
        assert ("don't allow for another training" in ran.out) == (not option)
        assert pair["miou"]["interval"][0] > 0, "on other images of the kind these two nets differ"
        assert pair["miou"]["verdict"] == verdict


def test_groups_of_images_widen_intervals(tmp_path: Path, seglight_cli: Cli) -> None:
    """Five copies of each image say no more than one."""
    few = {name: drawn_matrices([recall] * 3, 12, seed) for name, recall, seed in (("a", 0.9, 1), ("b", 0.88, 2))}
    names = [f"drive{k // 5}_{k:03d}" for k in range(60)]
    for name, matrices in few.items():
        write_run(tmp_path / name, np.repeat(matrices, 5, 0), names)
        write_run(tmp_path / f"{name}_few", matrices, [f"drive{k}" for k in range(12)])
    lines = "".join(f"{name},{name[:6]}\n" for name in names)
    (tmp_path / "drives.csv").write_text(lines.replace("drive1_", "driveX_").replace("driveX_", "drive1_"))
    widths = {}
    for key, sides, options in (
        ("pattern", ("a", "b"), ["--groups", r"^(drive\d+)_"]),
        ("few", ("a_few", "b_few"), []),
        ("alone", ("a", "b"), []),
    ):
        path = tmp_path / f"{key}.json"
        ran = seglight_cli("compare", *(tmp_path / side for side in sides), *options, "--json", path)
        assert ran.rc == 0, ran.err
        low, high = result_of(path)["pairs"][0]["miou"]["interval"]
        widths[key] = high - low
        assert result_of(path)["groups"]["count"] == {"pattern": 12, "few": 12, "alone": 60}[key]
    assert widths["pattern"] == pytest.approx(widths["few"])
    assert widths["alone"] < 0.6 * widths["pattern"]


def test_cards_are_compared_by_their_boundaries_too(runs: Path, seglight_cli: Cli) -> None:
    """Worked by hand: 40 images of two classes with a boundary; the bands of the second card overlap by more."""
    union = np.tile([[100, 50, 0]], (40, 1))
    for name, shares in (("good", [0.5, 0.4, 0]), ("bad", [0.3, 0.2, 0])):
        (runs / name / "scores.json").unlink()
        (runs / name / "card.json").write_text(json.dumps({"class_names": list(CLASSES), "model": {"path": "gone"}}))
        BoundaryCounts((union * shares).astype(np.int64), union).save(runs / name / FILE)
    ran = seglight_cli("compare", runs / "good", runs / "bad", "--json", runs / "r.json")
    assert ran.rc == 0, ran.err
    found = result_of(runs / "r.json")
    assert [side["boundary_iou"] for side in found["sides"]] == pytest.approx([0.45, 0.25])
    assert found["pairs"][0]["boundary_iou"]["difference"] == pytest.approx(0.2)
    assert found["pairs"][0]["boundary_iou"]["interval"] == pytest.approx([0.2, 0.2])
    assert "boundary IoU" in ran.out
    ran = seglight_cli("compare", runs / "good", runs / "same", "--json", runs / "s.json")
    assert result_of(runs / "s.json")["pairs"][0]["boundary_iou"] is None, "one of them has no boundaries"
    (runs / "bad" / FILE).write_bytes(b"PK")

    def err() -> str:
        ran = seglight_cli("compare", runs / "good", runs / "bad")
        assert ran.rc == 2
        return str(ran.err)

    assert f"{runs / 'bad' / FILE}: missing or damaged (ValueError): write the card anew" in err()
    (runs / "bad" / "card.json").write_text("{")
    assert "card.json: missing or damaged (JSONDecodeError): write the card anew" in err()
    (runs / "bad" / "card.json").write_text("{}")
    assert "image_scores.npz and card.json are not of one evaluation: write the card anew" in err()
    (runs / "bad" / "image_scores.npz").write_bytes(b"PK")
    assert "image_scores.npz: damaged (ValueError): write the card anew by `seglight card`, or score the run" in err()
    (runs / "bad" / "config.yaml").touch()
    assert f"write it with `seglight validate -c {runs / 'bad' / 'config.yaml'}" in err()


def test_images_in_another_order_are_the_same(runs: Path, seglight_cli: Cli) -> None:
    order = np.random.default_rng(0).permutation(40)
    names = [f"/elsewhere/drive{k // 5}_{k:03d}" for k in order]
    write_run(runs / "turned", drawn_matrices([0.92] * 3, seed=1)[order], names)
    assert seglight_cli("compare", runs / "good", runs / "turned", "--json", runs / "r.json").rc == 0
    (pair,) = result_of(runs / "r.json")["pairs"]
    assert pair["miou"] == {
        "difference": 0.0, "interval": [0.0, 0.0], "p": 1.0, "verdict": "can't be told apart",
    }  # fmt: skip


def other_images(path: Path) -> None:
    write_run(path, drawn_matrices([0.9] * 3), [f"frame{k}" for k in range(40)], split="test")


def fewer_images(path: Path) -> None:
    write_run(path, drawn_matrices([0.9] * 3, 39))


def other_labels(path: Path) -> None:
    matrices = drawn_matrices([0.9] * 3)
    matrices[7, 1, 1] += 1
    write_run(path, matrices)


def other_classes(path: Path) -> None:
    write_run(path, drawn_matrices([0.9] * 3), class_names=["road", "van", "sign"])


def more_classes(path: Path) -> None:
    write_run(path, drawn_matrices([0.9] * 4), class_names=[*CLASSES, "pole"])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (other_images, "they were scored on other images (val, 40, and test, 40): drive0_000 is only in the first"),
        (fewer_images, "(val, 40, and val, 39): drive7_039 is only in the first"),
        (other_labels, "pixels of car in drive1_007"),
        (other_classes, "their classes differ: 'car' in the first, 'van' in the second"),
        (more_classes, "their classes differ: none in the first, 'pole' in the second"),
    ],
)
def test_what_differs_is_named_in_one_line(
    change: Callable[[Path], None], complaint: str, runs: Path, seglight_cli: Cli
) -> None:
    change(runs / "else")
    ran = seglight_cli("compare", runs / "good", runs / "else")
    assert ran.rc == 2
    assert len(ran.err.splitlines()) == 1
    assert "can't be compared" in ran.err
    assert complaint in ran.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["good"], "1 sides: give at least two"),
        (["good", "no_such"], "no_such: no such run folder, card folder or model"),
        (["good", "bad", "--split", "test"], "its scores are of the val split, not of --split test"),
        (["good", "bad", "--split", "train"], "compare --help"),
        (["good", "bad", "--groups", "x"], "--groups x"),
        (["good", "bad", "--seed_deviation", "-1"], "--seed_deviation -1"),
        (["good", "bad", "--json", "good/scores.json"], "there is a file already"),
        (["good", "bad", "--out", "good"], "there is something already"),
        (["good,good", "bad"], "good is given twice"),
        (["good", "bad", "./good"], "good is given twice"),
        (["good", "bad", "--grups", "x"], "did you mean --groups"),
        ([",", "bad"], "no path"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(
    arguments: list[str], complaint: str, runs: Path, seglight_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs)
    before = sorted(runs.rglob("*"))
    ran = seglight_cli("compare", *arguments)
    assert ran.rc == 2
    assert len(ran.err.splitlines()) == 1
    assert complaint in ran.err
    assert sorted(runs.rglob("*")) == before


def test_trainings_that_are_not_finished_are_refused(runs: Path, seglight_cli: Cli) -> None:
    write_run(runs / "seeds" / "seed_0", drawn_matrices([0.9] * 3))
    ran = seglight_cli("compare", runs / "seeds", runs / "good")
    assert ran.rc == 2
    assert "no seeds.json" in ran.err


def test_which_of_several_are_alike(runs: Path, seglight_cli: Cli) -> None:
    write_run(runs / "worst", drawn_matrices([0.7] * 3, seed=4))
    ran = seglight_cli("compare", *(runs / name for name in ("worst", "good", "bad", "same")))
    assert ran.rc == 0, ran.err
    assert "B, D: can't be told apart" in ran.out
    assert "A, C" not in ran.out


def test_the_page_has_names_as_text_only(tmp_path: Path, seglight_cli: Cli) -> None:
    odd = "<img src=x onerror=alert(1)>"
    names = [f"{odd}{k}" for k in range(40)]
    for name, seed in (("one", 1), ("other", 2)):
        write_run(tmp_path / name, drawn_matrices([0.9] * 3, seed=seed), names, [odd, "b\x1b[31m", "c"])
    ran = seglight_cli("compare", tmp_path / "one", tmp_path / "other", "--out", tmp_path / "out")
    assert ran.rc == 0, ran.err
    page = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    assert odd not in page
    assert "&lt;img src=x" in page
    assert "\x1b" not in page
    assert "\x1b" not in ran.out
    assert "Pictures are missing: the data is not known" in page
    assert "alike" not in page + ran.out
    assert result_of(tmp_path / "out" / "compare.json")["class_names"][0] == odd


def test_the_page_names_its_sides_and_explains_its_verdicts(runs: Path, seglight_cli: Cli) -> None:
    sides = f"{runs / 'good'},{runs / 'same'}", runs / "bad"
    assert seglight_cli("compare", *sides, "--out", runs / "out").rc == 0
    page = (runs / "out" / "compare.html").read_text(encoding="utf-8")
    text = html.unescape(re.sub(r"<[^>]*>", "|", page.replace("<bdi>", "").replace("</bdi>", "")))
    found = result_of(runs / "out" / "compare.json")["sides"]
    head = text[: text.index("Differences|")]
    for side in found:
        assert re.search(rf"Side {side['name']}\|+{re.escape(side['given'][:40])}", head)
    assert " ".join(f"{value:.4f}" for value in found[0]["miou_by_training"]) in text
    assert "Sides that share a letter can't be told apart." in text
    assert "Accuracy and boundary IoU have no verdict" in text
    assert "under better means can't be told apart: verdicts are corrected for all 3 classes. Intervals are not" in text
    assert "Intervals are not corrected: one may exclude 0 where the verdict tells nothing apart" in text


def test_help_needs_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", HELP, "compare", "--help"], capture_output=True, text=True, check=True)
    assert "--seed_deviation" in done.stdout
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"torch", "lightning", "scipy"}
