"""The Python code of the README and of the tutorial runs as printed, on a small folder of images."""

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support import fabricate

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "tutorials" / "python.md"]
BLOCKS = [re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL) for page in PAGES]


def block(page: int, mark: str) -> str:
    """The code of a page that contains a mark."""
    (code,) = (code for code in BLOCKS[page] if mark in code)
    return code


def test_the_readme_is_short() -> None:
    assert len(PAGES[0].read_text("utf-8").splitlines()) <= 150


def test_ten_lines_train_on_a_folder_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = block(0, "seglight.fit")
    assert code == block(1, "seglight.fit(SegmentationModule")
    assert len([line for line in code.splitlines() if line]) <= 10
    small = {
        "Augmentation(crop_size=256)": "Augmentation(crop_size=32), batch_size=2, num_workers=0",
        "max_epochs=20": "max_epochs=1, accelerator='cpu'",
    }
    for given, smaller in small.items():
        assert given in code
        code = code.replace(given, smaller)
    fabricate.folder(tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, "page", "exec"), names)
    miou, best = capsys.readouterr().out.splitlines()[-1].split()
    assert 0 <= float(miou) <= 1
    assert (tmp_path / best).is_file()

    code = block(1, "seglight.evaluate(run, split")
    Image.new("RGB", (50, 40)).save("new.jpg")
    exec(compile(code, "page", "exec"), names)
    assert names["scores"].images == 2
    assert names["labels"].shape == (40, 50)
