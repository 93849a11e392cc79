"""Cases by number: what is damaged, the command, and what would be a right answer."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFile, PngImagePlugin

from seglight.errors import UserError
from seglight.export.seal import seal
from tests.fuzz import mutations, originals

KINDS = ("image", "tiff", "checkpoint", "release", "onnx")

HOSTILE = 0.4
"""Share of the cases that malice made, not chance."""


@dataclass(frozen=True)
class Case:
    """A command on files that lie ready in its folder.

    Args:
        name: Says what was done to what.
        model: What predicts.
        image: What is predicted.
        expected: The labels of an answer that would be right; None: those of what the file now says.
        classes: How many there are.
    """

    name: str
    model: Path
    image: Path
    expected: NDArray[np.uint8] | None
    classes: int

    @property
    def is_lossless(self) -> bool:
        """Whether all decoders give the image the same pixels."""
        return self.classes == 2 and self.image.suffix in (".png", ".bmp")


class Cases:
    """Makes cases.

    Args:
        folder: For the models that are not damaged.
    """

    def __init__(self, folder: Path) -> None:
        import seglight

        self.images, self.tiffs = originals.images(), originals.tiffs()
        self.models = originals.models(folder)
        self.image = self.images["rgb.png"]
        self.expected = {
            kind: np.asarray(seglight.load(path, device="cpu").predict(originals.pixels()))
            for kind, path in self.models.items()
        }

    def case(self, seed: int, number: int, folder: Path) -> Case:
        """Write the files of a case into a folder."""
        rng = np.random.default_rng((seed, number))
        kind = KINDS[number % len(KINDS)]
        if kind in ("image", "tiff"):
            return self._of_image(kind, rng, folder)
        return self._of_model(kind, rng, folder)

    def _of_image(self, kind: str, rng: Generator, folder: Path) -> Case:
        hostile = mutations.hostile_images() if kind == "image" else mutations.hostile_tiffs()
        ours = self.images if kind == "image" else self.tiffs
        malice = rng.random() < HOSTILE / 2
        name = str(rng.choice(sorted(hostile if malice else ours)))
        data = hostile[name] if malice else mutations.damaged(ours[name], rng)
        if not malice and rng.random() < 0.1:  # under the name of another kind
            name = name.rpartition(".")[0] + str(rng.choice([".png", ".tif", ".jpg", ".bmp", ".webp", ".txt"]))
        path = folder / name
        path.write_bytes(data)
        return Case(f"{kind} {name}", self.models["onnx"], path, None, 2)

    def _of_model(self, kind: str, rng: Generator, folder: Path) -> Case:
        path, malice = folder / self.models[kind].name, rng.random() < HOSTILE
        image = folder / "image.png"
        image.write_bytes(self.image)
        if kind == "release":
            shutil.copytree(self.models[kind], path)
            if malice:
                mutations.hostile_release(path, rng)
            else:
                file = path / str(rng.choice(["model.safetensors", "release.json"]))
                file.write_bytes(mutations.damaged(file.read_bytes(), rng))
        else:
            hostile = mutations.hostile_checkpoint if kind == "checkpoint" else mutations.hostile_onnx
            path.write_bytes((hostile if malice else mutations.damaged)(self.models[kind].read_bytes(), rng))
            if kind == "onnx" and rng.random() < 0.8:  # else hardly one would get past its checksum
                with suppress(UserError):
                    seal(path)
        expected = None if malice or kind == "onnx" else self.expected[kind]
        return Case(f"{kind}{' malice' if malice else ''}", path, image, expected, 2 if kind == "onnx" else 3)


def wrong(case: Case, out: Path) -> Iterator[str]:
    """What is wrong with label maps that were written."""
    for path in sorted(out.rglob("*.png")):
        labels = np.asarray(Image.open(path))
        if labels.dtype != np.uint8 or labels.ndim != 2 or labels.max(initial=0) >= case.classes:
            yield f"{path.name}: no label map of {case.classes} classes"
        elif case.expected is not None and not np.array_equal(labels, case.expected):
            yield f"{path.name}: other labels, silently"
        elif case.is_lossless and not np.array_equal(labels, _red(case.image)):
            yield f"{path.name}: not the image's red"


def _red(path: Path) -> NDArray[np.bool_]:
    """What the exported net says of an image, as Pillow reads it however it is damaged."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    PngImagePlugin.MAX_TEXT_MEMORY = PngImagePlugin.MAX_TEXT_CHUNK = 2**30
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))[..., 0] > 127
