"""What the doctor finds in the real CamVid is real, and all of it is known.

Covers: commands.doctor.diagnose, commands.doctor.facts, commands.doctor.tables.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from seglight.commands.doctor.diagnose import diagnose_mask
from seglight.commands.doctor.facts import image_facts, mask_facts
from seglight.commands.doctor.image_hash import distance
from seglight.commands.doctor.tables import label_table
from seglight.data.datasets.camvid import CLASSES, CODEC
from tests.support import fabricate
from tests.support.command import Ran

RECIPE = Path(__file__).parents[3] / "configs" / "camvid" / "fpn_efficientnet_lite0.yaml"


def test_camvid(seglight_cli: Callable[..., Ran], camvid_root: Path, tmp_path: Path) -> None:
    ran = seglight_cli(
        "doctor", "--config", RECIPE, "--data.init_args.root", camvid_root, "--json", tmp_path / "report.json"
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert (ran.rc, report["mistakes"]) == (0, 0)
    assert {"train": 367, "val": 101}.items() <= {name: one["images"] for name, one in report["splits"].items()}.items()
    found = {(finding["slug"], finding["split"]): finding for finding in report["findings"]}
    drive = found[("sequence", "train, val")]
    assert drive["count"] == 24
    for case in drive["files"]:
        ours, theirs = case["file"], case["note"].removeprefix("next to ")
        frames = [int(Path(path).stem.removeprefix("0016E5_")) for path in (ours, theirs)]
        assert abs(frames[0] - frames[1]) <= 60, "two seconds of one drive"
        near, far = (image_facts(path).image_hash for path in (ours, theirs))
        assert near is not None
        assert far is not None
        assert distance(near, far) < 27
    if "test" not in report["splits"]:
        assert set(found) == {("sequence", "train, val")}


def sized(factor: float, how: int) -> Callable[[Any], Any]:
    return lambda mask: cv2.resize(mask, None, fx=factor, fy=factor, interpolation=how)


def through_jpeg(quality: int) -> Callable[[Any], Any]:
    return lambda mask: cv2.imdecode(cv2.imencode(".jpg", mask, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        (sized(1, cv2.INTER_NEAREST), ""),
        (sized(0.5, cv2.INTER_NEAREST), ""),
        (sized(0.1, cv2.INTER_NEAREST), ""),
        (sized(0.5, cv2.INTER_LINEAR), "interpolated-mask"),
        (sized(0.5, cv2.INTER_AREA), "interpolated-mask"),
        (sized(0.75, cv2.INTER_CUBIC), "interpolated-mask"),
        (sized(2, cv2.INTER_LINEAR), "interpolated-mask"),
        (through_jpeg(50), "jpeg-mask"),
        (through_jpeg(75), "jpeg-mask"),
    ],
)
def test_smeared_masks_are_distinguished_from_sharp_ones(
    change: Callable[[Any], Any], slug: str, camvid_root: Path, tmp_path: Path
) -> None:
    table = label_table(CODEC, CLASSES)
    assert table is not None
    masks = sorted((camvid_root / "trainannot").iterdir())[::24]
    found: Counter[str] = Counter()
    for path in masks:
        Image.fromarray(change(fabricate.raw(path))).save(tmp_path / "mask.png")
        diagnosis = diagnose_mask(mask_facts(str(tmp_path / "mask.png"), table), table)
        found[diagnosis[0] if diagnosis else ""] += 1
    assert found[slug] >= (0.9 if slug else 1) * len(masks), found


def test_weights_are_those_of_the_recipe_but_for_poles(
    seglight_cli: Callable[..., Ran], camvid_root: Path, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    seglight_cli("doctor", "--config", RECIPE, "--data.init_args.root", camvid_root, "--json", path)
    recipe = yaml.safe_load(RECIPE.read_text())
    weights = json.loads(path.read_text())["class_weights"]
    theirs = recipe["model"]["loss"]["init_args"]["losses"][0]["init_args"]["class_weights"]
    pole = 2  # counts more in the recipe
    np.testing.assert_allclose(np.delete(weights, pole), np.delete(theirs, pole), atol=0.0051)
    assert weights[pole] == pytest.approx(1.42, abs=0.0051)
