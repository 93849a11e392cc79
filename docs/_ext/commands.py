"""Writes a page for each command: the text of its `--help`, which its parser makes."""

import io
import os
from contextlib import redirect_stdout
from pathlib import Path

from sphinx.application import Sphinx

from seglight.__main__ import COMMANDS, help_text, main

WIDTH = "100"
TOPICS = ("data", "model", "trainer", "callbacks")


def help_of(name: str, *topic: str) -> str:
    """What `seglight NAME --help TOPIC` prints."""
    text = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        with redirect_stdout(text):
            main([name, "--help", *topic])
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return text.getvalue().rstrip()


def page_of(name: str, about: str) -> str:
    """The page of one command."""
    parts = [f"# `seglight {name}`", f"`{name}`: {about}.", f"```text\n{help_of(name)}\n```"]
    for topic in TOPICS if name == "fit" else ():
        parts += [f"## `seglight {name} --help {topic}`", f"```text\n{help_of(name, topic)}\n```"]
    return "\n\n".join(parts) + "\n"


def write_pages(app: Sphinx) -> None:
    """Write the pages that have changed."""
    folder = Path(app.srcdir) / "reference" / "commands"
    folder.mkdir(exist_ok=True)
    pages = {name: page_of(name, about) for name, (_, about) in COMMANDS.items()}
    pages["seglight"] = f"# `seglight`\n\n```text\n{help_text().rstrip()}\n```\n"
    for stale in {path.stem for path in folder.glob("*.md")} - pages.keys():
        (folder / f"{stale}.md").unlink()
    for name, text in pages.items():
        page = folder / f"{name}.md"
        if not page.exists() or page.read_text("utf-8") != text:
            page.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Enter the function above."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
