"""The new data set and the new decoder of CONTRIBUTING, one Python file and one YAML each, run as printed there."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
BLOCKS = dict(re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE.read_text(), flags=re.DOTALL))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder with the four files of CONTRIBUTING, on the Python path."""
    assert set(BLOCKS) == {"floods.py", "floods.yaml", "sumup.py", "sumup_resnet18.yaml"}
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
    for module in ("floods", "sumup"):
        sys.modules.pop(module, None)


def test_new_data_set_and_decoder_train_and_predict(project: Path, seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli(
        "fit", "-c", project / "floods.yaml", "-c", project / "sumup_resnet18.yaml", "--run_dir", project / "run",
        "--data.init_args.root", project / "data", "--data.init_args.batch_size", 2, "--data.init_args.num_workers", 0,
        "--model.net.init_args.encoder.init_args.weights", "random",
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
