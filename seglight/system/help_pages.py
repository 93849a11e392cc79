"""Pages of `--help`: texts and tables at most 100 characters wide, and the pages of classes."""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from seglight.errors import UserError
from seglight.system.recipe_classes import KINDS, Kind, kind_of, names_of, offered
from seglight.system.signatures import Parameter, Signature, signature

WIDTH = 100
HELP = ("-h", "--help")
HELP_ALL = "--help_all"


def asks_help(args: Sequence[str]) -> bool:
    """Whether the arguments of a command ask for a page of its help; `--help_all` asks the parser."""
    return any(arg in HELP or arg.startswith("--help=") for arg in args)


def asked_topic(args: Sequence[str]) -> str | None:
    """The topic behind `--help`, None for the page of the command itself."""
    for index, arg in enumerate(args):
        if arg.startswith("--help="):
            return arg.partition("=")[2]
        if arg in HELP:
            rest = args[index + 1 : index + 2]
            return rest[0] if rest and not rest[0].startswith("-") else None
    return None


def with_parser_help(args: Sequence[str]) -> list[str]:
    """The arguments with `--help_all` as the parser knows it."""
    return ["--help" if arg == HELP_ALL else arg for arg in args]


def rows(pairs: Iterable[tuple[str, str]], column: int = 34) -> str:
    """A table of options and what they do; one that is too long for its column has a line of its own.

    Args:
        pairs: Options with their descriptions.
        column: Where descriptions start.
    """
    lines = []
    for option, about in pairs:
        wrapped = textwrap.wrap(about, WIDTH - column, break_long_words=False, break_on_hyphens=False) or [""]
        if len(option) + 3 > column:
            lines.append(f"  {option}")
            option = ""
        first, *others = wrapped
        lines.append(f"  {option:<{column - 2}}{first}".rstrip())
        lines += [f"{'':<{column}}{line}" for line in others]
    return "\n".join(lines)


def paragraph(text: str, indent: str = "") -> str:
    """A text in lines of the page's width; code, which is indented, stays as it is."""
    if text.startswith(" "):
        lines = text.splitlines()
        return "\n".join(
            textwrap.fill(line, WIDTH, subsequent_indent="    ") if len(line) > WIDTH else line for line in lines
        )
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def listing(title: str, names: Sequence[str]) -> str:
    """Names in one paragraph behind a title."""
    return textwrap.fill(
        f"{title}: {', '.join(names)}", WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False
    )


def class_page(name: str, kind: Kind) -> str:
    """The page of a class: what it is, and its arguments as options.

    Args:
        name: Name of the class.
        kind: Kind of the class.
    """
    found = signature(f"{kind.package}.{name}")
    own = found.path.startswith("seglight.")
    about = found.about if own else [text for text in found.about if text[0].isalpha()][:1]
    parts = [f"{found.path}: one of the {kind.title}", *(paragraph(plain(text)) for text in about)]
    if kind.title == "data sets":
        parts += [paragraph(plain(text)) for text in found.module]
    parts.append(argument_rows(found, kind) or "  It takes no arguments.")
    lists = kind.option == "--trainer.callbacks"
    use = f"{kind.option}+={name}" if lists else f"{kind.option} {name}"
    yaml = f"{{class_path: {found.path}, init_args: {{...}}}}"
    if not kind.names or lists or kind.option in ("--model.optimizer", "--model.schedule"):
        parts.append(f"use: {use}\nor in a recipe: {yaml}")
    return "\n\n".join(part for part in parts if part) + "\n"


def argument_rows(found: Signature, kind: Kind) -> str:
    """The arguments of a class as options, two or more lines each; those that the run gives are left out."""
    blocks = []
    for each in found.parameters.values():
        if each.name in kind.given or (not each.about and not found.path.startswith("seglight.")):
            continue
        blocks.append(f"{option_line(each, kind)}\n{about_lines(each, found)}".rstrip())
    return "\n".join(blocks)


