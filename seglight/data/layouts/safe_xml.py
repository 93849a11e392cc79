"""XML without document types: their entities can grow a small file to gigabytes, or name other files."""

from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate

from seglight.errors import UserError


def read_xml(path: Path, at_end: Callable[[Element], None] | None = None) -> Element:
    """Parse a file.

    Args:
        path: Path of the file.
        at_end: Function called with each element when it is complete, which may clear it to save memory.

    Raises:
        UserError: The file can't be read, is not XML, or has a document type.
    """
    builder = TreeBuilder()
    parser = ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise UserError(
            f"{path}: it has a document type (<!DOCTYPE ...>), which labelling tools do not write: remove it"
        )

    def end(tag: str) -> None:
        element = builder.end(tag)
        if at_end is not None:
            at_end(element)

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
        return builder.close()
    except (ExpatError, LookupError, OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as XML ({error}): export it again") from error
