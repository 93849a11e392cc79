"""Cases by number: what is damaged, the command, and what would be a right answer."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, PngImagePlugin

from seglight.errors import UserError
from seglight.inference.exported.seal import seal
from tests.fuzz import mutations, originals, recipes

KINDS = (
    "image", "tiff", "checkpoint", "image", "release", "onnx", "image", "tiff", "recipe", "image",
    "checkpoint", "onnx", "image", "tiff", "sweep", "image", "release", "tiff", "checkpoint", "onnx",
)  # fmt: skip
"""In turn; recipes and sweeps take longest."""

HOSTILE = 0.4
"""Share of the cases that malice made, not chance."""

WHOLE = 0.1
"""Share of the images that nothing was done to."""


class Case(Protocol):
    """A command on files that lie ready in its folder."""

    @property
    def name(self) -> str:
        """Says what was done to what."""

    def words(self, out: Path) -> list[str]:
        """The command, which writes into a folder."""

    def wrong(self, out: Path) -> Iterator[str]:
        """What is wrong with what it wrote, when it ended without an error."""


@dataclass(frozen=True)
class Prediction:
    """`predict` of an image with a net.

    Args:
        name: As of a case.
        model: What predicts.
        image: What is predicted.
        expected: The labels of an answer that would be right; None: those of what the file now says.
        classes: How many there are.
        refused: Whether any answer would be wrong.
        whole: Whether nothing was done to the image: its colours are such that all decoders say the same of it.
    """

    name: str
    model: Path
    image: Path
    expected: NDArray[np.uint8] | None
    classes: int
    refused: bool = False
    whole: bool = False

    def words(self, out: Path) -> list[str]:
        return ["predict", str(self.model), str(self.image), "--out", str(out), "--device", "cpu"]

    @property
    def is_certain(self) -> bool:
        """Whether all decoders give the image the same labels."""
        return self.classes == 2 and (self.whole or self.image.suffix in (".png", ".bmp", ".ppm", ".pgm"))

    def wrong(self, out: Path) -> Iterator[str]:
        maps = sorted(out.rglob("*.png"))
        if not maps:
            yield "no error, and no label map"
        if self.refused:
            yield "an answer where there is none"
        for path in maps:
            labels = np.asarray(Image.open(path))
            if labels.dtype != np.uint8 or labels.ndim != 2 or labels.max(initial=0) >= self.classes:
                yield f"{path.name}: no label map of {self.classes} classes"
            elif self.expected is not None and not np.array_equal(labels, self.expected):
                yield f"{path.name}: other labels, silently"
            elif self.is_certain and not np.array_equal(labels, _red(self.image)):
                yield f"{path.name}: not the image's red"


@dataclass(frozen=True)
class Reading:
    """A command that reads a recipe or a sweep.

    Args:
        name: As of a case.
        given: Its words, up to what says where it writes.
        out_option: That option.
    """

    name: str
    given: Sequence[str]
    out_option: str = ""

    def words(self, out: Path) -> list[str]:
        return [*self.given, *([self.out_option, str(out / "run")] if self.out_option else [])]

    def wrong(self, out: Path) -> Iterator[str]:
        yield from ()


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
        if kind in ("recipe", "sweep"):
            return Reading(*(recipes.recipe if kind == "recipe" else recipes.sweep)(rng, folder))
        return self._of_model(kind, rng, folder)

    def _of_image(self, kind: str, rng: Generator, folder: Path) -> Case:
        hostile = mutations.hostile_images() if kind == "image" else mutations.hostile_tiffs()
        ours = self.images if kind == "image" else self.tiffs
        malice, whole = rng.random() < HOSTILE / 2, rng.random() < WHOLE
        name = str(rng.choice(sorted(hostile if malice else ours)))
        whole = whole and not malice
        refused = whole and name in originals.REFUSED
        certain = whole and name not in originals.SEVERAL
        data = hostile[name] if malice else ours[name] if whole else mutations.damaged(ours[name], rng)
        if not malice and not whole and rng.random() < 0.1:  # under the name of another kind
            name = name.rpartition(".")[0] + str(rng.choice(list(originals.ENDINGS)))
        path = folder / name
        path.write_bytes(data)
        return Prediction(f"{kind} {name}{' whole' * whole}", self.models["onnx"], path, None, 2, refused, certain)

    def _of_model(self, kind: str, rng: Generator, folder: Path) -> Case:
        path, malice = folder / self.models[kind].name, rng.random() < HOSTILE
        image = folder / "image.png"
        image.write_bytes(self.image)
        if kind != "onnx" and rng.random() < 0.05:
            mutations.not_finite(self.models[kind], path, rng)
            return Prediction(f"{kind} not finite", path, image, None, 3, refused=True)
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
        return Prediction(f"{kind}{' malice' if malice else ''}", path, image, expected, 2 if kind == "onnx" else 3)


def _red(path: Path) -> NDArray[np.bool_]:
    """What the exported net says of an image, as Pillow reads and turns it however it is damaged."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    PngImagePlugin.MAX_TEXT_MEMORY = PngImagePlugin.MAX_TEXT_CHUNK = 2**30
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[..., 0] > 127
