"""Training and scoring from Python: the same runs as those of the command line.

Covers: commands.fit.messages, commands.fit.run_callbacks.
"""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Trainer, seed_everything
from PIL import Image

import seglight
from seglight.__main__ import main
from seglight.callbacks import EMA
from seglight.checkpoints.checkpoint import read_checkpoint
from seglight.checkpoints.model_card import KEY
from seglight.data import Augmentation, ShapesDataModule
from seglight.errors import UserError
from seglight.inference import SlidingWindow
from seglight.losses import Focal
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from seglight.training import SegmentationModule
from tests.support.command import Ran
from tests.support.tiny import TinyNet

CLI = Callable[..., Ran]
QUIET: dict[str, Any] = {"accelerator": "cpu", "enable_progress_bar": False, "log_every_n_steps": 1}
CLASSES = 8
SHAPES = {"size": 32, "train_images": 6, "eval_images": 2, "num_workers": 0, "batch_size": 2}
ENCODER = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": None}}
DECODER = {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}}
NET = {"class_path": "seglight.models.EncoderDecoder", "init_args": {"encoder": ENCODER, "decoder": DECODER}}
DATA = {
    "class_path": "seglight.data.ShapesDataModule",
    "init_args": {**SHAPES, "augmentation": {"crop_size": 32}},
}
OPTIMIZER = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "weight_decay": 0}}
RECIPE: dict[str, Any] = {
    "seed_everything": 3,
    "trainer": {**QUIET, "max_epochs": 2},
    "model": {"net": NET, "optimizer": OPTIMIZER, "loss": {"class_path": "seglight.losses.Focal"}},
    "data": DATA,
}


def shapes(**options: Any) -> ShapesDataModule:
    return ShapesDataModule(**SHAPES, augmentation=Augmentation(32), **options)  # type: ignore[arg-type]


def factory() -> Any:
    return partial(
        EncoderDecoder,
        encoder=TimmEncoder("test_resnet", None),
        decoder=partial(FPN, pyramid_channels=8, channels=8),
    )


def new_module(data: ShapesDataModule, net: Any) -> SegmentationModule:
    return SegmentationModule(net, **data.facts, loss=Focal, optimizer=partial(torch.optim.SGD, lr=0.1))


def last(run_dir: Path) -> dict[str, Any]:
    return read_checkpoint(run_dir / "checkpoints" / "last.ckpt")


