"""Parsers of the commands, and their complaints as one line."""

import re
import sys
from argparse import ArgumentError
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from textwrap import dedent
from types import ModuleType
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from seglight.errors import UserError
from seglight.system.hints import argument_hint, class_hint, option_hint

# The keys, class paths and types below stand only in the texts of jsonargparse's errors, not in attributes of them.
KEY = re.compile(r'Parser key "([^"]+)"(?: element \d+)?:\s*', re.IGNORECASE)
CLASS = re.compile(r"Problem with given class_path '([^']+)':\s*")
DENIED = re.compile(r"Importing '([^']+)' is not allowed, denied by the '([^']+)' entry")
MISSING = re.compile(r"module '([\w.]+)' has no attribute '(\w+)'|No ([\w.]+) attribute (\w+)")
UNION = "Does not validate against any of the Union subtypes"


class NullsParser(ArgumentParser):
    """A parser that also understands null for an argument of a class inside a class.

    jsonargparse reads "null" as None, and hands it down to the parser of the inner class as the text "None".
    """

    _inner_parser = False  # jsonargparse sets it in the parsers of inner classes

    def parse_args(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Namespace:  # type: ignore[override]
        """Parse arguments."""
        if self._inner_parser and args is not None:
            args = [f"{arg.removesuffix('=None')}=null" if arg.endswith("=None") else arg for arg in args]
        return super().parse_args(args, *more, **options)


class Parser(NullsParser):
    """A parser whose help does not list all classes of torch that an option could name."""

    def format_help(self, *args: Any, **options: Any) -> str:
        """The help, where a type stays by its own name, but not the classes that are known of it."""
        text = re.sub(r",\s+known\s+subclasses:[^)]*\)", ")", super().format_help(*args, **options))
        return re.sub(r"<class\s+'(?:\w+\.)*(\w+)'>", r"\1", text)


def new_parser(command: str | None = None, description: str | None = None, **options: Any) -> ArgumentParser:
    """A parser that raises its errors, for `parser_errors`.

    Args:
        command: Name of the command, as it is typed after "seglight". None: what is parsed is no command line.
        description: Text above the options in the help.
        **options: Further arguments of `ArgumentParser`.
    """
    prog = None if command is None else f"seglight {command}"
    return Parser(prog=prog, description=description, exit_on_error=False, **options)


def parse_arguments(parser: ArgumentParser, args: Sequence[str]) -> Namespace:
    """Parse the arguments of a command.

    Raises:
        UserError: An argument is wrong.
    """
    with parser_errors(parser.prog, parser=parser):
        return parser.parse_args(list(args))


def size_of(text: str) -> tuple[int, int]:
    """Height and width from the text of --size, HxW.

    Raises:
        UserError: The text is malformed.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found:
        raise UserError(f"--size {text}: give height x width in pixels, such as 512x1024")
    return int(found[1]), int(found[2])


@contextmanager
def parser_errors(
    command: str | None = None,
    instead: Callable[[str], str | None] = lambda text: None,
    parser: ArgumentParser | None = None,
) -> Iterator[None]:
    """Turn the complaint of a parser within the block into a line for the user.

    Args:
        command: Command whose help the line refers to, such as "seglight fit".
        instead: Function of the text of the error that returns another line, or None to keep the complaint.
        parser: Parser whose options are proposed for one that is misspelt.

    Raises:
        UserError: The parser raised an `ArgumentError`.
    """
    try:
        yield
    except ArgumentError as error:
        see = "" if command is None else f" (see `{command} --help`)"
        hint = "" if parser is None else option_hint(str(error), parser.get_defaults().keys())
        raise UserError(instead(str(error)) or f"{complaint(error)}{hint}{see}") from error


def complaint(error: BaseException) -> str:
    """The dotted key that a parser complains about and the innermost cause, on one line.

    Each error of a parser is raised from the one within it; what wraps it adds a key or a class path.
    """
    whole = " ".join(str(error).split())
    denied = DENIED.search(whole)
    if denied:  # as an alternative of a union it may be in no cause
        return _refused(denied, KEY.findall(whole[: denied.start()]))
    keys: list[str] = []
    chosen = ""
    inner: BaseException | str = error
    while not isinstance(inner, str):
        text = str(inner)
        key = KEY.match(text)
        kind = CLASS.match(text)
        if inner.__cause__ is not None and str(inner.__cause__) == text:
            inner = inner.__cause__
        elif key is not None:
            keys.append(key[1])
            inner = inner.__cause__ or _TextError(text[key.end() :])
        elif kind is not None:
            chosen = f" of {kind[1]}"
            inner = inner.__cause__ or _TextError(text[kind.end() :])
        elif text.startswith(UNION):
            inner = _telling_alternative(inner) or _of_types(text)
        elif inner.__cause__ is not None and text.startswith(("\n- Expected a path", "Type ")):
            inner = inner.__cause__
        else:
            missing = _missing_name(inner)
            chosen = "" if missing else chosen
            inner = missing or _reason(text)
    place = ".".join(keys)
    inner = _with_hint(inner, place, chosen.removeprefix(" of "))
    return f"{place}{chosen}: {inner}" if place or chosen else inner


def _with_hint(text: str, key: str, chosen: str) -> str:
    """A cause with a similar name, where it is about a name.

    Args:
        text: The cause.
        key: Dotted key of the value.
        chosen: Import path of the class whose argument it is, or nothing.
    """
    option = re.fullmatch(r"Option '(\w+)' is not accepted", text)
    if option:
        return text + argument_hint(option[1], chosen or None, key)
    name = re.fullmatch(r"Expected a dot import path string: (\w+)", text)
    if name:
        return f"{name[1]} is no class that is known by its name alone{class_hint(name[1], key)}"
    refused = re.fullmatch(r"expected .*, got '?([A-Z]\w*)'?", text)
    return text + class_hint(refused[1], key) if refused else text


class _TextError(Exception):
    """A part of an error's text in the place of the cause that jsonargparse has not kept."""

    def __init__(self, text: str) -> None:
        first, _, rest = text.partition("\n")
        super().__init__(f"{first}\n{dedent(rest)}".strip())


def _refused(denied: re.Match[str], keys: list[str]) -> str:
    few = "only classes of a few packages are accepted here" if denied[2] == "*" else "it is no class for a recipe"
    return f"{'.'.join(keys)}: {denied[1]} is refused: {few}, see the page Safety of the manual".removeprefix(": ")


def _alternatives(union: str) -> list[str]:
    """What each type of a union complains about."""
    body = union.partition("\nErrors:\n")[2].rpartition("\nGiven value type: ")[0]
    return [part.replace("\n    ", "\n").rstrip() for part in re.split(r"^  - ", body, flags=re.MULTILINE)[1:]]


def _is_telling(text: str) -> bool:
    """Whether a complaint names more than a type: a key, or a class that was meant."""
    if text.startswith(UNION):
        return any(map(_is_telling, _alternatives(text)))
    return bool(KEY.match(text) or CLASS.match(text)) or text.startswith("Import path ")


def _telling_alternative(union: BaseException) -> BaseException | None:
    """The complaint of the type that was meant; jsonargparse keeps the first one as the cause, and others as text."""
    for place, text in enumerate(_alternatives(str(union))):
        if _is_telling(text):
            return union.__cause__ if place == 0 and union.__cause__ is not None else _TextError(text)
    return None


def _of_types(union: str) -> str:
    types = union.partition("\nSubtypes: [")[2].partition("]\nErrors:")[0]
    value = union.rpartition("\nGiven value: ")[2]
    return f"expected {_plain(types)}, got {_shown(value)}"


def _missing_name(error: BaseException) -> str | None:
    """The line about a name that a module does not have, with the most similar one that it has."""
    module = error.obj if isinstance(error, AttributeError) else None
    name = error.name if isinstance(error, AttributeError) else None
    found = MISSING.fullmatch(str(error))
    if found:  # as an alternative of a union it may be in no cause
        module = sys.modules.get(found[1] or found[3])
        name = found[2] or found[4]
    if not isinstance(module, ModuleType) or name is None:
        return None
    similar = get_close_matches(name, [other for other in dir(module) if other[0].isupper()], 1)
    hint = f": did you mean {module.__name__}.{similar[0]}?" if similar else ""
    return f"{module.__name__}.{name} does not exist{hint}"


def _reason(text: str) -> str:
    """The text of the innermost error, without the names of modules and the forms that a class can be given in."""
    found = re.fullmatch(r"Expected an? (.+?)\. Got value: (.*)", text, re.DOTALL)
    if found:
        return f"expected {_plain(found[1])}, got {_shown(found[2])}"
    short = text.partition("\nSubclass types expect one of:")[0].partition(". Got value: ")[0]
    return " ".join(short.split())


def _plain(types: str) -> str:
    """Types by their own names: `<class 'int'>, <class 'NoneType'>` as "int or null"."""
    short = re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])|<class '|'>", "", types)
    short = re.sub(r"Literal\[([^\[\]]*)\]", r"\1", short)
    return re.sub(r", (?=[^,\[\]]*$)", " or ", short.replace("NoneType", "null"))


def _shown(value: str) -> str:
    """A value as it was given, or the class paths in it."""
    named = re.findall(r"class_path'?[=:] ?'([^']+)'", value)
    return ", ".join(named) or f"'{' '.join(value.split())}'"
