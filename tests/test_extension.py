"""The additions that docs/extending.md shows, outside the package, and as commits within a copy of it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "extending.md"
BLOCKS = dict(re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE.read_text(), flags=re.DOTALL))


ADDITIONS = {
    "a data set": {
        "floods.py": "seglight/data/datasets/floods.py",
        "floods.yaml": "configs/data/floods.yaml",
    },
    "a decoder": {
        "sumup.py": "seglight/models/decoders/sumup.py",
        "sumup_resnet18.yaml": "configs/model/sumup_resnet18.yaml",
    },
    "a loss": {"brier.py": "seglight/losses/brier.py"},
    "a method": {"flips.py": "seglight/training/methods/flips.py"},
    "a command": {"pixels.py": "seglight/commands/pixels.py"},
}
"""Of each kind of addition, the page's files and where they go: nothing else may be touched."""

INSIDE = {
    "floods.FloodsDataModule": "seglight.data.datasets.floods.FloodsDataModule",
    "sumup.SumUp": "seglight.models.decoders.sumup.SumUp",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder with the files of the page, on the Python path."""
    assert set(BLOCKS) == {name for files in ADDITIONS.values() for name in files}
    for name, text in BLOCKS.items():
        (tmp_path / name).write_text(text)
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for folder in ("img", "lab"):
            (tmp_path / "data" / split / folder).mkdir(parents=True)
        for k in range(3):
            image = rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / "data" / split / "img" / f"{k}.jpg")
            label = rng.choice(np.array([0, 128, 255], np.uint8), (70, 90))
            Image.fromarray(label).save(tmp_path / "data" / split / "lab" / f"{k}.png")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for module in ("floods", "sumup", "brier", "flips"):
        sys.modules.pop(module, None)


def test_additions_outside_the_package_train_and_predict(project: Path, seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli(
        "fit", "-c", project / "floods.yaml", "-c", project / "sumup_resnet18.yaml", "--run_dir", project / "run",
        "--data.init_args.root", project / "data", "--data.init_args.batch_size", 2, "--data.init_args.num_workers", 0,
        "--model.net.init_args.encoder.init_args.weights", "random",
        "--model.loss", "brier.Brier", "--model.method", "flips.Flips",
        "--trainer.accelerator", "cpu", "--trainer.max_steps", 1,
    )  # fmt: skip
    assert ran.rc == 0, ran.err
    checkpoint = project / "run" / "checkpoints" / "last.ckpt"
    image = project / "data" / "val" / "img" / "0.jpg"

    refused = seglight_cli("predict", checkpoint, image, "--out", project / "masks")
    assert refused.rc == 2
    assert "sumup.SumUp" in refused.err
    assert "--trust sumup" in refused.err

    assert seglight_cli("predict", checkpoint, image, "--out", project / "masks", "--trust", "sumup").rc == 0
    mask = np.asarray(Image.open(project / "masks" / "0.png"))
    assert mask.shape == (70, 90)
    assert set(np.unique(mask)) <= {0, 1}


def git(copy: Path, *args: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    return subprocess.run(("git", *who, *args), cwd=copy, capture_output=True, text=True, check=True).stdout


CHILD = """
import json, sys
from seglight.__main__ import main
from tests.support import rooms
for args in json.loads(sys.stdin.read()):
    print("code", main(args))
print(rooms.cycles(), [name for name in rooms.FILES if rooms.against_the_order(name)])
"""


def in_copy(copy: Path, *commands: list[object]) -> list[str]:
    """Lines that commands of the copy print, all of which run in one process."""
    given = json.dumps([[str(arg) for arg in command] for command in commands])
    env = os.environ | {"PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=copy, env=env, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in a folder of its own, with each addition as a commit."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("seglight", "configs", "tests/support"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    git(copy, "init", "--quiet")
    git(copy, "add", "--all")
    git(copy, "commit", "--quiet", "--message", "the project")
    for kind, files in ADDITIONS.items():
        for block, path in files.items():
            text = BLOCKS[block]
            for outside, inside in INSIDE.items():
                text = text.replace(outside, inside)
            (copy / path).write_text(text)
        if kind == "a command":
            entry = copy / "seglight" / "__main__.py"
            line = '    "pixels": ("seglight.commands.pixels", "how many pixels an image has"),\n'
            entry.write_text(entry.read_text().replace("COMMANDS = {\n", f"COMMANDS = {{\n{line}"))
        git(copy, "add", "--all")
        git(copy, "commit", "--quiet", "--message", kind)
    return copy


def test_an_addition_touches_its_own_files_only(copy: Path) -> None:
    commits = git(copy, "log", "--reverse", "--format=%s").splitlines()
    assert commits == ["the project", *ADDITIONS]
    for back, (kind, files) in enumerate(reversed(ADDITIONS.items())):
        changed = git(copy, "show", "--numstat", "--format=", f"HEAD~{back}").splitlines()
        added = {line.split("\t")[2] for line in changed if line.split("\t")[1] == "0"}
        assert len(added) == len(changed), "lines were only added"
        assert added == {*files.values()} | ({"seglight/__main__.py"} if kind == "a command" else set())


@pytest.mark.slow
def test_the_additions_work_within_the_package(copy: Path, project: Path) -> None:
    fit = [
        "fit", "-c", "configs/data/floods.yaml", "-c", "configs/model/sumup_resnet18.yaml",
        "--run_dir", project / "run", "--data.init_args.root", project / "data",
        "--data.init_args.batch_size", 2, "--data.init_args.num_workers", 0,
        "--model.net.init_args.encoder.init_args.weights", "random",
        "--model.loss", "seglight.losses.brier.Brier", "--model.method", "seglight.training.methods.flips.Flips",
        "--trainer.accelerator", "cpu", "--trainer.max_steps", 1,
    ]  # fmt: skip
    image = project / "data" / "val" / "img" / "0.jpg"
    predict = ["predict", project / "run/checkpoints/last.ckpt", image, "--out", project / "masks"]
    lines = in_copy(copy, fit, predict, ["pixels", image], ["--help"])
    assert lines.count("code 0") == 4
    assert np.asarray(Image.open(project / "masks" / "0.png")).shape == (70, 90)
    assert str(70 * 90) in lines
    assert any(line.split()[:1] == ["pixels"] for line in lines)
    assert lines[-1] == "[] []", "import cycles, and imports against the order"