def assert_same_weights(first: Path, second: Path) -> None:
    ours, theirs = last(first)["state_dict"], last(second)["state_dict"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "shapes.yaml"
    path.write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def command_line(tmp_path_factory: pytest.TempPathFactory, recipe: Path) -> Path:
    """A run of the command, in this process."""
    folder = tmp_path_factory.mktemp("runs") / "command"
    assert main(["fit", "--config", str(recipe), "--run_dir", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> seglight.Run:
    """The same run by a module that was built in Python."""
    seed_everything(3)
    data = shapes(seed=3)
    module = new_module(data, factory())
    folder = tmp_path_factory.mktemp("runs") / "python"
    return seglight.fit(module, data, run_dir=folder, max_epochs=2, **QUIET)


def test_a_recipe_leaves_the_same_run_as_the_command(recipe: Path, command_line: Path, tmp_path: Path) -> None:
    run = seglight.fit(recipe, run_dir=tmp_path / "run")
    assert run.run_dir == tmp_path / "run"
    assert run.best == tmp_path / "run/checkpoints/best.ckpt"
    assert_same_weights(run.run_dir, command_line)
    assert names(run.run_dir) == names(command_line)
    for file in ("scores.json", "config.yaml"):
        assert (run.run_dir / file).read_bytes() == (command_line / file).read_bytes()
    assert_scores_are_those_of(run.scores, command_line / "scores.json")


def names(folder: Path) -> set[str]:
    """Files of a run; events of TensorBoard have the time in their names."""
    return {path.relative_to(folder).as_posix().split(".tfevents")[0] for path in folder.rglob("*") if path.is_file()}


def assert_scores_are_those_of(scores: Any, path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert scores.miou == content["miou"]
    assert scores.accuracy == content["accuracy"]
    assert scores.fwiou == content["fwiou"]
    assert list(scores.miou_interval) == content["miou_interval"]
    assert scores.confusion.tolist() == content["confusion"]
    for key in ("iou", "precision", "recall", "f1"):
        expected = [float("nan") if value is None else value for value in content[key].values()]
        np.testing.assert_array_equal(getattr(scores, key).numpy(), expected)


def test_a_module_leaves_the_same_weights_as_the_command(built: seglight.Run, command_line: Path) -> None:
    """To the last bit: encoder, decoder and head draw from the generators in one order, however they are given."""
    assert_same_weights(built.run_dir, command_line)
    assert names(built.run_dir) == names(command_line)
    ours, theirs = last(built.run_dir)[KEY], last(command_line)[KEY]
    assert replace(ours, net=theirs.net, provenance=theirs.provenance) == theirs
    scores = json.loads((command_line / "scores.json").read_text(encoding="utf-8"))
    assert json.loads((built.run_dir / "scores.json").read_text(encoding="utf-8")) == scores


def test_a_module_is_loaded_from_its_checkpoint_alone(built: seglight.Run) -> None:
    module = SegmentationModule.load_from_checkpoint(built.best, map_location="cpu", loss=Focal)
    scores = seglight.evaluate(module, shapes(seed=3), **QUIET)
    assert built.best is not None
    assert torch.equal(scores.confusion, seglight.evaluate(built.best, **QUIET).confusion)
    assert isinstance(module.loss, Focal)
    data = shapes(seed=3)
    given = SegmentationModule.load_from_checkpoint(built.best, net=factory(), **data.facts, loss=Focal)
    assert torch.equal(given.net.state_dict()["head.weight"], module.net.state_dict()["head.weight"])


def test_the_config_of_a_module_is_a_recipe_of_the_command(
    built: seglight.Run, tmp_path: Path, seglight_cli: CLI
) -> None:
    ran = seglight_cli("fit", "--config", built.run_dir / "config.yaml", "--run_dir", tmp_path / "again")
    assert ran.rc == 0, ran.err
    assert_same_weights(tmp_path / "again", built.run_dir)


def net_object() -> Any:
    return factory()(CLASSES)


def test_weights_that_no_seed_decides_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(4)
    data = shapes(seed=3)
    seglight.fit(new_module(data, TinyNet), data, run_dir=tmp_path / "run", max_steps=1, **QUIET)
    assert "torch.manual_seed(3) was not called at first" in capsys.readouterr().err


@pytest.mark.parametrize("net", [NET, factory, net_object], ids=["description", "factory", "object"])
def test_every_way_to_give_a_net_gives_the_same_weights(net: Any) -> None:
    data = shapes()
    seed_everything(3)
    expected = new_module(data, factory())
    seed_everything(3)
    module = new_module(data, net() if callable(net) else net)
    assert module.net_config == (expected.net_config if callable(net) else NET)
    weights = expected.net.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in module.net.state_dict().items())


@pytest.mark.slow
def test_a_plain_trainer_leaves_a_checkpoint_that_commands_take(tmp_path: Path, seglight_cli: CLI) -> None:
    data = shapes()
    module = new_module(data, factory())
    trainer = Trainer(max_steps=1, accelerator="cpu", logger=False, enable_progress_bar=False, limit_val_batches=0,
                      default_root_dir=tmp_path, use_distributed_sampler=False)  # fmt: skip
    trainer.fit(module, datamodule=data)
    path = tmp_path / "a.ckpt"
    trainer.save_checkpoint(path)
    image = np.zeros((40, 48, 3), np.uint8)
    expected = seglight.load(path).predict(image)
    assert seglight_cli("release", path, "--out", tmp_path / "released").rc == 0
    assert seglight_cli("export", path, "--format", "onnx", "--out", tmp_path / "a.onnx").rc == 0
    for model in (tmp_path / "released", tmp_path / "a.onnx"):
        np.testing.assert_array_equal(seglight.load(model).predict(image), expected)
    Image.fromarray(image).save(tmp_path / "a.png")
    assert seglight_cli("predict", path, tmp_path / "a.png", "--out", tmp_path / "masks").rc == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "masks/a.png")), expected)


def test_arguments_that_were_not_given_stand_in_the_config(built: seglight.Run) -> None:
    """Those of AdamW, the optimizer of a recipe that names none, would be taken for SGD otherwise."""
    config = yaml.safe_load((built.run_dir / "config.yaml").read_text(encoding="utf-8"))
    assert config["model"]["optimizer"]["init_args"]["weight_decay"] == 0


