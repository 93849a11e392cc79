"""A recipe runs no code but the constructors of classes that fit; with --safe_recipe, of known packages.

Covers: system.safe_recipe.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from seglight.checkpoints.checkpoint import load_net
from seglight.checkpoints.model_card import KEY
from seglight.errors import UserError
from seglight.system.class_paths import class_rules
from seglight.system.safe_recipe import safe_recipes
from tests.support.checkpoint_files import card

RECIPE: dict[str, Any] = {
    "trainer": {"accelerator": "cpu", "max_steps": 1, "enable_progress_bar": False},
    "model": {"net": {"class_path": "tests.support.tiny.TinyNet"}},
    "data": {
        "class_path": "seglight.data.ShapesDataModule",
        "init_args": {
            "size": 32, "train_images": 2, "eval_images": 1, "num_workers": 0, "batch_size": 1,
            "augmentation": {"crop_size": 32},
        },
    },
}  # fmt: skip

STRANGER = """
from pathlib import Path
from typing import Any
import torch
from torch import nn

Path(__file__).with_name("imported").touch()


def called(*args, **kwargs) -> nn.Module:
    Path(__file__).with_name("called").touch()
    return nn.Identity()


def optimizer(*args, **kwargs) -> torch.optim.Optimizer:
    called()


class Thing:
    def __init__(self, *args, **kwargs):
        called()


class Untyped(nn.Module):
    def __init__(self, num_classes, part=None, anything: Any = None):
        super().__init__()


class Act(nn.Module):
    def __init__(self, num_classes: int, act=torch.relu) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, num_classes, 1), act

    def forward(self, image):
        return self.conv(self.act(image.float()))


class Holder(nn.Module):
    def __init__(self, num_classes: int, more: dict[str, Any], **rest) -> None:
        super().__init__()
"""


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module whose import writes a file, and whose functions and classes write another."""
    (tmp_path / "strange_code.py").write_text(STRANGER)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("strange_code", None)


def merged(recipe: Any, more: Any) -> Any:
    if isinstance(recipe, dict) and isinstance(more, dict) and "class_path" not in more:
        return {**recipe, **{key: merged(recipe.get(key), value) for key, value in more.items()}}
    return more


def written(folder: Path, more: dict[str, Any]) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(merged(RECIPE, more)))
    return path


def touch(folder: Path) -> dict[str, Any]:
    return {"class_path": "os.system", "init_args": {"command": f"touch {folder / 'called'}"}}


PLACES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "model.net": lambda spec: {"model": {"net": spec}},
    "model.loss": lambda spec: {"model": {"loss": spec}},
    "model.optimizer": lambda spec: {"model": {"optimizer": spec}},
    "model.schedule": lambda spec: {"model": {"schedule": spec}},
    "model.groups": lambda spec: {"model": {"groups": spec}},
    "data": lambda spec: {"data": spec},
    "augmentation": lambda spec: {"data": {"init_args": {"augmentation": {"crop_size": 32, "extra": [spec]}}}},
    "inferer": lambda spec: {"inferer": spec},
    "callbacks": lambda spec: {"trainer": {"callbacks": [spec]}},
    "logger": lambda spec: {"trainer": {"logger": spec}},
    "plugins": lambda spec: {"trainer": {"plugins": [spec]}},
    "strategy": lambda spec: {"trainer": {"strategy": spec}},
    "profiler": lambda spec: {"trainer": {"profiler": spec}},
    "accelerator": lambda spec: {"trainer": {"accelerator": spec}},
    "encoder": lambda spec: net("EncoderDecoder", encoder=spec, decoder="seglight.models.decoders.FPN"),
    "decoder": lambda spec: net("EncoderDecoder", encoder="seglight.models.MobileNetV3Encoder", decoder=spec),
    "members": lambda spec: net("Ensemble", members=[spec]),
    "members of members": lambda spec: net("Ensemble", members=[net("Ensemble", members=[spec])["model"]["net"]]),
    "loss of a loss": lambda spec: {
        "model": {"loss": {"class_path": "seglight.losses.Adversarial", "init_args": {"num_classes": 8, "loss": spec}}}
    },
    "a callable": lambda spec: {
        "trainer": {
            "callbacks": [{"class_path": "lightning.pytorch.callbacks.LambdaCallback", "init_args": {"setup": spec}}]
        }
    },
    "a function of a loss": lambda spec: {
        "model": {
            "loss": {
                "class_path": "torch.nn.TripletMarginWithDistanceLoss",
                "init_args": {"distance_function": spec},
            }
        }
    },
}


