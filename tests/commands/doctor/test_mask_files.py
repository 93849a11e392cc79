"""doctor on masks of other suffixes, and on names and lists that `classes.yaml` and `data.lists` describe."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from seglight.commands.doctor.command import doctor
from seglight.commands.doctor.quick import quick_check
from seglight.data import FolderDataModule
from seglight.errors import UserError
from tests.support import fabricate
from tests.support.mask_layouts import save

CLASSES = [{"name": "ground", "color": [0, 0, 0]}, {"name": "cat", "color": [200, 40, 40]}]
SIZE = (24, 32)


def write(root: Path, suffix: str, images: str = "images", masks: str = "masks", **keys: object) -> FolderDataModule:
    """Twelve images in a pool, eight of them for training, with masks of 0 and 1."""
    rng = np.random.default_rng(0)
    for number in range(12):
        fabricate.save_image(root / f"{images}/{number:03d}.png", rng, SIZE)
        save(root / f"{masks}/{number:03d}{suffix}", fabricate.labels(rng, SIZE, (0, 1)))
    (root / "classes.yaml").write_text(yaml.safe_dump({"classes": CLASSES, "images": images, "masks": masks, **keys}))
    lists = root / "lists"
    lists.mkdir()
    (lists / "train.txt").write_text("\n".join(f"{number:03d}" for number in range(8)))
    (lists / "val.txt").write_text("\n".join(f"{number:03d}" for number in range(8, 12)))
    return FolderDataModule(str(root), lists=str(lists))


def report(datamodule: FolderDataModule, path: Path, fix_to: Path | None = None) -> dict[str, Any]:
    doctor(datamodule, str(fix_to) if fix_to else None, str(path))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def slugs(found: dict[str, Any]) -> set[str]:
    return {finding["slug"] for finding in found["findings"]}


@pytest.mark.parametrize("suffix", [".tif", ".bmp", ".PNG", ".npy", ".gif"])
def test_sound_masks_have_no_finding(tmp_path: Path, suffix: str) -> None:
    datamodule = write(tmp_path / "data", suffix)
    assert slugs(report(datamodule, tmp_path / "report.json")) == set()
    quick_check(datamodule, "seglight doctor")


@pytest.mark.parametrize("suffix", [".tif", ".bmp"])
def test_masks_of_other_suffixes_are_repaired(tmp_path: Path, suffix: str) -> None:
    """0 and 255 for two classes; the copy holds 0 and 1 in a file of the same name."""
    datamodule = write(tmp_path / "data", suffix)
    path = tmp_path / "data" / "masks" / f"003{suffix}"
    right = fabricate.raw(path)
    save(path, right * 255)
    found = report(datamodule, tmp_path / "report.json", tmp_path / "fixed")
    assert slugs(found) == {"binary-mask"}
    assert found["fix"]["left"] == []
    assert np.array_equal(fabricate.raw(tmp_path / "fixed" / "masks" / f"003{suffix}"), right)
    copy = FolderDataModule(str(tmp_path / "fixed"), lists=str(tmp_path / "fixed" / "lists"))
    assert slugs(report(copy, tmp_path / "again.json")) == set()


def test_gif_masks_are_left(tmp_path: Path) -> None:
    datamodule = write(tmp_path / "data", ".gif")
    path = tmp_path / "data" / "masks" / "003.gif"
    Image.fromarray(fabricate.raw(path) * 255).save(path, optimize=False)  # which keeps the values
    found = report(datamodule, tmp_path / "report.json", tmp_path / "fixed")
    assert len(found["fix"]["left"]) == 1
    assert (tmp_path / "fixed" / "masks" / "003.gif").read_bytes() == path.read_bytes()


def test_a_damaged_array_is_found(tmp_path: Path) -> None:
    datamodule = write(tmp_path / "data", ".npy")
    path = tmp_path / "data" / "masks" / "003.npy"
    np.save(path, np.full(SIZE, 7, np.uint8))
    assert "unreadable-label" in slugs(report(datamodule, tmp_path / "report.json"))
    with pytest.raises(UserError, match=r"003.npy: label value 7"):
        quick_check(datamodule, "seglight doctor")


def test_masks_of_another_name_in_the_folder_of_the_images(tmp_path: Path) -> None:
    """A mask named in another way is found beside its image, and named as expected in the copy."""
    root = tmp_path / "data"
    rng = np.random.default_rng(0)
    for number in range(6):
        fabricate.save_image(root / f"{number:03d}.png", rng, SIZE)
        save(root / f"{number:03d}_mask.png", fabricate.labels(rng, SIZE, (0, 1)))
    (root / "003_mask.png").rename(root / "003_label.png")
    keys = {"classes": CLASSES, "images": ".", "masks": "{stem}_mask.png"}
    (root / "classes.yaml").write_text(yaml.safe_dump(keys))
    (root / "lists").mkdir()
    for name, numbers in (("train", range(4)), ("val", range(4, 6))):
        (root / "lists" / f"{name}.txt").write_text("\n".join(f"{number:03d}" for number in numbers))
    found = report(FolderDataModule(str(root), lists=str(root / "lists")), tmp_path / "report.json", tmp_path / "fixed")
    assert "misnamed-file" in slugs(found)
    assert (tmp_path / "fixed" / "003_mask.png").is_file()