def test_attributes_that_were_changed_stand_in_the_config(tmp_path: Path) -> None:
    data = shapes(seed=3)
    module = new_module(data, factory())
    data.batch_size = 3
    data.augmentation = Augmentation(64)
    module.aux_weight = 0.0
    module.optimizer = partial(torch.optim.SGD, lr=0.25)
    run = seglight.fit(module, data, run_dir=tmp_path / "run", max_epochs=1, **QUIET)
    assert last(run.run_dir)["global_step"] == 2
    config = yaml.safe_load((run.run_dir / "config.yaml").read_text(encoding="utf-8"))
    assert config["data"]["init_args"]["batch_size"] == 3
    assert config["data"]["init_args"]["augmentation"]["crop_size"] == 64
    assert config["model"]["aux_weight"] == 0
    assert config["model"]["optimizer"]["init_args"]["lr"] == 0.25
    module.lr = 0.1
    with pytest.raises(UserError, match=r"^module.lr is 0.1, which a LearningRateFinder has set and no recipe holds: "):
        seglight.fit(module, data, run_dir=tmp_path / "next", **QUIET)


def test_evaluate_gives_the_scores_of_the_command(
    built: seglight.Run, tmp_path: Path, seglight_cli: CLI, capsys: pytest.CaptureFixture[str]
) -> None:
    config, checkpoint = built.run_dir / "config.yaml", built.run_dir / "checkpoints/best.ckpt"
    arguments = ["--config", config, "--ckpt_path", checkpoint]
    ran = seglight_cli("validate", *arguments, "--run_dir", tmp_path / "val")
    assert ran.rc == 0, ran.err
    for model in (built, built.run_dir, checkpoint, str(checkpoint)):
        assert_scores_are_those_of(seglight.evaluate(model), tmp_path / "val/scores.json")
    assert "scores.json" not in capsys.readouterr().out
    inferer = SlidingWindow(32)
    seglight.evaluate(built, inferer=inferer, run_dir=tmp_path / "windows")
    assert "SlidingWindow" in json.loads((tmp_path / "windows/scores.json").read_text())["protocol"]
    ran = seglight_cli("test", *arguments, "--run_dir", tmp_path / "test")
    assert ran.rc == 0, ran.err
    assert_scores_are_those_of(seglight.evaluate(built, split="test"), tmp_path / "test/scores.json")


def test_evaluate_on_other_data_without_a_run(built: seglight.Run, tmp_path: Path, seglight_cli: CLI) -> None:
    assert built.best is not None
    lone = tmp_path / "lone.ckpt"
    lone.write_bytes(built.best.read_bytes())
    released = tmp_path / "released"
    assert seglight_cli("release", built.best, "--out", released).rc == 0
    expected = seglight.evaluate(built, accelerator="cpu")
    for model in (lone, released):
        scores = seglight.evaluate(model, shapes(seed=3), **QUIET)
        assert torch.equal(scores.confusion, expected.confusion)
    with pytest.raises(UserError, match=r"lone.ckpt: it is not in a run folder, .*: give data$"):
        seglight.evaluate(lone)
    with pytest.raises(UserError, match="no run of `seglight fit` and no released net"):
        seglight.evaluate(tmp_path)


def test_evaluate_a_module_as_it_is() -> None:
    data = shapes()
    module = new_module(data, factory())
    before = {key: value.clone() for key, value in module.net.state_dict().items()}
    scores = seglight.evaluate(module, data, **QUIET)
    assert scores.images == 2
    assert all(torch.equal(value, before[key]) for key, value in module.net.state_dict().items())


def test_an_inferer_is_that_of_one_evaluation() -> None:
    data = shapes()
    module = new_module(data, factory())
    module.use_inferer(own := SlidingWindow(32))
    seglight.evaluate(module, data, inferer=SlidingWindow(64), **QUIET)
    assert module.inferer is own
    module.use_inferer(None)
    with pytest.raises(UserError):
        seglight.fit(module, data, inferer=SlidingWindow(64), precision="64-true", **QUIET)
    assert module.inferer is None
    with pytest.raises(UserError):
        seglight.evaluate(module, data, inferer=SlidingWindow(64), precision="64-true", **QUIET)
    assert module.inferer is None