def net(name: str, **init_args: Any) -> dict[str, Any]:
    return {"model": {"net": {"class_path": f"seglight.models.{name}", "init_args": init_args}}}


SPECS: dict[str, Callable[[Path], Any]] = {
    "function": touch,
    "by name": lambda folder: "os.system",
    "of a user": lambda folder: {"class_path": "strange_code.called"},
    "of a user by name": lambda folder: "strange_code.called",
    "annotated": lambda folder: {"class_path": "strange_code.optimizer"},
    "class of another type": lambda folder: {"class_path": "strange_code.Thing"},
    "Popen": lambda folder: {
        "class_path": "subprocess.Popen",
        "init_args": {"args": ["touch", str(folder / "called")]},
    },
    "torch.load": lambda folder: {"class_path": "torch.load", "init_args": {"f": "x", "weights_only": False}},
    "eval": lambda folder: {"class_path": "builtins.eval", "dict_kwargs": {"source": "1"}},
}


EVERYWHERE = ("function", "of a user by name", "class of another type")
NAMES = ("strategy", "profiler", "accelerator")
"""Places where a text is one of Lightning's own names, never a class path."""

CASES = [
    (place, spec)
    for place in PLACES
    for spec in SPECS
    if (spec in EVERYWHERE or place in ("model.net", "model.optimizer", "callbacks"))
    and not (place in NAMES and spec.endswith("by name"))
]


@pytest.mark.parametrize(("place", "spec"), CASES)
def test_only_a_class_that_fits_is_called(
    place: str, spec: str, strange: Path, seglight_cli: Callable[..., Any]
) -> None:
    recipe = written(strange, PLACES[place](SPECS[spec](strange)))
    ran = seglight_cli("fit", "--config", recipe, "--run_dir", strange / "run")
    assert ran.rc == 2, ran.err
    assert ran.err.count("\n") == 1, ran.err
    assert not (strange / "called").exists()
    assert not (strange / "run").exists()


COMMANDS = ("fit", "validate", "test", "summary", "doctor", "cache", "soup", "pretrain", "sweep")


@pytest.mark.parametrize(("place", "safe"), [("model.net", False), ("data", False), ("model.net", True)])
@pytest.mark.parametrize("command", COMMANDS)
def test_in_every_command(
    command: str, place: str, safe: bool, strange: Path, seglight_cli: Callable[..., Any]
) -> None:
    more = PLACES[place](touch(strange))
    if command == "pretrain":
        if place == "model.net":
            place, more = "model.optimizer", PLACES["model.optimizer"](touch(strange))
        own = {"trainer": RECIPE["trainer"], "model": {"name": "test_resnet"}}
        own["data"] = {
            "class_path": "seglight.data.datasets.image_folder.ImageFolderDataModule",
            "init_args": {"root": "x"},
        }
        recipe = strange / "recipe.yaml"
        recipe.write_text(yaml.safe_dump(merged(own, more)))
    else:
        recipe = written(strange, more)
    args: list[object] = ["--config", recipe]
    if command in ("fit", "validate", "test", "pretrain"):
        args += ["--run_dir", strange / "run"]
    if command in ("cache", "soup", "sweep"):
        args += ["--out", strange / "out"]
    if command == "soup":
        args.append(strange / "none.ckpt")
    if command == "sweep":
        sweep = {"configs": [str(recipe)], "objectives": {"val/miou": "maximize"}, "trials": 1}
        sweep["space"] = {"model.aux_weight": {"range": [0.1, 0.2]}}
        (strange / "sweep.yaml").write_text(yaml.safe_dump(sweep))
        args[1] = strange / "sweep.yaml"
    ran = seglight_cli(command, *args, *["--safe_recipe"] * safe)
    assert not (strange / "called").exists()
    reads_it = place == "data" or (place == "model.net" and command == "summary")
    if reads_it or command in ("fit", "validate", "test", "sweep", "pretrain"):
        assert ran.rc == 2, ran.err
        assert ran.err.count("\n") == 1, ran.err


