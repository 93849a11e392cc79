"""The model card is one and the same in a checkpoint, a released folder and an exported file, of any version."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import seglight
from seglight.checkpoints.checkpoint import load_net, read_checkpoint, weights_checksum
from seglight.checkpoints.model_card import CARD_VERSION, KEY, ModelCard, Normalisation, Provenance
from seglight.commands.export.writing import export
from seglight.commands.release.command import release
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.inference.torch_predictor import load_torch
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from tests.support.checkpoint_files import NAMES, net_config, write

FULL = ModelCard(
    net={"class_path": "a.Net", "init_args": {"width": 3}},
    class_names=("sky", "road"),
    palette=((0, 0, 255), (128, 64, 128)),
    ignore_index=255,
    channels_last=True,
    bands=4,
    normalisation=(Normalisation((0.1, 0.2, 0.3, 0.4), (1.0, 1.0, 1.0, 0.5)),),
    temperature=1.5,
    provenance=Provenance(step=7, loss="a.Loss", checksum="ab", scores={"miou": None}, data={"images": 2}),
)


@pytest.fixture
def state() -> dict[str, Tensor]:
    net = EncoderDecoder(
        3, TimmEncoder("test_resnet", weights=None), lambda channels, strides: FPN(channels, strides, channels=32), -2
    )
    return {f"net.{key}": value for key, value in net.state_dict().items()}


def test_it_survives_weights_only_loading_and_json(tmp_path: Path) -> None:
    torch.save(FULL.to_dict(), tmp_path / "card")
    assert ModelCard.from_dict(torch.load(tmp_path / "card", weights_only=True), "f") == FULL
    assert ModelCard.from_dict(json.loads(json.dumps(FULL.to_dict())), "f") == FULL


def test_keys_that_files_of_seglight_0_1_have_are_kept() -> None:
    """Others read them: release.json is public."""
    keys = "version net num_classes ignore_index class_names palette channels_last step parameters normalisation scores"
    assert set(keys.split()) | {"data", "checksum"} <= FULL.to_dict().keys()
    assert FULL.to_dict()["num_classes"] == 2
    assert FULL.to_dict()["normalisation"] == [{"mean": [0.1, 0.2, 0.3, 0.4], "std": [1.0, 1.0, 1.0, 0.5]}]


def test_a_card_of_seglight_0_1_has_no_bands_and_the_net_tells_them(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = write(tmp_path / "a.ckpt", net_config(), state)
    card = read_checkpoint(path)[KEY]
    assert (card.bands, card.normalisation, card.task) == (None, None, "semantic")
    assert (card.provenance.version, card.class_names) == ("0.0.0", tuple(NAMES))
    _, completed = load_net(path)
    assert completed.bands == 3
    # ImageNet's, as timm has them for this net
    assert completed.normalisation == (Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),)


def test_an_exported_file_of_seglight_0_1_has_no_net() -> None:
    about = {"class_names": ["a"], "palette": [[0, 0, 0]], "ignore_index": 255, "version": "0.1.0", "checksum": "ab"}
    card = ModelCard.from_dict({**about, "precision": "float32", "size": None}, "net.onnx")
    assert (card.net, card.provenance.checksum, card.provenance.version) == ({}, "ab", "0.1.0")


def test_a_later_version_is_refused_in_one_line() -> None:
    content = {**FULL.to_dict(), "card_version": CARD_VERSION + 1}
    with pytest.raises(UserError, match=r"a.ckpt: its model card is of version 5, .* up to 4: update seglight"):
        ModelCard.from_dict(content, "a.ckpt")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("card_version", "2"),
        ("card_version", 2.0),
        ("card_version", None),
        ("card_version", True),
        ("card_version", 0),
        ("net", None),
        ("class_names", []),
        ("class_names", "sky"),
        ("palette", [[0, 0, 256], [0, 0, 0]]),
        ("ignore_index", "255"),
        ("channels_last", 1),
        ("task", "depth"),
        ("bands", 0),
        ("normalisation", [{"mean": [0.5]}]),
        ("temperature", 0.0),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", "1.5"),
        ("temperature", True),
        ("step", "7"),
        ("scores", [1]),
    ],
)
def test_a_field_that_is_not_valid_is_named(key: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"a.ckpt: not a checkpoint of `seglight fit`: `{key}` of its model card"):
        ModelCard.from_dict({**FULL.to_dict(), key: value}, "a.ckpt")


def test_counts_that_differ() -> None:
    for change in ({"num_classes": 3}, {"palette": [[0, 0, 0]]}):
        with pytest.raises(UserError, match="the numbers of classes, names and colours of its model card differ"):
            ModelCard.from_dict({**FULL.to_dict(), **change}, "a.ckpt")


def test_one_card_in_three_kinds_of_files(state: dict[str, Tensor], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = write(tmp_path / "a.ckpt", net_config(), state)
    release(str(path), str(tmp_path / "net"))
    assert export(load_torch([tmp_path / "net"], "cpu"), tmp_path / "net.onnx", size=(32, 32))
    _, ours = load_net(path)
    released = load_net(tmp_path / "net")[1]
    exported = seglight.load(tmp_path / "net.onnx").card
    weights = {key.removeprefix("net."): value for key, value in state.items() if key.startswith("net.")}
    assert released.provenance.checksum == exported.provenance.checksum == weights_checksum(weights)
    assert released.provenance.version == seglight.__version__
    assert replace(released, provenance=ours.provenance) == ours
    assert exported == released


def test_an_ensemble_describes_its_members(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = write(tmp_path / "a.ckpt", net_config(), state)
    card = load_torch([path, path], "cpu").card
    assert card.net == {"class_path": "seglight.models.Ensemble", "init_args": {"members": [net_config()] * 2}}
    assert len(card.normalisation or ()) == 2


def test_it_imports_no_torch() -> None:
    code = "import sys, seglight.checkpoints.model_card; assert not {'torch', 'timm', 'lightning'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_cards_of_declared_bands_are_of_version_4_and_those_of_8_bit_rgb_as_before(tmp_path: Path) -> None:
    bands = Bands(("red", "nir"), "float32", (1, 2), (3, 4), nodata=float("nan"), ratios={"ndvi": ("nir", "red")})
    card = replace(FULL, image=bands)
    content = json.loads(json.dumps(card.to_dict(), allow_nan=False))
    assert content["card_version"] == 4
    assert content["image"]["nodata"] == "nan"
    assert ModelCard.from_dict(content, "a file") == card
    assert card.pixels == bands
    assert (FULL.to_dict()["card_version"], "image" in FULL.to_dict()) == (3, False)
    assert replace(FULL, bands=3).pixels is RGB
    assert replace(FULL, bands=None).pixels is RGB
    assert len(replace(FULL, bands=5).pixels.names) == 5
    with pytest.raises(UserError, match=r"^a file: not a checkpoint.*: `image` of its model card is missing or not"):
        ModelCard.from_dict({**content, "image": {"names": ["a"], "type": "uint64"}}, "a file")
