"""The temperature of a net: kept with the weights that it was found for, and dropped where they change.

Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 4.2: probabilities are softmax(logits / T).
"""

import io
import os
from dataclasses import replace
from pathlib import Path

import torch

from seglight.checkpoints.checkpoint import SCORES, read_checkpoint
from seglight.checkpoints.model_card import KEY, TEMPERATURES, ModelCard, is_temperature
from seglight.checkpoints.model_files import DESCRIPTION, WEIGHTS
from seglight.checkpoints.release import MOST_BYTES, README, is_release, read_release, write_release
from seglight.errors import UserError, say
from seglight.system.atomic import atomic_write

KEPT = ("state_dict", "epoch", "global_step", "pytorch-lightning_version", SCORES)
"""Keys of a checkpoint that are kept beside the model card: what it takes to predict, score and start from it."""

NOTE = """
## Calibration

Probabilities are softmax(logits / {temperature:.6g}): this temperature was found for these weights.
Labels do not depend on it.
"""


def keep_temperature(model: Path, temperature: float, out: Path) -> None:
    """Write a copy of a net whose probabilities are softmax(logits / temperature).

    The weights, scores and everything else in the model card stay as they are, and so do the labels. What only resuming
    a training needs, such as the state of the optimizer, is left out. A checkpoint of an ensemble is one net: the
    temperature divides its logits, not those of its members.

    Args:
        model: A checkpoint of `seglight fit`, or a folder of `seglight release`. A temperature that it has already is
            replaced.
        temperature: Finite, above 0.
        out: File to write for a checkpoint, folder for a release; it must not exist.

    Raises:
        UserError: The temperature is not valid, the model can't be read, or `out` exists.
    """
    if not is_temperature(temperature):
        low, high = TEMPERATURES
        raise UserError(
            f"{model}: a temperature of {temperature} can't be kept: it has to be a finite number above 0, from "
            f"{low:g} to {high:g}"
        )
    if os.path.lexists(out):
        raise UserError(f"{out}: it exists already: name another path, or remove this one")
    write = _write_release if is_release(model) else _write_checkpoint
    write(Path(model), float(temperature), out)


def say_dropped(path: object, card: ModelCard, reason: str) -> None:
    """Say that the temperature of a model is not used; nothing if it has none.

    Args:
        path: Path of the model.
        card: Its model card.
        reason: Why the temperature does not fit, a clause.
    """
    if card.temperature is not None:
        say(f"{path}: its temperature {card.temperature:.4g} is dropped, {reason}")


def calibration_note(card: ModelCard) -> str:
    """The paragraph of a release's README.md about the temperature; empty if the card has none."""
    return "" if card.temperature is None else NOTE.format(temperature=card.temperature)


def _write_checkpoint(model: Path, temperature: float, out: Path) -> None:
    content = read_checkpoint(model)
    card = replace(content[KEY], temperature=temperature)
    file = io.BytesIO()
    torch.save({KEY: card.to_dict(), **{key: content[key] for key in KEPT if key in content}}, file)
    atomic_write(out, file.getbuffer())


def _write_release(model: Path, temperature: float, out: Path) -> None:
    card, weights = read_release(model)
    new = replace(card, temperature=temperature)
    former = calibration_note(card)
    text = _readme(model / README)
    write_release(out, new, weights, (text.replace(former, "") if former else text) + calibration_note(new))
    others = sorted({path.name for path in model.iterdir()} - {DESCRIPTION, WEIGHTS, README})
    if others:
        more = ", ..." if len(others) > 3 else ""
        say(f"{out}: without {len(others)} further files of {model}: {', '.join(others[:3])}{more}")


def _readme(path: Path) -> str:
    """Text of a release's README.md, which people complete; empty if there is none that can be copied."""
    # a link of an unknown folder could lead to any file of this machine, and the copy is passed on
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_BYTES:
        say(f"{path}: not copied: it is missing, a link, or too long")
        return ""
    return path.read_text(encoding="utf-8", errors="replace")
