"""Private names of other libraries: those of Lightning in one file, others on a list with a reason each."""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache

from tests.support.rooms import MODULES, TREES

LIGHTNING = "training.lightning_internals"
"""The file that may use private names of Lightning; a test file of its name has a test for each."""

LIBRARIES = (
    "lightning", "torch", "torchmetrics", "torchvision", "timm", "jsonargparse", "rich", "albumentations", "optuna",
)  # fmt: skip
"""Packages whose classes are searched for private names that classes of seglight override or use."""

ALLOWED = {
    "_replace": "the public method of named tuples",
    "_foreach_add_": "one kernel for many tensors, as torch's optimizers use it; public functions loop over tensors",
    "_foreach_mul_": "as _foreach_add_",
    "_foreach_norm": "as _foreach_add_",
    "_foreach_sub": "as _foreach_add_",
    "_BatchNorm": "what torch itself documents as the base class of all batch norms, SyncBatchNorm included",
    "_actions": "argparse has no other way to the help of an option that was added already",
    "_assert_scalar": "the name of an operator in graphs of torch.export",
    "_python_dispatch": "TorchDispatchMode, whose documentation names this module",
    "_pytree": "tree_leaves and treespec_loads: the format of exported programs has no public reader",
    "_inductor": "AOTInductor, whose documentation names this module",
    "_apply": "nn.Module calls it for `to`, `float` and `cuda`, and documents no hook for them",
    "_is_synced": "torchmetrics: whether counts are summed over processes already",
    "_err": "exceptions of GDAL that rasterio lets through have no public name",
    "_paths": "jsonargparse opens config files by the locale's encoding, and has no setting for it",
    "_common": "jsonargparse sets rules for the process, and has no way to read and restore them",
}
"""Private names of other libraries that are used outside of that file, and why."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def used(name: str) -> Iterator[tuple[str, int]]:
    """Private attributes of anything but `self` and `cls`, and private imports, with their lines."""
    own = defined(TREES[name])
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            on_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not on_self and node.attr not in own:
                yield node.attr, node.lineno
        elif isinstance(node, ast.Import | ast.ImportFrom):
            paths = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            yield from ((part, node.lineno) for path in paths for part in path.split(".") if is_private(part))


def defined(tree: ast.AST) -> set[str]:
    """Private names that a piece of code makes: functions, and attributes of `self` or of a class."""
    made = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(part, ast.Name):
                        made.add(part.id)
                    if isinstance(part, ast.Attribute) and ast.unparse(part.value) in ("self", "cls"):
                        made.add(part.attr)
    return {name for name in made if is_private(name)}


def of_self(node: ast.AST) -> set[str]:
    """Private names that the body of a class defines, sets or reads on `self`."""
    read = {
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in ("self", "cls")
    }
    return {name for name in read | defined(node) if is_private(name)}


@cache
def of_class(kind: type) -> set[str]:
    """The same of a class, by its source; most nets derive from the same large one."""
    return of_self(ast.parse(textwrap.dedent(inspect.getsource(kind))))


def inherited(name: str) -> Iterator[tuple[str, int]]:
    """Private names that the classes of a file share with classes of other libraries that they derive from."""
    for node in TREES[name].body:
        if not isinstance(node, ast.ClassDef) or not node.bases or not of_self(node):
            continue
        kind = getattr(importlib.import_module(f"seglight.{name}"), node.name)
        for base in kind.__mro__[1:]:
            if base.__module__.split(".")[0] not in LIBRARIES or base.__module__ == "torch._C":  # no Python source
                continue
            yield from ((part, node.lineno) for part in of_self(node) & of_class(base))


def test_private_names_of_other_libraries() -> None:
    found = {
        (part, f"seglight.{name}:{line}")
        for name in MODULES
        if name != LIGHTNING
        for part, line in (*used(name), *inherited(name))
    }
    assert sorted(place for place in found if place[0] not in ALLOWED) == []
    assert sorted(ALLOWED.keys() - {part for part, _ in found}) == [], "nothing uses these any more"


def test_strings_do_not_hide_them() -> None:
    """A private name of Lightning is no text elsewhere, either, as a key of `getattr` or of a state would be."""
    of_lightning = {
        node.attr for node in ast.walk(TREES[LIGHTNING]) if isinstance(node, ast.Attribute) and is_private(node.attr)
    } | {"_last_global_step_saved", "_last_checkpoint_saved", "_defer_save_until_validation"}
    assert len(of_lightning) > 10
    found = [
        (f"seglight.{name}:{node.lineno}", node.value)
        for name in MODULES
        if name != LIGHTNING
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Constant) and node.value in of_lightning
    ]
    assert found == []