def test_a_module_is_trained_after_it_was_evaluated(tmp_path: Path) -> None:
    data, trained = shapes(), []
    for name in ("fresh", "evaluated"):
        torch.manual_seed(0)
        module = new_module(data, factory())
        if name == "evaluated":
            generator = torch.get_rng_state()
            seglight.evaluate(module, data, **QUIET)
            torch.set_rng_state(generator)
        trained.append(seglight.fit(module, data, run_dir=tmp_path / name, max_epochs=1, **QUIET))
    fresh, evaluated = trained
    assert_same_weights(fresh.run_dir, evaluated.run_dir)
    assert_scores_are_those_of(evaluated.scores, fresh.run_dir / "scores.json")


def test_resume(tmp_path: Path, built: seglight.Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that was stopped goes on to the weights of one that was not."""
    folder = tmp_path / "run"

    data = shapes(seed=3)

    def again(resume: bool, run_dir: Path = folder) -> seglight.Run:
        seed_everything(3)
        return seglight.fit(new_module(data, factory()), data, run_dir=run_dir, resume=resume, max_epochs=2, **QUIET)

    seed_everything(3)
    module = new_module(data, factory())
    steps = []

    def stop(batch: Any, index: int) -> None:
        steps.append(index)
        if len(steps) == 2:
            signal.raise_signal(signal.SIGTERM)

    module.on_train_batch_start = stop  # type: ignore[method-assign]
    with pytest.raises(SystemExit) as stopped:
        seglight.fit(module, data, run_dir=folder, max_epochs=2, **QUIET)
    assert stopped.value.code == 75
    with pytest.raises(UserError, match="holds a run already"):
        again(False)
    run = again(True)
    assert_same_weights(run.run_dir, built.run_dir)
    # the same data module starts the next run at its first sample
    assert_same_weights(again(False, tmp_path / "next").run_dir, built.run_dir)
    capsys.readouterr()
    finished = seglight.fit(run_dir=folder, resume=True)
    assert finished.best == run.best
    assert finished.scores is not None
    assert torch.equal(finished.scores.confusion, run.scores.confusion)  # type: ignore[union-attr]


def test_dicts_paths_data_and_trainer_arguments_compose(recipe: Path, tmp_path: Path) -> None:
    data = ShapesDataModule(**{**SHAPES, "train_images": 2}, augmentation=Augmentation(32), seed=7)  # type: ignore[arg-type]
    run = seglight.fit(
        [recipe, {"model": {"optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 1e-05}}}}],
        data,
        run_dir=tmp_path / "run",
        max_epochs=1,
        callbacks=[partial(EMA, decay=0.5)],
        inferer=SlidingWindow(64),
        on_nonfinite="skip",
    )
    config = yaml.safe_load((run.run_dir / "config.yaml").read_text(encoding="utf-8"))
    assert config["seed_everything"] == 7
    assert config["trainer"]["max_epochs"] == 1
    assert config["trainer"]["callbacks"][0]["init_args"]["decay"] == 0.5
    assert config["model"]["optimizer"]["class_path"] == "torch.optim.Adam"
    assert float(config["model"]["optimizer"]["init_args"]["lr"]) == 1e-5
    assert config["model"]["net"]["class_path"] == "seglight.models.EncoderDecoder"
    assert config["data"]["init_args"]["train_images"] == 2
    assert config["inferer"]["class_path"] == "seglight.inference.SlidingWindow"
    assert config["on_nonfinite"] == "skip"
    assert last(run.run_dir)["global_step"] == 1


class NotDescribed(TinyNet):
    """Its argument is an object."""

    def __init__(self, num_classes: int, act: torch.nn.Module) -> None:
        super().__init__(num_classes)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (lambda count: TinyNet(count), "model.net: a lambda can't be described"),
        (partial(NotDescribed, act=torch.nn.ReLU()), "model.net.init_args.act: an object of .*ReLU can't be described"),
        (
            TinyNet(CLASSES),
            r"model.net: an object of .*TinyNet can't be described: give partial\(TinyNet, ...\), or",
        ),
    ],
    ids=["lambda", "argument", "object"],
)
def test_a_net_without_a_description_is_refused_before_the_first_step(net: Any, message: str, tmp_path: Path) -> None:
    data = shapes()
    module = new_module(data, net)
    trainer = Trainer(
        max_steps=1, logger=False, enable_progress_bar=False, accelerator="cpu", default_root_dir=tmp_path
    )
    with pytest.raises(UserError, match=message):
        trainer.fit(module, datamodule=data)
    assert trainer.global_step == 0
    with pytest.raises(UserError, match=message):
        seglight.fit(module, data, run_dir=tmp_path / "run", **QUIET)
    assert not (tmp_path / "run").exists()
    assert seglight.evaluate(new_module(data, TinyNet), data, **QUIET).images == 2


def test_mistakes_are_one_line(recipe: Path, tmp_path: Path) -> None:
    data = shapes()
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: seglight.fit(tmp_path / "none.yaml"), "none.yaml: No such file"),
        (lambda: seglight.fit(recipe, max_epoch=3), "max_epoch"),
        (
            lambda: seglight.fit(recipe, callbacks=[EMA(decay=0.5)]),
            r"trainer.callbacks.0: .* give partial\(EMA, ...\), or",
        ),
        (lambda: seglight.fit({**RECIPE, "model": {"net": {"class_path": "no.Net"}}}), "model.net"),
        (lambda: seglight.fit(new_module(data, factory())), "give it as the second argument"),
        (lambda: new_module(data, factory()(9)), "model.net: the net is for 9 classes, the data has 8"),
        (lambda: new_module(data, {"class_path": "seglight.models.NoNet"}), "model.net.*NoNet"),
        (lambda: seglight.fit(resume=True), "run_dir"),
        (lambda: seglight.fit(recipe, [1, 2]), r"data: list \(\[1, 2\]\): give a data module, or "),  # type: ignore[arg-type]
        (lambda: seglight.fit(recipe, {**DATA, "init_args": [1]}), r"data.init_args: list .*: give the arguments by "),
        (lambda: seglight.fit(5), r"recipe: int \(5\): give a path, "),  # type: ignore[arg-type]
        (lambda: seglight.evaluate(5), r"model: int \(5\): give a module, "),  # type: ignore[arg-type]
        (lambda: seglight.evaluate(tmp_path / "none.ckpt"), "none.ckpt: no such checkpoint"),
        (lambda: seglight.evaluate(tmp_path, split="train"), "give 'val' or 'test'"),  # type: ignore[arg-type]
    ]
    for call, message in cases:
        with pytest.raises(UserError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["null", "~"])
def test_a_folder_has_the_name_that_it_is_given(
    name: str, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = seglight.fit(recipe, run_dir=name, max_steps=1)
    assert run.run_dir == Path(name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_partial_gives_each_module_an_encoder_of_its_own() -> None:
    data, net = shapes(), factory()
    first, second = new_module(data, net), new_module(data, net)
    assert first.net.encoder is not second.net.encoder
    with torch.no_grad():
        for parameter in first.net.encoder.parameters():
            parameter.zero_()
    assert any(parameter.any() for parameter in second.net.encoder.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": torch.nn.CrossEntropyLoss}, "model.loss: it is called with ignore_index, and fails: "),
        ({"loss": torch.nn.CrossEntropyLoss()}, "model.loss: it is called with ignore_index, and fails: "),
        ({"loss": lambda ignore_index: None}, "model.loss: it is called with ignore_index, and returns no "),
        ({"net": partial(EncoderDecoder, encoder="resnet18", decoder=FPN)}, "model.net: it is called with "),
        ({"net": partial(factory(), chanels=3)}, "model.net: it is called with the number of classes, and fails: "),
    ],
)
def test_a_factory_that_takes_something_else_is_one_line(change: dict[str, Any], message: str) -> None:
    arguments = {"net": factory(), **shapes().facts, **change}
    with pytest.raises(UserError, match=f"^{message}"):
        SegmentationModule(**arguments)


def test_arguments_in_the_wrong_order() -> None:
    data = shapes()
    with pytest.raises(UserError, match="the first argument is a data module"):
        seglight.fit(data, new_module(data, factory()))  # type: ignore[arg-type]


def test_a_run_folder_in_place_of_a_checkpoint(built: seglight.Run) -> None:
    with pytest.raises(UserError, match=r"a run folder, not a checkpoint: give .*best\.ckpt"):
        seglight.load(built.run_dir)
