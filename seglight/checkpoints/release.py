"""Released nets: folders of plain data that run no code when they are loaded.

The weights are safetensors; `release.json` holds the model card, and SHA-256 checksums of the weights and of itself.
"""

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from seglight.checkpoints.model_card import ModelCard
from seglight.checkpoints.model_files import DESCRIPTION, WEIGHTS
from seglight.errors import UserError
from seglight.system.atomic import atomic_folder
from seglight.system.checksums import file_sha256

README = "README.md"

MOST_BYTES = 2**24
"""Longest description that is read."""


def is_release(path: str | Path) -> bool:
    """Whether a folder holds a released net."""
    return (Path(path) / DESCRIPTION).is_file()


def write_release(folder: Path, card: ModelCard, state: dict[str, Tensor], readme: str) -> None:
    """Write a folder completely, or not at all.

    Args:
        folder: Folder to write; it must not exist.
        card: Model card of the net.
        state: Tensors of the net, by name.
        readme: Markdown text for people.

    Raises:
        UserError: The folder exists.
    """
    there = UserError(f"--out {folder}: it exists already: name another folder, or remove this one")
    if folder.exists():
        raise there
    try:
        with atomic_folder(folder) as part:
            # clones: safetensors refuses tensors that share memory, as those of tied layers do
            tensors = {name: tensor.contiguous().clone() for name, tensor in state.items()}
            (part / WEIGHTS).write_bytes(safetensors.torch.save(tensors, {"format": "pt"}))
            sealed = {**card.to_dict(), "sha256_of_weights": file_sha256(part / WEIGHTS)}
            sealed["sha256"] = seal(sealed)
            (part / DESCRIPTION).write_text(json.dumps(sealed, indent=2) + "\n", encoding="utf-8")
            # the name of the folder can be any bytes
            (part / README).write_text(readme, encoding="utf-8", errors="replace")
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:  # another process was faster
            raise there from error
        raise


def read_release(folder: str | Path) -> tuple[ModelCard, dict[str, Tensor]]:
    """The model card of a released net and its tensors on the CPU, both checked by their checksums.

    Raises:
        UserError: A file is missing, damaged or changed.
    """
    path, weights = Path(folder) / DESCRIPTION, Path(folder) / WEIGHTS
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path}: too long for the description of a net: copy the release again")
        description = json.loads(path.read_text(encoding="utf-8"))
        found = seal(description) if isinstance(description, dict) else None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: a released net is a folder that contains this file") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON, it is cut off or damaged: copy the release again") from error
    if found is None or found != description.get("sha256"):
        raise UserError(f"{path}: its checksum does not match, it is damaged or was changed: copy the release again")
    if not weights.is_file():
        raise UserError(f"{weights}: no such file, the release is incomplete: copy it again")
    if file_sha256(weights) != description.get("sha256_of_weights"):
        raise UserError(f"{weights}: its checksum does not match, it is damaged or was changed: copy the release again")
    try:
        tensors = _tensors(weights)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{weights}: not readable as safetensors: copy the release again") from error
    return ModelCard.from_dict(description, path, "a file of `seglight release`"), tensors


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:  # safetensors maps no file with such a name: for a moment its content is in memory twice
        return dict(safetensors.torch.load(path.read_bytes()))
    return dict(safetensors.torch.load_file(path))


def seal(description: dict[str, Any]) -> str:
    """SHA-256 of a description without the key `sha256`, as JSON with sorted keys and no spaces."""
    plain = {key: value for key, value in description.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
