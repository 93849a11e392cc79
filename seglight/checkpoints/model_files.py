"""Files that a model consists of. Imports no torch."""

from pathlib import Path

DESCRIPTION = "release.json"
WEIGHTS = "model.safetensors"
"""Names in a released folder."""


def model_files(model: Path) -> list[Path]:
    """Files that are read when a model is loaded; the checksum of the first one changes with any of the others.

    The description of a release holds the checksum of its weights, and OpenVINO's .xml that of its .bin.
    """
    if model.is_dir():
        return [model / DESCRIPTION, model / WEIGHTS]
    return [model, model.with_suffix(".bin")] if model.suffix == ".xml" else [model]
