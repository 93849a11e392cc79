"""The classes that a recipe can name, with their arguments, as `fit --help NAME` describes them."""

from pathlib import Path

from seglight.system.recipe_classes import KINDS, THEIR_CALLBACKS, Kind, names_of
from seglight.system.signatures import Parameter, Signature, signature

PROJECT = Path(__file__).parents[2]
MODEL = Kind("arguments of the model", "--model", "seglight.training", names=("SegmentationModule",))
LINKED = ("num_classes", "ignore_index", "class_names", "palette")


def recipe_file(name: str) -> str:
    """A file of `configs/`, verbatim."""
    return f"```yaml\n{(PROJECT / 'configs' / name).read_text('utf-8').rstrip()}\n```"


def recipe_classes(_: str) -> str:
    """A section for each key that takes a class, with the classes of seglight that it takes."""
    found = signature("seglight.training.SegmentationModule")
    lines = ["## `model`: net, loss, optimizer", "", *arguments(found, LINKED)]
    for kind in KINDS:
        if kind is not THEIR_CALLBACKS:
            lines += ["", f"## `{kind.option.removeprefix('--')}`: {kind.title}", ""]
            for name in names_of(kind):
                lines += described(f"{kind.package}.{name}", kind)
    return "\n".join(lines)


def described(path: str, kind: Kind) -> list[str]:
    """One class: import path, first paragraph, arguments."""
    found = signature(path)
    about = [found.about[0], ""] if found.about and path.startswith("seglight.") else []
    return [f"### {path.rpartition('.')[2]}", "", f"`{path}`", "", *about, *arguments(found, kind.given), ""]


def arguments(found: Signature, given: tuple[str, ...]) -> list[str]:
    """A table of the arguments, without those that the run gives."""
    rows = [row_of(each) for each in found.parameters.values() if each.name not in given]
    return ["| argument | type | default | |", "| --- | --- | --- | --- |", *rows] if rows else ["It has no arguments."]


def row_of(parameter: Parameter) -> str:
    """An argument as a row of a table."""
    default = "required" if parameter.default is None else f"`{parameter.default}`"
    kind = f"`{parameter.kind}`" if parameter.kind else ""
    cells = (f"`{parameter.name}`", kind, default, parameter.about)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
