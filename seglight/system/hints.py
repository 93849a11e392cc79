"""Similar names for what a user has misspelt: classes, their arguments, options of a command."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from seglight.system.recipe_classes import KINDS, Kind, names_of, offered
from seglight.system.signatures import signature

INNER = (
    ("--data.augmentation", "seglight.data.Augmentation"),
    ("--data", "seglight.data.FolderDataModule"),
    ("--model.optimizer", "torch.optim.AdamW"),
)
"""Options of classes whose arguments are often given without them."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question about the most similar name, to be added to a complaint; empty if none is similar."""
    by_lower = {each.lower(): each for each in known}
    similar = get_close_matches(name.lower(), list(by_lower), 1, 0.7)
    return f": did you mean {by_lower[similar[0]]}?" if similar else ""


def option_hint(text: str, known: Iterable[str]) -> str:
    """The hint for a parser's complaint about options that it does not know.

    Args:
        text: Complaint, such as "unrecognized arguments: --rundir x"; of a recipe: "... does not accept option 'runs'".
        known: Keys of the options that there are, without dashes.
    """
    file = re.match(r"unrecognized arguments: ([^\s-]\S*\.ya?ml)", text)
    if file is not None and "config" in known:
        return f": did you mean -c {file[1]}?"
    found = re.match(r"unrecognized arguments: (--[^\s=]+)", text)
    if found is None:
        key = re.search(r"does not accept option '([^']+)'", text)
        shown = {re.split(r"\.(?:class_path|init_args)\b", each)[0] for each in known}
        return "" if key is None else did_you_mean(key[1], sorted(shown))
    keys = [f"--{key}" for key in known]
    inner = _inner(found[1].rpartition(".")[2].lstrip("-"), keys)
    if inner:
        return f": did you mean {inner}?"
    hint = did_you_mean(found[1], keys)
    if hint:
        return hint
    last = found[1].rpartition(".")[2].lstrip("-")
    same = [key for key in keys if key.rpartition(".")[2].lstrip("-") == last]
    return f": did you mean {same[0]}?" if len(same) == 1 else ""


def _inner(name: str, keys: Sequence[str]) -> str | None:
    """The option of an argument that classes of a recipe take, where a command takes them."""
    if "--data" in keys and not any(key.rpartition(".")[2] == name for key in keys):
        for option, path in INNER:
            if name in signature(path).parameters:
                return f"{option}.{name}"
    return None


def argument_hint(name: str, class_path: str | None, key: str) -> str:
    """The hint for an argument that a class does not take.

    Args:
        name: The argument.
        class_path: Import path of the class, if the complaint names it.
        key: Dotted key of the class, whose last part tells its kind.
    """
    if class_path is not None:
        taken = _arguments(class_path, _kind(key))
        return did_you_mean(name, taken) or (f": it takes {', '.join(taken)}" if taken else "")
    kind = _kind(key)
    if kind is None:
        return ""
    owners = {each: _arguments(f"{kind.package}.{each}", kind) for each in names_of(kind)}
    having = [owner for owner, taken in owners.items() if name in taken]
    if having:
        return f": it is an argument of {', '.join(having)}"
    return did_you_mean(name, dict.fromkeys(argument for taken in owners.values() for argument in taken))


def class_hint(name: str, key: str) -> str:
    """The hint for a class that does not exist, or that is of another kind than its place.

    Args:
        name: Name of the class, with or without its package.
        key: Dotted key that it was given for, whose last part tells the kind that it has to be of.
    """
    short = name.rpartition(".")[2]
    for kind in KINDS:
        if short in names_of(kind):
            return f": {short} is one of the {kind.title} ({kind.option})"
    expected = _kind(key)
    if expected is None:
        return did_you_mean(short, [each for kind in KINDS for each in offered(kind)])
    names = offered(expected)
    longer = [each for each in names if each.lower().startswith(short.lower())]
    similar = longer or get_close_matches(short, names, 1, 0.5)
    return f": did you mean {similar[0]}?" if similar else f": use one of {', '.join(names)}"


def _kind(key: str) -> Kind | None:
    last = key.rpartition(".")[2]
    return next((kind for kind in KINDS if kind.option.rpartition(".")[2].lstrip("-") == last), None)


def _arguments(class_path: str, kind: Kind | None) -> Sequence[str]:
    """Arguments of a class that a recipe gives; none if its source can't be read."""
    try:
        parameters = signature(class_path).parameters
    except LookupError:
        return []
    return [name for name in parameters if kind is None or name not in kind.given]
