"""The benchmarks run, on a few images: what they print is a matter of quiet machines."""

import json
import subprocess
import sys
from pathlib import Path


def test_loader_compares_loaders_of_one_distribution(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "loader", "--images", "8", "8", "8", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--draws", "60", "--json", out], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert list(figures) == ["a", "b", "c"]
    for case in figures.values():
        assert min(min(row) for row in case["p_values"].values()) > 0.001
        assert case["samples_per_second"].keys() == {"torchvision", "albumentations", "seglight", "seglight, cache"}
        assert case["bytes_ratio"] == 0.2, "4 bytes a pixel against 12 of floats and 8 of int64 labels"


def test_evaluate_holds_the_matrices_equal_before_it_measures(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    tiny = ["--images", "3", "--scale", "8", "--rounds", "1", "--threads", "1", "--workers", "0", "--json", out]
    command = [sys.executable, "-m", "benchmarks", "evaluate", "--nets", "MobileNetV3-small 0.5, FPN at stride 4"]
    done = subprocess.run([*command, *tiny], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    (figures,) = json.loads(out.read_text()).values()
    assert min(figures["ours_seconds"], figures["peer_seconds"]) > 0
