"""Scores of corrupted images against scikit-learn, resumed passes, and scores relative to another card's.

Covers: commands.card.reference, commands.card.corruption_list, commands.card.consistency_counts, system.damaged_arrays.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from sklearn.metrics import jaccard_score
from torch import Tensor, nn

from seglight.commands.card.corrupted import CorruptionOptions, corrupted_scores, summary
from seglight.commands.card.corruption_list import kinds_of
from seglight.commands.card.reference import Reference, check_labels, read_reference, relative_scores
from seglight.errors import UserError
from seglight.inference import WholeImage
from seglight.interfaces import Encoder, Labelled
from seglight.metrics.image_counts import FILE, ImageCounts, ScoredImages
from seglight.robustness import CAMERA_CORRUPTIONS, CORRUPTIONS, VALIDATION_CORRUPTIONS, corrupt
from seglight.robustness.consistency import SETTINGS
from tests.support.processes import in_processes
from tests.support.published_corruptions import drawn_image

IGNORE = 255


class Drawn(Labelled):
    """Three images of different sizes, whose class is the brightness of red."""

    fingerprint = "drawn"

    def __len__(self) -> int:
        return 3

    def sources(self, index: int) -> tuple[Path, ...]:
        return ()

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        image = drawn_image(33 + index, 40)
        mask = (image[..., 0] > 100).astype(np.uint8)
        mask[:5] = IGNORE
        return image, mask, f"{index}.png"


class ByRed(nn.Module):
    """Class 1 where red is above 127; may be interrupted after some images."""

    def __init__(self, most: int = 10**9) -> None:
        super().__init__()
        self.seen = 0
        self.most = most

    def forward(self, image: Tensor) -> Tensor:
        self.seen += len(image)
        if self.seen > self.most:
            raise KeyboardInterrupt
        red = image[:, :1].float() - 127.5
        return torch.cat([-red, red], 1)


def options(*kinds: str, **others: Any) -> CorruptionOptions:
    return CorruptionOptions("val", 2, IGNORE, kinds, **others)


def scores(out: Path, *kinds: str, net: nn.Module | None = None, **others: Any) -> dict[str, Any]:
    return corrupted_scores(net or ByRed(), WholeImage(), Drawn(), options(*kinds, **others), out)


def expected(kind: str, severity: int) -> float:
    true, predicted = [], []
    for index in range(3):
        image, mask, name = Drawn().read(index)
        true.append(mask.ravel())
        predicted.append(corrupt(image, kind, severity, 0, name)[..., 0].ravel() > 127)
    y, p = np.concatenate(true), np.concatenate(predicted)
    return float(jaccard_score(y[y != IGNORE], p[y != IGNORE], average="macro"))


def test_scores_are_those_of_scikit_learn(tmp_path: Path) -> None:
    found = scores(tmp_path, "brightness", "gaussian_noise")
    for kind in ("brightness", "gaussian_noise"):
        ours = found["corruptions"][kind]
        assert ours["severities"] == pytest.approx([expected(kind, severity) for severity in (1, 2, 3, 4, 5)])
        assert ours["mean"] == pytest.approx(np.mean(ours["severities"]))
    assert found["corruption_mean"] is None  # only of all common kinds
    assert found["relative"] is None
    assert found["consistency"]["flip"] == {"horizontal": 1.0}
    assert found["consistency"]["shift"]["16"] == 1
    assert 0.8 < found["consistency"]["scale"]["0.5"] < 1
    json.dumps(found, allow_nan=False)
    kept = ScoredImages.load(tmp_path / "corruptions" / "brightness-3.npz")
    assert kept.names == ["0.png", "1.png", "2.png"]
    assert kept.counts.confusion().sum() == sum(40 * (28 + index) for index in range(3))


def test_an_interrupted_card_continues(tmp_path: Path) -> None:
    kinds = ("fog", "glass_blur")
    whole = ByRed()
    at_once = scores(tmp_path / "a", *kinds, net=whole)
    interrupted = ByRed(most=3 * (len(SETTINGS) + 1) + 3 * 4 + 1)
    with pytest.raises(KeyboardInterrupt):
        scores(tmp_path / "b", *kinds, net=interrupted)
    there = {path.name for path in (tmp_path / "b" / "corruptions").iterdir()}
    assert there == {"clean.npz", "consistency.npz", *(f"fog-{severity}.npz" for severity in (1, 2, 3, 4))}
    rest = ByRed()
    assert scores(tmp_path / "b", *kinds, net=rest) == at_once
    assert rest.seen == 3 * 6
    assert whole.seen == 3 * (len(SETTINGS) + 1 + 10)
    again = ByRed()
    assert scores(tmp_path / "b", *kinds, net=again) == at_once
    assert again.seen == 0


def test_damaged_counts_are_counted_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = scores(tmp_path, "fog")
    path = tmp_path / "corruptions" / "fog-2.npz"
    path.write_bytes(path.read_bytes()[:100])
    assert scores(tmp_path, "fog") == found
    assert "fog-2.npz: damaged: these images are scored again" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["short", "empty", "others"])
def test_damaged_consistency_is_counted_again(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = scores(tmp_path)
    path = tmp_path / "corruptions" / "consistency.npz"
    if damage == "others":  # of one image less
        with np.load(path) as content:
            arrays = {"settings": content["settings"], "same": content["same"][1:]}
        np.savez_compressed(path, **arrays)
    else:
        path.write_bytes(path.read_bytes()[: 100 if damage == "short" else 0])
    assert scores(tmp_path) == found
    assert "consistency.npz: damaged: these images are predicted again" in capsys.readouterr().err


def test_any_changed_byte_of_kept_counts_is_one_line_or_no_error(tmp_path: Path) -> None:
    scores(tmp_path)
    path = tmp_path / "corruptions" / "clean.npz"
    content, whole = path.read_bytes(), ScoredImages.load(path)
    refusals: list[str] = []
    for at in range(0, len(content), 29):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        try:
            found = ScoredImages.load(path)
        except UserError as error:
            refusals.append(str(error))
        else:
            assert found.names == whole.names
            np.testing.assert_array_equal(found.counts.confusion(), whole.counts.confusion())
    assert len(refusals) > 10
    assert not any("\n" in line for line in refusals)


def test_processes_that_corrupt_images_change_nothing(tmp_path: Path) -> None:
    assert scores(tmp_path / "a", "snow", num_workers=1) == scores(tmp_path / "b", "snow")


def test_consistency_alone(tmp_path: Path) -> None:
    found = scores(tmp_path)
    assert found["corruptions"] == {}
    assert found["corruption_mean"] is None
    assert list(found["consistency"]) == ["flip", "shift", "scale"]


def test_another_seed_is_another_corruption(tmp_path: Path) -> None:
    first, second = (scores(tmp_path / str(seed), "gaussian_noise", seed=seed) for seed in (0, 1))
    assert first["corruptions"] != second["corruptions"]
    assert first["consistency"] == second["consistency"]


class FourBands(Encoder):
    """Reads four bands."""

    in_channels = 4


class Infrared(Drawn):
    """Images of four bands."""

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        image, mask, name = super().read(index)
        return np.concatenate([image, image[..., :1]], -1), mask, name


def test_images_of_other_bands_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--corruptions: the net reads 4 bands: corruptions need RGB images"):
        scores(tmp_path, "fog", net=FourBands())
    with pytest.raises(UserError, match=r"^0\.png: 4 bands: corruptions need RGB images of three$"):
        corrupted_scores(ByRed(), WholeImage(), Infrared(), options("fog"), tmp_path)


def test_kinds_of_the_command_line() -> None:
    assert kinds_of("common") == CORRUPTIONS
    assert kinds_of("validation, fog,camera,fog") == (*VALIDATION_CORRUPTIONS, "fog", *CAMERA_CORRUPTIONS)
    assert kinds_of("none") == ()
    with pytest.raises(UserError, match=r"^--corruptions rain: choose from common, validation, camera, none, gauss"):
        kinds_of("fog,rain")
    with pytest.raises(UserError, match=r"^--corruptions '': choose from common"):
        kinds_of("")
    with pytest.raises(UserError, match=r"^--corruptions none,fog: none leaves all corruptions out: give it alone"):
        kinds_of("none,fog")


def test_the_mean_of_all_common_kinds() -> None:
    same = np.array([[1, 4]] * len(SETTINGS), np.int64)
    same[1] = 0
    values = {kind: [0.1 * k, 0.2 * k, 0.3 * k, 0.4 * k, 0.5 * k] for k, kind in enumerate(CORRUPTIONS)}
    found = summary(0.9, {**values, "spatter": [float("nan")] * 5}, same, None)
    assert found["corruption_mean"] == pytest.approx(0.3 * 7)
    assert found["corruptions"]["spatter"] == {"severities": [None] * 5, "mean": None}
    assert found["consistency"]["shift"]["1"] is None
    assert found["consistency"]["flip"]["horizontal"] == 0.25


def test_relative_scores_of_a_case_worked_by_hand() -> None:
    """Fog: errors 0.6 and 0.8, of which 0.4 and 0.5 are lost by it; frost isn't known of the reference."""
    found = relative_scores(
        0.8, {"fog": 0.4, "snow": 0.7, "frost": 0.5}, Reference("other", 0.7, {"fog": 0.2, "snow": 0.7})
    )
    assert found["reference"] == "other"
    assert found["cd"] == pytest.approx({"fog": 0.6 / 0.8, "snow": 1})
    assert found["mean_cd"] == pytest.approx((0.75 + 1) / 2)
    assert found["relative_cd"] == {"fog": pytest.approx(0.4 / 0.5), "snow": None}  # it loses nothing by snow
    assert found["mean_relative_cd"] is None


