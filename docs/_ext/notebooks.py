"""Copies the notebooks of the project into the tutorials, since Sphinx reads only files of its own folder."""

from pathlib import Path

from sphinx.application import Sphinx


def copy_notebooks(app: Sphinx) -> None:
    """Copy `notebooks/*.ipynb` to `docs/tutorials`, where they differ."""
    docs = Path(app.srcdir)
    for notebook in sorted((docs.parent / "notebooks").glob("*.ipynb")):
        copy = docs / "tutorials" / notebook.name
        content = notebook.read_bytes()
        if not copy.exists() or copy.read_bytes() != content:
            copy.write_bytes(content)


def setup(app: Sphinx) -> dict[str, bool]:
    """Enter the function above."""
    app.connect("builder-inited", copy_notebooks)
    return {"parallel_read_safe": True}
