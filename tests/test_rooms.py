"""The architecture as a test: who may import whom, and the house rules that ruff does not know."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

import seglight

ROOT = Path(seglight.__file__).parent

LAYERS = (
    ("escaping",),
    (
        "seglight", "errors", "files", "data.exif", "data.iso_media", "data.jpeg", "data.tiff_pages",
        "data.unread", "running.signals", "running.random_states", "running.position",
        "running.evaluation_state", "running.surroundings", "running.times", "running.holder", "ops.bands", "ops.ranks",
        "ops.fused_cross_entropy", "terminal", "threads", "running.half_precision",
        "running.trainer_values",
    ),
    ("png",),
    ("data.image_header",),
    (
        "interfaces", "class_paths", "image_counts", "memory", "data.classes", "data.color", "data.extra", "data.files",
        "data.windows", "ops.walk", "ops.label_values", "ops.finite", "ops.upsample", "ops.by_class", "doctor.finding",
        "running.checkpoint_files", "running.lock", "models.weights.rewrite", "weights_file",
        "data.loading_options",
        "sweeps.space", "sweeps.record", "sweeps.job",
    ),
    (
        "ops.*", "data.labels", "data.transforms", "data.sampler", "models.layers", "models.depths",
        "models.phases",
        "models.recomputing", "models.normalized", "models.timm_nets", "models.weights.*", "visualize", "predictor",
        "data.cityscapes_classes", "prediction.movies", "prediction.outlines", "prediction.room", "prediction.tiff",
        "export.metadata", "export.seal", "losses.banded", "costs", "release", "trust", "allocation",
        "prepare.transfer", "prepare.extract", "prepare.layout", "running.folder",
        "sweeps.options", "sweeps.overrides", "sweeps.failures", "sweeps.executors.executor",
        "doctor.kinds", "doctor.headers", "doctor.likeness", "doctor.edges", "doctor.pool",
    ),
    (
        "data.pairs", "data.cache", "data.class_files", "models.encoders", "models.published", "models.mix_transformer",
        "models.mobilenetv3", "models.vit", "models.decoders.*", "losses.*", "metrics.*",
        "inference.*", "export.exported", "export.graph", "optim", "accumulation", "clipping", "memory_format",
        "checkpoint", "conventions",
        "prediction.label_maps", "prediction.shares", "prediction.submissions", "prediction.coco",
        "sweeps.study", "sweeps.trial", "sweeps.executors.*",
        "prepare.download", "doctor.facts", "model_card", "running.processes", "running.sharding",
        "running.trainer_arguments", "models.misfit",
    ),
    ("data.disjoint",),
    (
        "running.resume", "module", "data.datamodule", "models.encoder_decoder", "callbacks.tensorboard",
        "callbacks.best_checkpoint", "panel_sheet",
        "prepare.steps", "doctor.causes", "doctor.tables", "doctor.pairs", "doctor.samples", "models.ensemble",
        "losses.distillation", "losses.adversarial", "classification", "data.labelled_images", "inference.augmentation",
        "sweeps.course", "sweeps.latency", "sweeps.table", "sweeps.tidying",
        "inference.plan", "prediction.inputs",
        "export.runtimes", "export.onnx", "export.torch_program", "export.quantize",
    ),
    (
        "data.*", "callbacks.*", "models.pointrend", "recipe", "torch_predictor", "inference.within_memory",
        "export.windows",
        "prediction.outputs", "doctor.scan", "doctor.labelled", "doctor.statistics",
        "sweeps.coordinator", "sweeps.report", "sweeps.begun",
        "doctor.check_files", "doctor.repair", "export.openvino",
    ),
    ("prepare.*", "doctor.*", "export.*", "loading", "prediction.*", "running.before_run"),
    ("cli", "running.seeds", "commands.*"),
    ("sweeps.rehearsal",),
    ("commands.sweep",),
    ("__main__",),
)  # fmt: skip
"""A file imports only from lower layers, never from its own. An exact name goes before a pattern."""

FILES = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path for path in ROOT.rglob("*.py")}
PACKAGES = {name for name in FILES if name.endswith("__init__")}
MODULES = sorted(FILES.keys() - PACKAGES)
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
STUBS = {path.parent.name: ast.parse(path.read_text()) for path in ROOT.glob("*/__init__.pyi")}
"""Of the packages that import what they are asked for when they are, what they re-export."""


def layer(name: str) -> int:
    exact = [number for number, names in enumerate(LAYERS) if name in names]
    found = exact or [number for number, names in enumerate(LAYERS) if any(fnmatch(name, p) for p in names)]
    assert len(found) == 1, f"seglight/{name.replace('.', '/')}.py stands in {len(found)} layers: name it in LAYERS"
    return found[0]


def imports(name: str) -> Iterator[str]:
    """The files of seglight that a file imports from; a package stands for the file that it re-exports from."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (resolve(alias.name, None) for alias in node.names if alias.name.split(".")[0] == "seglight")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            if (node.module or "").split(".")[0] == "seglight":
                yield from (resolve(str(node.module), alias.name) for alias in node.names)


def resolve(module: str, name: str | None) -> str:
    place = module.removeprefix("seglight").removeprefix(".")
    if place in MODULES:
        return place
    if f"{place}.{name}".strip(".") in MODULES:
        return f"{place}.{name}".strip(".")
    if not place:
        return "seglight"  # `__version__`
    for node in STUBS.get(place, TREES[f"{place}.__init__"]).body:
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return resolve(str(node.module) if node.level == 0 else f"{place}.{node.module}", name)
    raise AssertionError(f"seglight.{place} has no {name}")


def test_the_walk_sees_re_exports() -> None:
    assert resolve("seglight.metrics", "Scores") == "metrics.scores"
    assert resolve("seglight.ops", "confusion") == "ops.confusion"
    assert resolve("seglight.losses.cross_entropy", "CrossEntropy") == "losses.cross_entropy"
    assert resolve("seglight.data", "VOCDataModule") == "data.voc"
    assert {"losses.banded", "ops.cross_entropy"} <= set(imports("losses.cross_entropy"))


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_from_lower_layers(name: str) -> None:
    own = layer(name)
    wrong = {other: layer(other) for other in imports(name) if layer(other) >= own}
    assert not wrong, f"{name} is of layer {own}"


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_packages_only_re_export(name: str) -> None:
    for node in TREES[name].body:
        doc = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        listing = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "__version__")
        lazy = "lazy_loader" in ast.unparse(node)
        assert doc or listing or lazy or isinstance(node, ast.ImportFrom), ast.unparse(node)


@pytest.mark.parametrize("name", FILES)
def test_at_most_350_lines(name: str) -> None:
    assert len(FILES[name].read_text().splitlines()) <= 350


def public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public classes, functions and methods, not what stands inside a function."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


@pytest.mark.parametrize("name", FILES)
def test_public_things_have_docstrings(name: str) -> None:
    assert ast.get_docstring(TREES[name]), "the file itself"
    assert not [node.name for node in public(TREES[name].body) if not ast.get_docstring(node)]


@pytest.mark.parametrize("name", MODULES)
def test_constructors_have_at_most_12_arguments(name: str) -> None:
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            assert len(node.args.args) + len(node.args.kwonlyargs) - 1 <= 12, f"line {node.lineno}"
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(d) for d in node.decorator_list):
            assert sum(isinstance(field, ast.AnnAssign) for field in node.body) <= 12, node.name