def option_line(parameter: Parameter, kind: Kind) -> str:
    """Option, type and default of an argument."""
    default = "required" if parameter.default is None else f"default {value(parameter.default)}"
    text = f"  {kind.option}.{parameter.name}  {type_text(parameter.kind)}, {default}"
    return textwrap.fill(text, WIDTH, subsequent_indent=" " * 10)


def about_lines(parameter: Parameter, found: Signature) -> str:
    """The description of an argument; of classes of other packages its first sentence."""
    text = plain(parameter.about)
    if not found.path.startswith("seglight."):
        text = re.split(r"(?<=[a-z)])(?<!i\.e)\. |\s*\(default: ", text)[0].rstrip(".") + "."
        text = text[0].upper() + text[1:]
    return paragraph(text, " " * 6) if text else ""


def value(default: str) -> str:
    """A default value of Python as YAML has it."""
    short = re.sub(r"^['\"](.*)['\"]$", r"\1", default)
    short = re.sub(r"^field\(default_factory=(\w+)\)$", r"\1", short)
    short = re.sub(r"^\((.*?),?\)$", r"[\1]", short)
    return {"None": "null", "True": "true", "False": "false", "": "''", "ONE_GROUP": "one group"}.get(short, short)


def type_text(annotation: str) -> str:
    """A type by its short names: `Literal['a', 'b'] | None` as "a, b or null"."""
    text = annotation
    for name, end in (("Union", ""), ("Optional", " | None")):
        while f"{name}[" in text:
            start = text.index(f"{name}[") + len(name) + 1
            inner = next(_parts(f"{text[start:]},", "]"))
            text = f"{text[: start - len(name) - 1]}{' | '.join(_parts(inner))}{end}{text[start + len(inner) + 1 :]}"
    text = re.sub(r"Literal\[([^\[\]]*)\]", lambda found: found[1].replace("'", ""), text)
    text = re.sub(r"\b(\w+)Factory\b", r"\1", text)
    text = re.sub(r"\b[a-zA-Z_]+\.(?=[A-Za-z])", "", text)
    return text.replace(" | None", " or null").replace(" | ", " or ").replace("AnyNet", "Net").strip("_")


def _parts(text: str, separator: str = ",") -> Iterator[str]:
    """The parts of a text between separators that stand in no bracket."""
    depth = 0
    start = 0
    for index, sign in enumerate(text):
        if sign == separator and depth == 0:
            yield text[start:index].strip()
            start = index + 1
        depth += (sign in "[(") - (sign in "])")
    yield text[start:].strip()


def plain(text: str) -> str:
    """A docstring without the marks of reStructuredText."""
    text = re.sub(r":\w+:`~?([^`<]*?)(?:\s*<[^`]*>)?`", lambda found: found[1].rpartition(".")[2], text)
    return text.replace("``", "`").replace("`", "") if not text.startswith(" ") else text


def unknown_topic(command: str, topic: str, topics: Sequence[str]) -> UserError:
    """The error about a topic that has no page, with those of similar names."""
    names = [*topics, *(name for kind in KINDS for name in offered(kind))]
    folded = {name.lower(): name for name in names}
    similar = [folded[name] for name in get_close_matches(topic.lower(), list(folded), 3, 0.5)]
    hint = f"did you mean {', '.join(similar)}?" if similar else f"use one of {', '.join(topics)}, or a class"
    return UserError(f"{command} --help {topic}: there is no such topic: {hint}")


def topic_page(command: str, topic: str, pages: Mapping[str, Callable[[], str]]) -> str:
    """The page of a topic: one of the command's own, or that of a class, whatever the case of its letters.

    Args:
        command: Command whose help was asked for.
        topic: Name of the topic, or of a class with or without its package.
        pages: The command's own topics.

    Raises:
        UserError: There is no such topic.
    """
    name = topic.rpartition(".")[2].lower()
    if name in pages:
        return pages[name]()
    classes = {each.lower(): each for kind in KINDS for each in names_of(kind)}
    found = classes.get(name, "")
    kind = kind_of(found)
    if kind is None:
        raise unknown_topic(command, topic, tuple(pages))
    return class_page(found, kind)
