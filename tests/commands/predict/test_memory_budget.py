"""What outputs are reckoned to take, against what a process then holds; and what is said where that is too much.

Covers: images.outlines.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seglight.commands.predict.memory_budget import BYTES_PER_EDGE, BYTES_PER_PIXEL, FIXED_BYTES, MemoryBudget
from seglight.errors import UserError
from seglight.images.outlines import outline_of

MEASURED = """
import ctypes, json, sys
from pathlib import Path
import cv2, numpy as np
from PIL import Image
from seglight.images.decode import read_image
from seglight.images.coco import CocoObjects
from seglight.images.label_png import write_labels
from seglight.images.outlines import outline_of
from seglight.commands.predict.outputs import writers
from seglight.commands.predict.class_fractions import ClassFractions
from tests.support.stand_in import PALETTE, Reds

def held(key="VmRSS"):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key + ":"))

def taken(work):
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = held()
    kept = work()
    return held("VmHWM") - before

folder, side, block = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
blocks = np.random.default_rng(0).integers(0, 4, (-(-side // block),) * 2, np.uint8)
labels = np.ascontiguousarray(blocks.repeat(block, 0).repeat(block, 1)[:side, :side])
pixels = np.stack([labels * 60] * 3, axis=-1)
for mode in ("RGB", "RGBA", "P"):
    Image.fromarray(pixels).convert(mode).save(folder / f"{mode}.png", compress_level=1)
Image.fromarray(pixels).save(folder / "RGB.webp", quality=1)
model = Reds()
model.class_names = ("sky", "road", "vegetation", "car")
works = {f"image {name}": lambda name=name: read_image(folder / name)
         for name in ("RGB.png", "RGBA.png", "P.png", "RGB.webp")}
works["labels"] = lambda: write_labels(folder / "labels.png", labels, PALETTE, "")
for kind, write in writers(("overlay", "cityscapes"), model).items():
    name = "out.jpg" if kind == "overlay" else "out.png"
    works[kind] = lambda name=name, write=write: write(folder / name, pixels, labels)
works["csv"] = lambda: ClassFractions(model.class_names).add("a", labels)
works["coco"] = lambda: CocoObjects(model.class_names, "runs").add("a", labels)
works["coco_polygons"] = lambda: CocoObjects(model.class_names, "polygons").add("a", labels)
found = {name: taken(work) for name, work in works.items()}
print(json.dumps({"outline": outline_of(labels), "pixels": labels.size, **found}))
"""


@pytest.mark.slow
def test_a_process_takes_what_is_reckoned(tmp_path: Path) -> None:
    """Noise of blocks, whose outlines are long; measured in a process without torch."""
    command = [sys.executable, "-c", MEASURED, str(tmp_path), "2000", "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken = json.loads(done.stdout)
    pixels, outline = taken.pop("pixels"), taken.pop("outline")
    assert {name.split()[0] for name in taken} | {"ade"} == BYTES_PER_PIXEL.keys(), "ade is as cityscapes"
    for name, found in taken.items():
        kind = name.split()[0]
        assert found <= FIXED_BYTES + BYTES_PER_PIXEL[kind] * pixels + BYTES_PER_EDGE.get(kind, 0) * outline, name
    for name in ("image RGB.webp", "coco", "coco_polygons"):
        kind = name.split()[0]
        assert taken[name] > (BYTES_PER_PIXEL[kind] * pixels + BYTES_PER_EDGE.get(kind, 0) * outline) / 3, name


def test_the_outline_of_labels() -> None:
    assert outline_of(np.array([[1, 1, 2], [1, 3, 2]], np.uint8)) == 1 + 2 + 1
    assert outline_of(np.zeros((4, 5), np.uint8)) == 0


def test_what_does_not_fit_is_reported() -> None:
    MemoryBudget(None).check("coco", 10**12)
    MemoryBudget(10**11).check("coco", 10**9, 10**8)
    with pytest.raises(UserError, match=r"coco of 1000.0 megapixels takes 26.53 GB beside .* --max_memory is 8.00 GB"):
        MemoryBudget(8 * 10**9).check("coco", 10**9, 10**8)
