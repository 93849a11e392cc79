"""Every callback and logger of Lightning works from a recipe, resumed too, or is refused in one line.

Covers: training.base.
"""

import inspect
import pkgutil
import re
from collections.abc import Callable
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import callbacks, loggers
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger

from seglight.training.before_run import NO_LOGGERS, PACKAGES, REFUSED
from tests.support.resumable import RECIPE, BrokenOff, break_off_at, differences, leaves

DOCUMENT = Path(__file__).parents[2] / "docs" / "tasks" / "lightning.md"
HERE = "tests.training.test_every_callback"
MONITOR = {"monitor": "val/miou", "mode": "max"}


class ImagesOf:
    """Named where Lightning takes a function: a recipe names no functions."""

    def __call__(self, batch: dict[str, Any]) -> int:
        return len(batch["name"])


class Ignore:
    def __call__(self, *args: Any) -> None:
        pass


def named(name: str, **options: Any) -> dict[str, Any]:
    return {"class_path": f"lightning.pytorch.callbacks.{name}", "init_args": options}


WATCHING = [
    named("Callback"),
    named("Checkpoint"),
    named("DeviceStatsMonitor"),
    named("EarlyStopping", **MONITOR, patience=9),
    named("EarlyStopping", monitor="train/loss", patience=9),
    named("LambdaCallback", on_fit_start={"class_path": f"{HERE}.Ignore"}),
    named("LearningRateMonitor", log_momentum=True, log_weight_decay=True),
    named("ModelCheckpoint", **MONITOR, save_top_k=2, filename="{epoch}-{step}-mine"),
    named("ModelCheckpoint", monitor="val/loss", every_n_train_steps=6, save_top_k=-1, filename="{step}-by-loss"),
    named("ModelSummary", max_depth=2),
    named("RichModelSummary"),
    named("ThroughputMonitor", batch_size_fn={"class_path": f"{HERE}.ImagesOf"}),
    named("Timer", duration="00:01:00:00"),
    named("TQDMProgressBar"),
]
"""Those that change no weight, all at once."""

CHANGING = {
    "GradientAccumulationScheduler": [named("GradientAccumulationScheduler", scheduling={0: 1, 1: 3})],
    "WeightAveraging": [named("WeightAveraging")],
    "EMAWeightAveraging": [named("EMAWeightAveraging", decay=0.8), named("RichProgressBar")],
    "finders": [named("BatchSizeFinder"), named("LearningRateFinder", num_training_steps=12)],
}
"""Those that change weights or steps."""

WORKING = {getattr(callbacks, entry["class_path"].rpartition(".")[2]) for entry in chain(WATCHING, *CHANGING.values())}
WORKING_LOGGERS = {CSVLogger, DummyLogger, TensorBoardLogger}


def classes_in(package: Any, base: type) -> set[type]:
    """All that a package of Lightning and its modules define and show."""
    modules = [
        package,
        *(import_module(m.name) for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")),
    ]
    found = {c for module in modules for c in vars(module).values() if inspect.isclass(c) and issubclass(c, base)}
    return {c for c in found if c.__module__.startswith(package.__name__) and not c.__name__.startswith("_")}


def test_none_is_without_a_verdict() -> None:
    assert classes_in(callbacks, Callback) == WORKING | set(REFUSED)
    assert not WORKING & set(REFUSED)
    names = {c.__name__ for c in classes_in(loggers, object) if c.__name__.endswith("Logger")}
    assert names == {c.__name__ for c in WORKING_LOGGERS | set(PACKAGES)} | set(NO_LOGGERS)
    assert set(loggers.__all__) <= names


def test_the_documentation_has_these_verdicts() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", DOCUMENT.read_text().partition("## Loggers")[0], re.M))
    assert rows.keys() == {c.__name__ for c in WORKING | set(REFUSED)}
    assert {name for name, text in rows.items() if text.startswith("works")} == {c.__name__ for c in WORKING}
    for kind, why in REFUSED.items():
        assert rows[kind.__name__] == f"refused: {why}"
    section = DOCUMENT.read_text().partition("## Loggers")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.M))
    assert rows.keys() == {c.__name__ for c in WORKING_LOGGERS | set(PACKAGES)} | set(NO_LOGGERS)
    for name, why in NO_LOGGERS.items():
        assert rows[name] == f"refused: {why}"
    for kind, (package, _) in PACKAGES.items():
        assert rows[kind.__name__] == f"works where it is installed: `pip install {package}`"


Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, seglight_cli: Run) -> Run:
    """`fit` with a small net in a folder of its own; gives what the command gave."""

    def fit(folder: str, entries: list[dict[str, Any]], *args: object, **trainer: Any) -> Any:
        recipe = yaml.safe_load(RECIPE)
        exact = {"class_path": "seglight.callbacks.ExactCheckpoint", "init_args": {"every_n_steps": 4}}
        recipe["trainer"] |= {"max_epochs": 2, "callbacks": [exact, *entries]} | trainer
        path = tmp_path / folder / "recipe.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(recipe))
        return seglight_cli("fit", "-c", path, "--run_dir", path.parent / "run", *args)

    return fit