NAMES = ["here/0.png", "here/1.png", "here/2.png"]


def counts_of(names: list[str], pixels: list[list[int]]) -> ScoredImages:
    """Counts of images whose pixels of two classes are all right."""
    cells = np.tile([0, 3], len(pixels))
    lengths = np.full(len(pixels), 2)
    return ScoredImages("val", 1, names, ImageCounts(2, lengths, cells, np.array(pixels).flatten()))


@pytest.fixture
def other(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    card = {
        "split": "val",
        "images": 3,
        "class_names": ["a", "b"],
        "score": {"miou": 0.7},
        "robustness": {"corruptions": {"fog": {"severities": [0.2] * 5, "mean": 0.2}}},
    }
    counts_of(["there/1.png", "there/0.png", "there/2.png"], [[3, 4], [1, 2], [5, 6]]).save(tmp_path / FILE)
    return tmp_path, card


def test_the_card_of_a_reference(other: tuple[Path, dict[str, Any]]) -> None:
    folder, card = other
    (folder / "card.json").write_text(json.dumps(card))
    assert read_reference(folder, "val", NAMES, ["a", "b"]) == Reference(str(folder), 0.7, {"fog": 0.2})


def test_a_reference_of_other_images_or_labels_is_refused(other: tuple[Path, dict[str, Any]]) -> None:
    folder, card = other
    (folder / "card.json").write_text(json.dumps(card))
    check_labels(folder, counts_of(NAMES, [[1, 2], [3, 4], [5, 6]]), ["a", "b"])
    with pytest.raises(UserError, match=r"labels are others: 6 pixels of b in here/2\.png, here 7: give a card of the"):
        check_labels(folder, counts_of(NAMES, [[1, 2], [3, 4], [5, 7]]), ["a", "b"])
    with pytest.raises(UserError, match=r"the card is of other images: 3\.png is not among them: give a card of the"):
        read_reference(folder, "val", [*NAMES[:2], "here/3.png"], ["a", "b"])
    (folder / FILE).unlink()
    with pytest.raises(UserError, match=r"image_scores\.npz is missing or damaged: give a whole card's folder"):
        read_reference(folder, "val", NAMES, ["a", "b"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"robustness": None}, "the card has no corruptions: write it with --robustness"),
        ({"images": 4}, "the card is of 4 images of val with 2 classes, and this one of 3 images of val with 2"),
        ({"split": "test"}, "3 images of test"),
        ({"class_names": ["a", "c"]}, "both have to be of the same"),
        ({"score": 5}, "card.json is no card of this version"),
        (None, "No such file or directory: give the folder of a card"),
    ],
)
def test_cards_that_are_no_reference(
    other: tuple[Path, dict[str, Any]], change: dict[str, Any] | None, message: str
) -> None:
    folder, card = other
    if change is not None:
        (folder / "card.json").write_text(json.dumps({**card, **change}))
    with pytest.raises(UserError) as raised:
        read_reference(folder, "val", NAMES, ["a", "b"])
    assert message in str(raised.value)
    assert str(raised.value).startswith(f"--reference {folder}: ")


def half(rank: int, out: Path) -> None:
    """What each of two processes does."""
    dist.init_process_group("gloo", rank=rank, world_size=2)
    found = scores(out, "fog")
    dist.destroy_process_group()
    (out / f"{rank}.json").write_text(json.dumps(found))


def test_two_processes_count_the_same(tmp_path: Path) -> None:
    in_processes(2, half, tmp_path)
    alone = scores(tmp_path / "alone", "fog")
    assert [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)] == [alone] * 2
    stored = [ScoredImages.load(folder / "corruptions" / "fog-1.npz") for folder in (tmp_path, tmp_path / "alone")]
    assert stored[0].names == stored[1].names
    assert np.array_equal(stored[0].counts.counts, stored[1].counts.counts)
