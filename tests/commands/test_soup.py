"""`soup`: means and batch norms against numpy, a greedy choice worked by hand, and the score against `validate`.

Covers: commands.recipe.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from jsonargparse import ArgumentParser

from seglight.checkpoints.checkpoint import load_net, read_checkpoint
from seglight.checkpoints.model_card import KEY
from seglight.commands.recipe import datamodule_from
from seglight.commands.soup import SoupAverager, soup
from seglight.data.datasets.camvid import CamVidDataModule
from seglight.interfaces import NetFactory
from tests.support import fabricate
from tests.support.checkpoint_files import card

ENCODER = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": None}}
DECODER = {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}}
NET = {"class_path": "seglight.models.EncoderDecoder", "init_args": {"encoder": ENCODER, "decoder": DECODER}}
CLASSES = CamVidDataModule.classes
BIASES = (2.5, 4.0, 0.0)
"""Value of all entries of the head's bias in the three checkpoints."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe, its data, and three checkpoints of one net."""
    root = fabricate.camvid(tmp_path / "CamVid", train=6, val=3)
    init_args = {"root": str(root), "batch_size": 2, "num_workers": 0, "augmentation": {"crop_size": 32}}
    data = {"class_path": "seglight.data.CamVidDataModule", "init_args": init_args}
    (tmp_path / "recipe.yaml").write_text(
        yaml.safe_dump({"model": {"net": NET}, "data": data, "trainer": {"accelerator": "cpu"}})
    )
    parser = ArgumentParser()
    parser.add_argument("--net", type=NetFactory)
    for seed, bias in enumerate(BIASES):
        torch.manual_seed(seed)
        net = parser.instantiate(parser.parse_object({"net": NET})).net(len(CLASSES))
        torch.nn.init.constant_(net.head.bias, bias)
        state = {f"net.{key}": value for key, value in net.state_dict().items()}
        about = card(CLASSES.names, CLASSES.palette, NET).to_dict()
        torch.save(
            {"seglight": about | {"temperature": 1.5 if seed == 0 else None}, "state_dict": state},
            tmp_path / f"{seed}.ckpt",
        )
    return tmp_path


def data_of(folder: Path) -> Any:
    parser = ArgumentParser(prog="seglight soup", exit_on_error=False)
    return datamodule_from(parser, ["-c", str(folder / "recipe.yaml")])[0]


def test_weights_are_means_and_batch_norms_have_the_statistics_of_training_images(
    folder: Path, seglight_cli: Callable[..., Any]
) -> None:
    out, paths = folder / "new" / "soup.ckpt", [folder / f"{k}.ckpt" for k in range(3)]
    ran = seglight_cli("soup", *paths, "-c", folder / "recipe.yaml", "--out", out)
    assert ran.rc == 0, ran.err
    assert ran.err.count("0.ckpt: its temperature 1.5 is dropped, as it belongs to these weights") == 1
    assert read_checkpoint(out)[KEY].temperature is None
    averaged = load_net(out)[0]
    states = [load_net(path)[0].state_dict() for path in paths]
    for key, value in averaged.named_parameters():
        expected = np.mean([state[key].numpy().astype(np.float64) for state in states], 0)
        np.testing.assert_allclose(value.detach(), expected, atol=1e-6, err_msg=key)
    stem, norm = averaged.encoder.net.conv1[:2]
    data = data_of(folder)
    data.setup("fit")
    mean, var = [], []
    for batch in data.train_dataloader():
        with torch.no_grad():
            x = stem((batch["image"] - averaged.encoder.mean) / averaged.encoder.std).numpy()
        mean.append(x.mean((0, 2, 3)))
        var.append(x.var((0, 2, 3), ddof=1))
    assert len(mean) == 3
    np.testing.assert_allclose(norm.running_mean, np.mean(mean, 0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(norm.running_var, np.mean(var, 0), rtol=1e-3)

    checked = seglight_cli(
        "validate", "-c", folder / "recipe.yaml", "--ckpt_path", out, "--run_dir", folder / "run",
        "--trainer.enable_progress_bar", "false",
    )  # fmt: skip
    assert checked.rc == 0, checked.err
    miou = json.loads((folder / "run" / "scores.json").read_text())["miou"]
    assert f"{miou:.4f}  {out}: the mean of 3 checkpoints" in ran.out


@pytest.mark.parametrize(("greedy", "bias"), [(True, 3.25), (False, 6.5 / 3)])
def test_greedy_adds_only_checkpoints_that_do_not_decrease_the_score(
    greedy: bool, bias: float, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a score of -|bias - 3| the order is 2.5, 4, 0; the mean of 2.5 and 4 is better, and adding 0 is worse."""
    monkeypatch.setattr(SoupAverager, "score", lambda self, state: -abs(float(state["head.bias"][0]) - 3))
    paths = [str(folder / f"{k}.ckpt") for k in (2, 0, 1)]
    score = soup(paths, data_of(folder), str(folder / "soup.ckpt"), greedy)
    assert score == pytest.approx(-abs(bias - 3), abs=1e-6)
    assert load_net(folder / "soup.ckpt")[0].head.bias[0].item() == pytest.approx(bias, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda card: card["class_names"].reverse(),
            "1.ckpt: the checkpoint and the data have the classes in another order",
        ),
        (
            lambda card: card["net"]["init_args"].update(aux_index=-2),
            "1.ckpt: the net differs from that of the first checkpoint",
        ),
    ],
    ids=["classes", "net"],
)
def test_checkpoints_that_do_not_match_are_refused(
    change: Callable[[Any], None], message: str, folder: Path, seglight_cli: Callable[..., Any]
) -> None:
    checkpoint = torch.load(folder / "1.ckpt", weights_only=True)
    change(checkpoint["seglight"])
    torch.save(checkpoint, folder / "1.ckpt")
    paths = (folder / "0.ckpt", folder / "1.ckpt")
    ran = seglight_cli("soup", *paths, "-c", folder / "recipe.yaml", "--out", folder / "soup.ckpt")
    assert ran.rc == 2
    assert message in ran.err
    assert not (folder / "soup.ckpt").exists()