def left(folder: Path) -> dict[str, Any]:
    """All that a run leaves that is no time and no place: tensors, states of callbacks, logs, names of checkpoints."""
    files = sorted(path.name for path in (folder / "run" / "checkpoints").iterdir() if "previous" not in path.name)
    parts: dict[str, Any] = {name: (folder / "run" / name).read_text() for name in ("metrics.jsonl", "scores.json")}
    for name in files:
        saved = torch.load(folder / "run" / "checkpoints" / name, weights_only=True)
        saved.pop("loops")
        for states in (saved["callbacks"], *(own["callbacks"] for own in saved.get("exact", {}).get("processes", []))):
            states.pop("Timer", None)
        parts[name] = saved
    read = dict(leaves(parts)) | {"files": files}
    moved = {key.replace(str(folder), ""): value for key, value in read.items()}
    return {key: value.replace(str(folder), "") if isinstance(value, str) else value for key, value in moved.items()}


def kept_by(folder: Path) -> list[dict[str, Any]]:
    """The loggers that need no other package, TensorBoard last."""
    kinds = [("CSVLogger", {"version": "one"}), ("logger.DummyLogger", None), ("TensorBoardLogger", {})]
    return [
        {"class_path": f"lightning.pytorch.loggers.{kind}"}
        | ({} if options is None else {"init_args": {"save_dir": str(folder), **options}})
        for kind, options in kinds
    ]


@pytest.mark.filterwarnings("ignore:When using the `ThroughputMonitor`, you need to define a `flops_per_batch`")
@pytest.mark.parametrize(
    "name",
    ["watching", *(pytest.param(name, marks=pytest.mark.slow) if name == "finders" else name for name in CHANGING)],
)
def test_a_run_that_was_killed_resumes_to_the_same_bits(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = name == "watching"
    entries = WATCHING if watching else CHANGING[name]
    bar = watching or name == "EMAWeightAveraging"
    given: dict[str, Any] = {"enable_progress_bar": bar, "max_epochs": 6 if name == "finders" else 2}

    def logged_by(folder: str) -> dict[str, Any]:
        return {"logger": kept_by(tmp_path / folder / "logs")} if watching else {}

    whole = run("whole", entries, **given, **logged_by("whole"))
    assert whole.rc == 0, whole.err
    with monkeypatch.context() as broken:
        break_off_at(4 if name == "finders" else 9 if watching else 7, broken)
        with pytest.raises(BrokenOff):
            run("broken", entries, **given, **logged_by("broken"))
    resumed = run("broken", entries, "--resume", **given, **logged_by("broken"))
    assert resumed.rc == 0, resumed.err
    expected = left(tmp_path / "whole")
    assert differences(left(tmp_path / "broken"), expected) == []
    if watching:
        assert run("plain", [], **given | {"enable_progress_bar": False}).rc == 0
        weights = {key: value for key, value in left(tmp_path / "plain").items() if ".last.ckpt.state_dict" in key}
        assert {key: expected[key] for key in weights} == weights
        assert [file for file in expected["files"] if "mine" in file] == [
            "epoch=0-step=6-mine.ckpt",
            "epoch=1-step=12-mine.ckpt",
        ]
        assert (tmp_path / "broken" / "logs" / "lightning_logs" / "one" / "metrics.csv").exists()
        assert "CSVLogger: version one holds the run so far: the resumed run writes the next one" in resumed.err
