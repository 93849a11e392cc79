"""XML without document types: their entities can grow a small file to gigabytes, or name other files."""

from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate, XMLParserType

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
    parser = _parser(builder, str(path), at_end)
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
        return builder.close()
    except (ExpatError, LookupError, OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as XML ({error}): export it again") from error


def parse_xml(text: str, name: str) -> Element:
    """Parse a text.

    Args:
        text: XML.
        name: What it is, for messages.

    Raises:
        UserError: The text is not XML, or has a document type.
    """
    builder = TreeBuilder()
    parser = _parser(builder, name, None)
    try:
        parser.Parse(text, True)
        return builder.close()
    except (ExpatError, LookupError, ValueError) as error:
        raise UserError(f"{name}: not readable as XML ({error}): correct it") from error


def _parser(builder: TreeBuilder, name: str, at_end: Callable[[Element], None] | None) -> XMLParserType:
    parser = ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise UserError(
            f"{name}: it has a document type (<!DOCTYPE ...>), which labelling tools do not write: remove it"
        )

    def end(tag: str) -> None:
        element = builder.end(tag)
        if at_end is not None:
            at_end(element)

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    return parser
