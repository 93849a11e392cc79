"""The notebooks run from a clean start and are stored with all outputs, without paths of the machine."""

import json
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def _kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `python3` this interpreter, independently of the user's kernels and profiles."""
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(notebook: NotebookNode) -> dict[str, int]:
    """Count the PNGs that each cell shows."""
    return {
        cell.id: sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in code_cells(notebook)
    }


def line_starts(notebook: NotebookNode) -> dict[str, list[str]]:
    """Return the first word of each line that each cell prints; the numbers after it differ between machines."""
    printed = {
        cell.id: "".join(output.text for output in cell.outputs if output.output_type == "stream")
        for cell in code_cells(notebook)
    }
    return {
        cell: sorted(line.split()[0] for line in text.splitlines() if line.split()) for cell, text in printed.items()
    }


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["01_quickstart", "02_own_data", "03_python"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_with_outputs(path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    cells = code_cells(stored)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    text = json.dumps([output for cell in cells for output in cell.outputs])
    assert not [
        place for place in (ROOT, Path.home(), sys.prefix, tempfile.gettempdir(), "site-packages") if str(place) in text
    ]
    assert path.stat().st_size < 700_000


@pytest.mark.slow
@pytest.mark.usefixtures("_kernel")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_run_shows_the_stored_outputs(path: Path) -> None:
    stored, run = (nbformat.read(path, as_version=4) for _ in range(2))
    before = {entry: entry.stat().st_mtime_ns for entry in path.parent.rglob("*")}
    NotebookClient(
        run, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()  # raises on the first cell with an error
    assert pictures(run) == pictures(stored)
    assert line_starts(run) == line_starts(stored)
    assert sum(pictures(run).values()) >= 3
    assert {entry: entry.stat().st_mtime_ns for entry in path.parent.rglob("*")} == before
