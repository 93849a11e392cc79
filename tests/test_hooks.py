"""No `getattr` or `hasattr` finds a hook: what parts of seglight ask of each other is declared in a base class."""

import ast

from tests.support.rooms import MODULES, TREES

OTHERS = {
    "hasattr(os, 'sched_getaffinity')": "macOS and Windows lack it",
    "hasattr(base, 'madvise')": "Windows lacks it",
    "getattr(ctypes.CDLL(None), 'malloc_trim', None)": "C libraries other than GNU's lack it",
    "getattr(stream, 'encoding', None)": "streams that stand in for those of a terminal may lack it",
    "getattr(stream, 'errors', None)": "streams that stand in for those of a terminal may lack it",
    "getattr(image, 'filename', '')": "Pillow images that were not opened from a file lack it",
    "getattr(image, 'n_frames', 1)": "Pillow images of formats with one frame lack it",
    "getattr(image, 'tile', ())": "Pillow images that were not opened from a file lack it",
    "hasattr(image, 'is_meta')": "a tensor is recognised without an import of torch",
    "getattr(page.photometric, 'name', str(page.photometric))": "tifffile gives a number where it has no name for it",
    "getattr(image, 'shape', None)": "any object of the user that reads by windows",
    "getattr(image, 'read', None)": "any object of the user that reads by windows",
    "getattr(net, 'output_fmt', 'NCHW')": "nets of timm without that attribute are NCHW",
    "hasattr(net, 'embed_dim')": "which nets of timm are plain transformers",
    "hasattr(net, 'prune_intermediate_layers')": "which nets of timm are plain transformers",
    "getattr(error, 'reason', '')": "exceptions of urllib have it, those of sockets don't",
    "getattr(error, 'strerror', None)": "exceptions of the system have it, those of parsers don't",
    "getattr(function, '__module__', None)": "callables of C modules may lack it",
}
"""Attributes of objects that are not seglight's: of other libraries, of the platform, of the user."""

BY_A_NAME_FROM_DATA = {
    "getattr(importlib.import_module(module), name)": "a class path",
    "getattr(import_module(module), name)": "a class path",
    "getattr(outer, name, None)": "a class path",
    "getattr(sys.modules.get(package), name, None)": "whether a package exports a class by its short name",
    "getattr(value, field.name)": "the fields of a dataclass",
    "getattr(self, entry.name)": "the fields of a dataclass",
    "getattr(self, name)": "the options of a module, which are declared attributes",
    "getattr(value, name)": "the options of a module or a data module, which are declared attributes",
    "getattr(DECODERS, name)": "the names that a package exports",
    "getattr(MODELS, name)": "the names that a package exports",
    "getattr(checkpoint, name)": "the attributes that a ModelCheckpoint leaves out of its state",
    "getattr(Callback, hook)": "the hooks that the options of a LambdaCallback name",
    "getattr(callback, key)": "three numbers of EarlyStopping that are checked alike",
    "getattr(sweep.running, name)": "two declared fields that are checked alike",
}
"""Names that come from a list or from a recipe, all of which are there."""


def found() -> dict[str, str]:
    """Every call of `getattr` and `hasattr` in seglight, with a file that has it."""
    return {
        ast.unparse(node): f"seglight.{name}"
        for name in MODULES
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr")
    }


def test_no_hook_is_found_by_its_name() -> None:
    allowed = OTHERS.keys() | BY_A_NAME_FROM_DATA.keys()
    assert {call: where for call, where in found().items() if call not in allowed} == {}


def test_the_lists_name_what_is_there() -> None:
    assert (OTHERS.keys() | BY_A_NAME_FROM_DATA.keys()) - found().keys() == set()
