"""Nets whose weights or logits are not finite: told in one line by whatever loads, runs, scores or passes them on.

Covers: checkpoints.release, models.misfit, models.weights.state, ops.finite.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from lightning.pytorch import Callback
from PIL import Image
from torch import Tensor, nn

import seglight
from seglight.callbacks import NonFinite
from seglight.checkpoints.checkpoint import load_net, net_weights, read_checkpoint
from seglight.checkpoints.model_card import KEY
from seglight.checkpoints.release import write_release
from seglight.commands.export.writing import export
from seglight.errors import UserError
from seglight.inference import SlidingWindow, TestTimeAugmentation, WholeImage
from seglight.inference.torch_predictor import TorchPredictor
from seglight.interfaces import Inferer
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from seglight.models.ensemble import Ensemble
from seglight.models.weights.state import fill
from seglight.ops.finite import nonfinite
from tests.support import fabricate
from tests.support.checkpoint_files import card
from tests.support.tiny import TinyNet
from tests.support.training import fit, new_module, samples

NAMES, COLORS = ["ground", "cat", "dog"], list(fabricate.COLORS[:3])
ENCODER = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": "random"}}
DECODER = {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}}
NET = {"class_path": "seglight.models.EncoderDecoder", "init_args": {"encoder": ENCODER, "decoder": DECODER}}
TINY = {"class_path": "tests.support.tiny.TinyNet", "init_args": {"norm": False}}
SAID = "1 of {count} tensors of weights contain NaN or infinity, such as {name}: a training that diverged leaves such"


def save(path: Path, net: nn.Module, config: dict[str, Any]) -> Path:
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state, KEY: card(NAMES, COLORS, config).to_dict(), "global_step": 1}, path)
    return path


def small() -> nn.Module:
    torch.manual_seed(0)
    return EncoderDecoder(3, TimmEncoder("test_resnet", weights="random"), lambda c, s: FPN(c, s, 8, 8))


def overflowing() -> TinyNet:
    """Logits are finite on a black image and infinite on a white one; all of its weights are finite."""
    net = TinyNet(3, norm=False).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.body.weight.fill_(1.0)
        net.head.weight[1] = 1e38
    return net


def images(folder: Path) -> Path:
    """A black image, a white one, and another black one."""
    folder.mkdir()
    for name, grey in (("a", 0), ("b", 255), ("c", 0)):
        Image.fromarray(np.full((40, 48, 3), grey, np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(params=[torch.nan, torch.inf])
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A checkpoint one weight of whose head is broken."""
    net = small()
    with torch.no_grad():
        net.head.weight[1, 2] = request.param
    return save(tmp_path / "broken.ckpt", net, NET)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    root = fabricate.folder(tmp_path / "folder")
    data = {"root": str(root), "batch_size": 2, "num_workers": 0, "augmentation": {"crop_size": 32}}
    content = {
        "trainer": {"accelerator": "cpu", "max_epochs": 1, "num_sanity_val_steps": 0, "enable_progress_bar": False},
        "model": {"net": NET},
        "data": {"class_path": "seglight.data.FolderDataModule", "init_args": data},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_every_command_refuses_weights_that_are_not_finite(
    broken: Path, recipe: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    good = save(tmp_path / "good.ckpt", small(), NET)
    photo = tmp_path / "folder" / "images" / "val" / "000.png"
    out = tmp_path / "out"
    runs = ("-c", recipe, "--run_dir", out)
    distillation = {"class_path": "seglight.losses.Distillation", "init_args": {"teacher": str(broken)}}
    ensemble = {"class_path": "seglight.models.Ensemble", "init_args": {"members": [str(good), str(broken)]}}
    commands = [
        ("predict", broken, photo, "--out", out),
        ("predict", f"{good},{broken}", photo, "--out", out),
        ("validate", *runs, "--ckpt_path", broken),
        ("test", *runs, "--ckpt_path", broken),
        ("export", broken, "--format", "onnx", "--out", tmp_path / "net.onnx"),
        ("release", broken, "--out", out),
        ("soup", good, broken, "-c", recipe, "--out", tmp_path / "soup.ckpt"),
        ("fit", *runs, "--model.weights", broken),
        ("fit", *runs, "--model.loss", json.dumps(distillation)),
        ("fit", *runs, "--model.net", json.dumps(ensemble)),
    ]
    count = len(small().state_dict())
    for command in commands:
        ran = seglight_cli(*command)
        assert ran.rc == 2, (command, ran.err)
        assert str(broken) in ran.err, (command, ran.err)
        assert SAID.format(count=count, name="head.weight") in " ".join(ran.err.split()), (command, ran.err)
        assert "Traceback" not in ran.err
    assert not list(tmp_path.rglob("*.onnx")) + list(out.rglob("*.ckpt")) + list(out.rglob("*.png"))


def test_a_run_does_not_resume_from_such_weights(
    recipe: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    run = ("-c", recipe, "--run_dir", tmp_path / "run", "--trainer.max_epochs", 2)
    assert seglight_cli("fit", *run, "--trainer.max_epochs", 1).rc == 0
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    content["state_dict"]["net.head.bias"][0] = torch.nan
    torch.save(content, last)
    ran = seglight_cli("fit", *run, "--resume", "force")
    assert ran.rc == 2
    assert "tensors of weights contain NaN or infinity, such as head.bias" in ran.err


def test_a_released_folder_and_an_ensemble_in_python(broken: Path, tmp_path: Path) -> None:
    content = read_checkpoint(broken)
    write_release(tmp_path / "net", content[KEY], net_weights(content), "")
    for model in (broken, tmp_path / "net", [broken, broken]):
        with pytest.raises(UserError, match=r"contain NaN or infinity, such as head\.weight"):
            seglight.load(model)
    with pytest.raises(UserError, match="contain NaN or infinity"):
        Ensemble(3, [str(broken)])


def test_files_of_weights(tmp_path: Path) -> None:
    state = TimmEncoder("test_resnet", weights="random").net.state_dict()
    state["conv1.0.weight"][0, 0, 0, 0] = torch.nan
    safetensors.torch.save_file(state, tmp_path / "encoder.safetensors")
    with pytest.raises(UserError, match=r"encoder\.safetensors.*contain NaN or infinity, such as conv1\.0\.weight"):
        TimmEncoder("test_resnet", weights=str(tmp_path / "encoder.safetensors"))
    net = small()
    theirs = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    theirs["encoder.net.conv1.1.running_mean"][3] = torch.inf
    with pytest.raises(UserError, match=r"theirs\.pth: 1 of .* such as encoder\.net\.conv1\.1\.running_mean"):
        fill(net, theirs, "theirs.pth")


def test_large_values_are_finite() -> None:
    """Sums overflow, no value does: variances of batch norms may be as large as this."""
    for dtype, large in ((torch.float32, 3e38), (torch.float16, 6e4), (torch.bfloat16, 3e38), (torch.float64, 1e308)):
        tensor = torch.full((8,), large, dtype=dtype)
        assert nonfinite({"large": tensor, "count": torch.tensor(3), "small": torch.tensor(0.0)}) == []
        for wrong in (torch.nan, torch.inf, -torch.inf):
            changed = tensor.clone()
            changed[3] = wrong
            assert nonfinite({"large": tensor, "wrong": changed}) == ["wrong"]
    assert nonfinite({"eight bits": torch.tensor([1.0, torch.nan]).to(torch.float8_e5m2)}) == ["eight bits"]


class Masked(TinyNet):
    """Has a constant of -inf, as attention has."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))


def test_constants_of_a_net_may_be_infinite(tmp_path: Path) -> None:
    path = save(tmp_path / "masked.ckpt", Masked(3), {"class_path": f"{__name__}.Masked"})
    load_net(path, ["tests"])
    callbacks = (NonFinite(), Corrupt("norm.num_batches_tracked", 0))
    fit(samples(), *callbacks, module=new_module(Masked), enable_checkpointing=True, default_root_dir=tmp_path / "run")
    assert list((tmp_path / "run").rglob("*.ckpt"))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return save(tmp_path / "tiny.ckpt", overflowing(), TINY)


@pytest.mark.parametrize("batch", [1, 3])
def test_predict_writes_the_other_images_and_lists_the_one_that_overflows(
    tiny: Path, batch: int, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    folder, out = images(tmp_path / "images"), tmp_path / "out"
    ran = seglight_cli("predict", tiny, folder, "--out", out, "--trust", "tests", "--batch", batch)
    assert ran.rc == 1
    (line,) = [line for line in ran.err.splitlines() if "failed" in line]
    assert f"{folder / 'b.png'}: " in line
    assert "of the net's 768 logits are NaN or infinite, so there is no label map" in line
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "c.png"]


@pytest.mark.parametrize(
    "inferer", [WholeImage(), SlidingWindow(32), TestTimeAugmentation(), TestTimeAugmentation(SlidingWindow(32))]
)
def test_every_way_to_see_an_image(tiny: Path, inferer: Inferer) -> None:
    net = seglight.load(tiny, inferer=inferer, trust=["tests"])
    black, white = (np.full((48, 64, 3), grey, np.uint8) for grey in (0, 255))
    assert net.predict(black).shape == (48, 64)
    assert net.probabilities(black).shape == (3, 48, 64)
    for call in (net.predict, net.probabilities):
        with pytest.raises(UserError, match="logits are NaN or infinite"):
            call(white)


@pytest.mark.parametrize("command", ["validate", "test"])
@pytest.mark.parametrize("inferer", [(), ("--inferer", "seglight.inference.SlidingWindow")])
def test_scores_are_not_made_of_such_logits(
    tiny: Path, command: str, inferer: tuple[str, ...], recipe: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    ran = seglight_cli(
        command, "-c", recipe, "--model.net", json.dumps(TINY), "--ckpt_path", tiny, "--run_dir", tmp_path / "run",
        *inferer,
    )  # fmt: skip
    assert ran.rc == 2, ran.err
    assert "logits" in ran.err
    assert "NaN or infinite" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "run" / "scores.json").exists()


def predictor(net: nn.Module, classes: int = 3) -> TorchPredictor:
    return TorchPredictor(net, card([f"c{k}" for k in range(classes)], net=TINY), "a net", "cpu")


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2"])
def test_exported_files_say_so_when_they_predict(suffix: str, tmp_path: Path) -> None:
    path, folder = tmp_path / f"net{suffix}", images(tmp_path / "images")
    assert export(predictor(overflowing()), path, probabilities=True)
    net = seglight.load(path, trust=["torch.export"])
    assert not net.predict(folder / "a.png").any()
    for call in (net.predict, net.probabilities):
        with pytest.raises(UserError, match=rf"net{suffix}: its logits are NaN or infinite"):
            call(folder / "b.png")


def test_exported_files_of_more_classes_than_a_byte_holds(tmp_path: Path) -> None:
    net = TinyNet(300, norm=False)
    net.load_state_dict({**net.state_dict(), **{f"body.{k}": v for k, v in overflowing().body.state_dict().items()}})
    with torch.no_grad():
        net.head.weight[290] = 1e38
        net.head.bias[280] = 9
    assert export(predictor(net, 300), tmp_path / "net.onnx")
    exported = seglight.load(tmp_path / "net.onnx")
    assert (exported.predict(np.zeros((32, 32, 3), np.uint8)) == 280).all()
    with pytest.raises(UserError, match="logits are NaN or infinite"):
        exported.predict(np.full((32, 32, 3), 255, np.uint8))


@pytest.mark.parametrize("option", ["calibrate", "check"])
def test_exports_are_not_measured_by_such_logits(option: str, tmp_path: Path) -> None:
    folder = images(tmp_path / "images")
    with pytest.raises(UserError, match="logits are NaN or infinite"):
        export(predictor(overflowing()), tmp_path / "net.onnx", **{option: folder})
    assert not (tmp_path / "net.onnx").exists()


class Corrupt(Callback):
    """Sets a tensor of the net after the last step: loss and gradients are finite."""

    def __init__(self, name: str, value: float) -> None:
        self.name, self.value = name, value

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        tensor: Tensor = pl_module.net.state_dict()[self.name]
        tensor.fill_(self.value)

    on_validation_epoch_start = on_train_epoch_end


@pytest.mark.parametrize("name", ["norm.running_mean", "norm.running_var", "head.weight"])
def test_a_training_that_is_lost_after_a_finite_step_ends_at_its_validation(name: str) -> None:
    with pytest.raises(UserError, match=r"^step 4, val: the net's logits on 2 images are NaN or infinite: a training"):
        fit(samples(), NonFinite(), Corrupt(name, torch.nan), limit_val_batches=2)


@pytest.mark.parametrize("mode", ["stop", "skip"])
def test_no_checkpoint_is_saved_of_it(mode: Any, tmp_path: Path) -> None:
    callbacks = (NonFinite(mode), Corrupt("norm.running_var", torch.inf))
    with pytest.raises(UserError, match=r"step 4, no checkpoint is saved: 1 of \d+ tensors .* norm\.running_var"):
        fit(samples(), *callbacks, enable_checkpointing=True, default_root_dir=tmp_path)
    assert not list(tmp_path.rglob("*.ckpt"))