@pytest.mark.parametrize("name", ["sampler", "pruner"])
@pytest.mark.parametrize("spec", SPECS)
def test_in_a_sweep(name: str, spec: str, strange: Path, seglight_cli: Callable[..., Any]) -> None:
    sweep = {"configs": [str(written(strange, {}))], "objectives": {"val/miou": "maximize"}, "trials": 1}
    sweep |= {"space": {"model.aux_weight": {"range": [0.1, 0.2]}}, name: SPECS[spec](strange)}
    (strange / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    ran = seglight_cli("sweep", "--config", strange / "sweep.yaml", "--out", strange / "out")
    assert ran.rc == 2
    assert ran.err.count("\n") == 1, ran.err
    assert not (strange / "called").exists()


@pytest.mark.parametrize(
    "args",
    [
        ["--model.net", "os.system"],
        ["--model.net=strange_code.called"],
        ["--model.optimizer", "subprocess.getoutput"],
        ["--model.optimizer", "{class_path: subprocess.getoutput, init_args: {cmd: touch called}}"],
        ["--model.optimizer.class_path", "strange_code.optimizer"],
        ["--trainer.callbacks+", "strange_code.called"],
        ["--trainer.callbacks+={class_path: os.system, init_args: {command: touch called}}"],
        ["--model.net", "!!python/object/apply:os.system ['touch called']"],
        ["--model.net", "other.yaml"],
        ["--model", "model.yaml"],
        ["--config", "http://127.0.0.1:9/recipe.yaml"],
        ["--config=memory://recipe.yaml"],
        ["--config", "tagged.yaml"],
    ],
)
def test_on_the_command_line(
    args: list[str], strange: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(strange)
    Path("other.yaml").write_text(yaml.safe_dump(touch(strange)))
    Path("model.yaml").write_text(yaml.safe_dump({"optimizer": touch(strange)}))
    Path("tagged.yaml").write_text("model: !!python/object/apply:os.system ['touch called']\n")
    ran = seglight_cli("fit", "--config", written(strange, {}), *args, "--run_dir", "run")
    assert ran.rc == 2
    assert ran.err.count("\n") == 1, ran.err
    assert not Path("called").exists()
    assert not Path("run").exists()


def test_a_function_that_is_a_class_s_own_default_stays(strange: Path, seglight_cli: Callable[..., Any]) -> None:
    recipe = written(strange, {"model": {"net": {"class_path": "strange_code.Act"}}})
    assert seglight_cli("fit", "--config", recipe, "--run_dir", strange / "run").rc == 0
    # the run's own recipe spells it out
    copy = strange / "again.yaml"
    copy.write_text((strange / "run" / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    again = seglight_cli("validate", "--config", copy, "--run_dir", strange / "again")
    assert again.rc == 0, again.err


@pytest.mark.parametrize("parameter", ["part", "anything"])
def test_a_class_where_no_type_is_said(parameter: str, strange: Path, seglight_cli: Callable[..., Any]) -> None:
    own = {"class_path": "strange_code.Untyped", "init_args": {parameter: {"class_path": "strange_code.Thing"}}}
    ran = seglight_cli("fit", "--config", written(strange, {"model": {"net": own}}), "--run_dir", strange / "run")
    assert ran.rc == 2
    assert f"annotate its parameter {parameter}" in ran.err
    assert not (strange / "called").exists()


def test_within_a_dict_a_class_is_data(strange: Path, seglight_cli: Callable[..., Any]) -> None:
    thing = {"class_path": "strange_code.Thing"}
    own: dict[str, Any] = {"class_path": "strange_code.Holder", "init_args": {"more": {"one": thing, **thing}}}
    own["dict_kwargs"] = {"other": thing, "last": "strange_code.called"}
    recipe = written(strange, {"model": {"net": own}})
    seglight_cli("summary", "--config", recipe)
    assert not (strange / "called").exists()


@pytest.mark.parametrize(
    ("place", "name", "more"),
    [
        (
            "model.net",
            "seglight.models.EncoderDecoder",
            {
                "encoder": {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet"}},
                "decoder": "seglight.models.decoders.FPN",
            },
        ),
        ("model.net", "tests.support.tiny.TinyNet", {}),
        ("model.loss", "seglight.losses.Dice", {}),
        ("model.optimizer", "torch.optim.AdamW", {}),
        ("model.schedule", "seglight.optim.WarmupPoly", {}),
        ("data", "seglight.data.ShapesDataModule", {}),
        ("inferer", "seglight.inference.SlidingWindow", {}),
        ("callbacks", "seglight.callbacks.EMA", {}),
        ("logger", "lightning.pytorch.loggers.CSVLogger", {"save_dir": "logs"}),
    ],
)
def test_a_name_that_the_class_does_not_take(
    place: str, name: str, more: dict[str, Any], strange: Path, seglight_cli: Callable[..., Any]
) -> None:
    """The parser hands `dict_kwargs` over unseen: Python would say it with a traceback, or at the first call."""
    spec = {"class_path": name, "init_args": more, "dict_kwargs": {"strange_name": 1}}
    recipe = written(strange, merged({"model": {"net": "tests.support.tiny.TinyNet"}}, PLACES[place](spec)))
    ran = seglight_cli("fit", "--config", recipe, "--run_dir", strange / "run")
    assert ran.rc == 2
    assert ran.err.count("\n") == 1, ran.err
    assert "strange_name" in ran.err
    assert not (strange / "run").exists()


@pytest.mark.parametrize("place", PLACES)
def test_a_safe_recipe_imports_no_other_module(place: str, strange: Path, seglight_cli: Callable[..., Any]) -> None:
    recipe = written(
        strange, merged({"model": {"net": "torch.nn.Identity"}}, PLACES[place]({"class_path": "strange_code.Thing"}))
    )
    ran = seglight_cli("fit", "--config", recipe, "--run_dir", strange / "run", "--safe_recipe")
    assert ran.rc == 2
    assert ran.err.count("\n") == 1, ran.err
    assert not (strange / "imported").exists()
    assert "strange_code" not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        "seglight.commands.fit.cli.warnings.sys.exit",
        "torch.hub.load",
        "lightning.pytorch.loggers.WandbLogger",
        "tests.support.tiny.TinyNet",
    ],
)
def test_a_safe_recipe_refuses(name: str, strange: Path, seglight_cli: Callable[..., Any]) -> None:
    for place in ("model.net", "logger"):
        recipe = written(strange, merged({"model": {"net": "torch.nn.Identity"}}, PLACES[place]({"class_path": name})))
        ran = seglight_cli("fit", "--config", recipe, "--run_dir", strange / "run", "--safe_recipe")
        assert ran.rc == 2
        assert ran.err.count("\n") == 1, ran.err


@pytest.mark.parametrize("option", [["validate"], ["summary"], ["doctor"]])
def test_a_class_in_a_dict_is_not_imported_either(
    option: list[str], strange: Path, seglight_cli: Callable[..., Any]
) -> None:
    own = {"class_path": "seglight.models.EncoderDecoder", "dict_kwargs": {"x": {"class_path": "strange_code.Thing"}}}
    seglight_cli(*option, "--config", written(strange, {"model": {"net": own}}), "--safe_recipe")
    assert not (strange / "imported").exists()


@pytest.mark.parametrize(
    "more",
    [
        {"run_dir": "elsewhere"},
        {"config": "another.yaml"},
        {"trainer": {"default_root_dir": "/tmp"}},
        {"trainer": {"callbacks": [
            {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"dirpath": "../up"}}]}},
        {"trainer": {"logger": {
            "class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "s3://bucket"}}}},
    ],
)  # fmt: skip
def test_a_safe_recipe_does_not_say_where_to_write(
    more: dict[str, Any], strange: Path, seglight_cli: Callable[..., Any]
) -> None:
    recipe = written(strange, merged({"model": {"net": "torch.nn.Identity"}}, more))
    ran = seglight_cli("fit", "--config", recipe, "--run_dir", strange / "run", "--safe_recipe")
    assert ran.rc == 2
    assert "--safe_recipe" in ran.err
    assert ran.err.count("\n") == 1, ran.err


def test_a_safe_recipe_trains(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    own = {
        "encoder": {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": None}},
        "decoder": {"class_path": "seglight.models.decoders.FPN", "init_args": {"channels": 8}},
    }
    more = net("EncoderDecoder", **own)
    more["trainer"] = {"callbacks": [{"class_path": "lightning.pytorch.callbacks.RichModelSummary"}]}
    more["data"] = {"init_args": {"augmentation": {"crop_size": 32, "extra": ["albumentations.VerticalFlip"]}}}
    more["data"]["init_args"] |= {"size": 64, "batch_size": 2}
    recipe = written(tmp_path, more)
    ran = seglight_cli("fit", "--config", recipe, "--run_dir", tmp_path / "run", "--safe_recipe")
    assert ran.rc == 0, ran.err
    again = seglight_cli(
        "validate", "--config", tmp_path / "run" / "config.yaml", "--run_dir", tmp_path / "again", "--safe_recipe",
        "--ckpt_path", tmp_path / "run" / "checkpoints" / "last.ckpt",
    )  # fmt: skip
    assert again.rc == 0, again.err


def test_a_sweep_of_a_stranger_holds_no_commands(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    sweep: dict[str, Any] = {"configs": [str(written(tmp_path, {}))], "objectives": {"val/miou": "maximize"}}
    sweep |= {"trials": 1, "space": {"model.aux_weight": {"range": [0.1, 0.2]}}}
    for more in ({"running": {"slurm": {"setup": ["touch called"]}}}, {"space": {"run_dir": {"choice": ["a"]}}}):
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep | more))
        ran = seglight_cli("sweep", "--config", tmp_path / "sweep.yaml", "--out", tmp_path / "out", "--safe_recipe")
        assert ran.rc == 2
        assert "refused by --safe_recipe" in ran.err


@pytest.mark.parametrize("as_text", ["{}", "'{}'", '"{}"', "!!str {}", "[{}]", "{{class_path: {}}}"])
@pytest.mark.parametrize("place", ["class_path", "member", "weights"])
def test_a_checkpoint_s_class_is_refused_before_its_import(place: str, as_text: str, strange: Path) -> None:
    text = as_text.format("strange_code.called")
    config: dict[str, Any] = {"class_path": "seglight.models.Ensemble", "init_args": {"members": [text]}}
    if place == "class_path":
        config = {"class_path": text}
    if place == "weights":
        config = {"class_path": "torch.nn.Conv2d", "init_args": {"in_channels": 3, "padding_mode": text}}
    torch.save({KEY: card(["a"], net=config).to_dict(), "state_dict": {"net.x": torch.zeros(1)}}, strange / "a.ckpt")
    with pytest.raises(UserError):
        load_net(strange / "a.ckpt")
    assert not (strange / "imported").exists()
    with pytest.raises(UserError):
        load_net(strange / "a.ckpt", ["strange_code"])
    assert not (strange / "called").exists()


def test_the_rules_of_other_parsers_come_back() -> None:
    from jsonargparse import ArgumentParser

    def accepts(name: str) -> bool:
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--kind", type=type)
        try:
            parser.parse_args(["--kind", name])
        except Exception:
            return False
        return True

    assert accepts("tests.support.tiny.TinyNet")
    with safe_recipes(True), class_rules():
        assert not accepts("tests.support.tiny.TinyNet")
        assert accepts("torch.nn.Linear")
    assert accepts("tests.support.tiny.TinyNet")
