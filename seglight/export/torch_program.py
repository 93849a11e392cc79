"""torch.export's files (.pt2)."""

from pathlib import Path

import torch
from torch.export import ExportedProgram

from seglight.export.metadata import KEY, Metadata


def write_torch_program(program: ExportedProgram, metadata: Metadata, path: Path) -> None:
    """Write a traced graph."""
    torch.export.save(program, path, extra_files={KEY: metadata.to_json()})
