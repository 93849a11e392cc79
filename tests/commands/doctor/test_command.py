"""`seglight doctor` on the command line.

Covers: commands.doctor.report, commands.doctor.rules.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from seglight.commands.doctor.rules import RULES
from tests.support import fabricate
from tests.support import planting as plant
from tests.support.command import Ran

CLI = Callable[..., Ran]


def test_exit_codes(seglight_cli: CLI, camvid: Path, tmp_path: Path) -> None:
    config = plant.recipe(tmp_path / "recipe.yaml", "seglight.data.CamVidDataModule", camvid)
    clean = seglight_cli("doctor", "--config", config)
    assert (clean.rc, clean.err) == (0, "")
    assert "nothing wrong was found" in clean.out
    (camvid / "trainannot" / "0001TP_000030.png").unlink()
    command = [sys.executable, "-m", "seglight", "doctor", "--config", str(config)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (1, "")
    assert "0001TP_000030" in found.stdout


def test_later_configs_win_and_the_command_line_over_all(seglight_cli: CLI, camvid: Path, tmp_path: Path) -> None:
    first = plant.recipe(tmp_path / "a.yaml", "seglight.data.CamVidDataModule", tmp_path / "nowhere")
    second = tmp_path / "b.yaml"
    second.write_text(yaml.safe_dump({"data": {"init_args": {"root": str(camvid), "batch_size": 3}}}))
    third = tmp_path / "c.yaml"
    third.write_text("trainer: {max_epochs: 3}\n")
    assert seglight_cli("doctor", "-c", first, "--config", second, f"--config={third}").rc == 0
    assert seglight_cli("doctor", "-c", first, "-c", second, "-c", first).rc == 2
    assert seglight_cli("doctor", "-c", first, "--data.init_args.root", camvid).rc == 0
    assert seglight_cli("doctor", "--data", "CamVidDataModule", "--data.init_args.root", camvid).rc == 0


def test_mistakes_on_the_command_line(seglight_cli: CLI, camvid: Path, tmp_path: Path) -> None:
    def says(*args: object) -> str:
        ran = seglight_cli("doctor", *args)
        assert ran.rc == 2
        return ran.err.removeprefix("seglight: error: ").strip()

    config = plant.recipe(tmp_path / "recipe.yaml", "seglight.data.CamVidDataModule", tmp_path / "nowhere")
    assert says().startswith("no data is given: give --config FILE")
    assert says("--config", tmp_path / "no.yaml").startswith(f"--config {tmp_path}/no.yaml: No such file")
    assert says("--config", config).startswith(f"{tmp_path}/nowhere/train: no such folder")
    assert "nowhere.DataModule" in says("--data", "nowhere.DataModule")
    assert "rooot" in says("--config", config, "--data.init_args.rooot", 3)
    assert "--fixx" in says("--config", config, "--fixx", 3)
    good = ("--config", config, "--data.init_args.root", camvid)
    assert says(*good, "--json", config / "report.json").startswith(f"--json {config}/report.json can't be written: ")
    assert "is not a folder that can be copied" in says(
        "--data", "seglight.data.ShapesDataModule", "--fix", tmp_path / "new"
    )


def test_json_contains_everything(seglight_cli: CLI, tmp_path: Path) -> None:
    root = fabricate.camvid(tmp_path / "CamVid", train=9)
    for path in sorted((root / "trainannot").iterdir())[:7]:
        path.unlink()
    config = plant.recipe(tmp_path / "recipe.yaml", "seglight.data.CamVidDataModule", root)
    ran = seglight_cli("doctor", "--config", config, "--json", tmp_path / "new" / "report.json")
    report = json.loads((tmp_path / "new" / "report.json").read_text())
    assert set(report) == {
        "seglight", "mistakes", "hints", "findings", "splits", "crop_size", "class_weights", "rare_class_crops", "fix",
    }  # fmt: skip
    (finding,) = report["findings"]
    assert set(finding) == {"level", "slug", "split", "what", "note", "mend", "count", "files"}
    assert (finding["slug"], finding["split"], finding["count"], len(finding["files"])) == (
        "missing-mask",
        "train",
        7,
        7,
    )
    assert "and 3 more" in ran.out
    assert (report["mistakes"], report["hints"], ran.rc) == (1, 0, 1)
    split = report["splits"]["train"]
    assert (split["images"], split["masks_counted"]) == (9, 2)
    assert sum(one["pixels"] for one in split["classes"].values()) < 2 * 36 * 48
    assert split["sizes"] == [{"height": 36, "width": 48, "images": 9}]
    assert len(report["class_weights"]) == len(report["rare_class_crops"]) == 11


def test_rules_state_what_is_wrong_and_how_to_fix_it() -> None:
    assert all(rule.slug == slug and rule.what and rule.fix for slug, rule in RULES.items())
