"""Questions that only a measurement can answer, and the answers that are kept for the next time.

The time of a step differs a little each time that it is measured. A kept answer makes the same data and options give
the same recipe.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seglight.errors import say
from seglight.system.atomic import atomic_write

LARGE = 2
"""Significant digits of a kept time or size."""


@dataclass(frozen=True)
class Question:
    """How long does a step take, and the evaluation of an image, and how much memory?

    Args:
        model: Part `model` of a recipe.
        classes: Number of classes.
        crop: Height and width of a training crop.
        batch: Images of a pass.
        precision: Precision of Lightning.
        accelerator: "cpu" or "gpu".
        image: Height and width of an evaluated image.
        memory: Bytes that may be used.
        device: Name of the device.
        threads: Threads of torch.
        versions: Versions of the libraries.
        bands: Description of the images as plain values; None: 8-bit RGB.
    """

    model: Mapping[str, Any]
    classes: int
    crop: tuple[int, int]
    batch: int
    precision: str
    accelerator: str
    image: tuple[int, int]
    memory: int
    device: str
    threads: int
    versions: Mapping[str, str]
    bands: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class LoadingQuestion:
    """How long does it take to read and augment a sample?

    Args:
        suffix: Suffix of the image files.
        image: Height and width of an image, the median.
        crop: Height and width of a training crop.
        data: Import path of the data module.
        device: Name of the processor.
        versions: Versions of the libraries.
    """

    suffix: str
    image: tuple[int, int]
    crop: tuple[int, int]
    data: str
    device: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """Answer to a question.

    Args:
        step: Seconds of a step, or of a sample that is loaded.
        image: Seconds of the evaluation of an image.
        peak: Bytes of memory that were used.
        exceeded: Whether the memory was too little; then nothing else is known.
    """

    step: float = 0.0
    image: float = 0.0
    peak: int = 0
    exceeded: bool = False

    def rounded(self) -> "Answer":
        """The answer with two digits, which is what a measurement is worth."""
        peak = int(_rounded(self.peak)) if self.peak else 0
        return Answer(_rounded(self.step), _rounded(self.image), peak, self.exceeded)


def _rounded(value: float) -> float:
    return float(f"{value:.{LARGE}g}")


def cache_folder() -> Path:
    """Folder of kept answers in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "seglight" / "measurements"


def path_of(question: Question | LoadingQuestion) -> Path:
    """File of the answer to a question."""
    asked = asdict(question)
    if asked.get("bands") is None:  # as answers were kept before images could be of other bands
        asked.pop("bands", None)
    text = json.dumps([type(question).__name__, asked], sort_keys=True)
    return cache_folder() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def kept_answer(question: Question | LoadingQuestion) -> Answer | None:
    """The kept answer to a question; None: there is none, or its file is damaged."""
    try:
        content = json.loads(path_of(question).read_text(encoding="utf-8"))
        return Answer(**content["answer"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep(question: Question | LoadingQuestion, answer: Answer) -> None:
    """Keep an answer; where that is not possible, a line says so, and the next measurement may differ a little."""
    content = {"question": asdict(question), "answer": asdict(answer)}
    path = path_of(question)
    try:
        atomic_write(path, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        say(f"{path}: the measurement can't be kept: {error.strerror}: another one may give a slightly other recipe")
