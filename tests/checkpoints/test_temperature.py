"""A temperature is kept beside the weights that it was found for, changes no label, and is dropped with a line.

Expected probabilities are plain torch's: the softmax of the logits divided by the temperature.
"""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import seglight
from seglight.checkpoints.checkpoint import load_net, read_checkpoint
from seglight.checkpoints.model_card import KEY
from seglight.checkpoints.release import read_release
from seglight.checkpoints.temperature import keep_temperature
from seglight.checkpoints.warm_start import load_fitting_weights
from seglight.errors import UserError
from seglight.inference import SlidingWindow, TestTimeAugmentation
from seglight.interfaces import seg_output
from seglight.models import EncoderDecoder, Ensemble, TimmEncoder
from seglight.models.decoders import FPN
from tests.support.bad_input import CLI
from tests.support.checkpoint_files import checkpoint, net_config, write

SIZE = (45, 61)
T = 1.75


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A checkpoint with all that resuming a training takes, as Lightning lays it out."""
    path = checkpoint(tmp_path / "a.ckpt")
    content = torch.load(path, weights_only=True)
    scores = {"scores": {"miou": 0.5}, "data": None}
    torch.save(
        {**content, "global_step": 7, "scores": scores, "optimizer_states": [{"state": {}}], "callbacks": {"EMA": 1}},
        path,
    )
    return path


@pytest.fixture
def calibrated(trained: Path, tmp_path: Path) -> Path:
    keep_temperature(trained, T, tmp_path / "calibrated.ckpt")
    return tmp_path / "calibrated.ckpt"


def logits_of(path: Path, pixels: NDArray[np.uint8]) -> Tensor:
    """(C, H, W) of an image that is padded by its edges, upsampled."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % 32), (0, -width % 32), (0, 0)), mode="edge")
    with torch.no_grad():
        logits = seg_output(load_net(path)[0](torch.from_numpy(padded).permute(2, 0, 1)[None])).logits
    return F.interpolate(logits, padded.shape[:2], mode="bilinear")[0, :, :height, :width]


def test_the_copy_has_the_weights_the_scores_and_no_optimizer(trained: Path, tmp_path: Path) -> None:
    before = trained.read_bytes()
    keep_temperature(trained, T, tmp_path / "new" / "calibrated.ckpt")
    assert trained.read_bytes() == before
    theirs, ours = (torch.load(path, weights_only=True) for path in (trained, tmp_path / "new" / "calibrated.ckpt"))
    assert ours.keys() == {KEY, "state_dict", "epoch", "global_step", "scores"}
    assert ours["scores"] == theirs["scores"]
    assert ours["state_dict"].keys() == theirs["state_dict"].keys()
    assert all(torch.equal(ours["state_dict"][key], value) for key, value in theirs["state_dict"].items())
    old, new = read_checkpoint(trained)[KEY], read_checkpoint(tmp_path / "new" / "calibrated.ckpt")[KEY]
    assert (old.temperature, new.temperature) == (None, T)
    assert replace(new, temperature=None) == old
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["calibrated.ckpt"]


def test_probabilities_are_divided_and_labels_are_the_same(
    trained: Path, calibrated: Path, pixels: NDArray[np.uint8]
) -> None:
    plain, net = seglight.load(trained, device="cpu"), seglight.load(calibrated, device="cpu")
    logits = logits_of(trained, pixels)
    np.testing.assert_allclose(plain.probabilities(pixels), logits.softmax(0), atol=1e-6)
    np.testing.assert_allclose(net.probabilities(pixels), (logits / T).softmax(0), atol=1e-6)
    np.testing.assert_array_equal(net.predict(pixels), plain.predict(pixels))
    np.testing.assert_array_equal(net.predict_batch([pixels] * 2), plain.predict_batch([pixels] * 2))


@pytest.mark.parametrize("inferer", [SlidingWindow(32, 0.5), TestTimeAugmentation(scales=(1.0, 1.5))], ids=str)
def test_labels_of_every_inferer_are_the_same(
    inferer: Any, trained: Path, calibrated: Path, pixels: NDArray[np.uint8]
) -> None:
    plain, net = (seglight.load(path, device="cpu", inferer=inferer) for path in (trained, calibrated))
    np.testing.assert_array_equal(net.predict(pixels), plain.predict(pixels))
    shares = plain.probabilities(pixels).astype(np.float64) ** (1 / T)
    np.testing.assert_allclose(net.probabilities(pixels), shares / shares.sum(0), atol=1e-5)


def test_another_temperature_replaces_it(calibrated: Path, tmp_path: Path) -> None:
    keep_temperature(calibrated, 2, tmp_path / "again.ckpt")
    found = read_checkpoint(tmp_path / "again.ckpt")[KEY].temperature
    assert (found, type(found)) == (2.0, float)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, 1e-4, 1e4, True, "2", None])
def test_what_is_no_temperature(value: Any, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"a.ckpt: a temperature of {value} can't be kept: it has to be a finite"):
        keep_temperature(trained, value, tmp_path / "calibrated.ckpt")
    assert not (tmp_path / "calibrated.ckpt").exists()
    path = checkpoint(tmp_path / "wrong.ckpt", temperature=value)
    if value is not None:
        with pytest.raises(UserError, match=r"wrong.ckpt: not a checkpoint .*`temperature` of its model card"):
            seglight.load(path)


def test_nothing_is_overwritten(trained: Path, calibrated: Path, tmp_path: Path) -> None:
    before = calibrated.read_bytes()
    (tmp_path / "dangling.ckpt").symlink_to(tmp_path / "nowhere")
    for out in (calibrated, trained, tmp_path / "dangling.ckpt"):
        with pytest.raises(UserError, match="it exists already: name another path, or remove this one"):
            keep_temperature(trained, 3.0, out)
    assert calibrated.read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


@pytest.fixture
def released(trained: Path, tmp_path: Path, seglight_cli: CLI) -> Path:
    assert seglight_cli("release", trained, "--out", tmp_path / "net").rc == 0
    return tmp_path / "net"


def test_a_release_is_written_again_with_checksums_of_its_own(
    released: Path, tmp_path: Path, pixels: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    (released / "README.md").write_text((released / "README.md").read_text() + "\nLicence: CC0.\n")
    (released / "LICENSE").write_text("CC0")
    before = {path.name: path.read_bytes() for path in released.iterdir()}
    keep_temperature(released, T, tmp_path / "calibrated")
    assert {path.name: path.read_bytes() for path in released.iterdir()} == before
    assert "without 1 further files of" in capsys.readouterr().err
    read = json.loads((tmp_path / "calibrated" / "release.json").read_text())
    assert read["temperature"] == T
    weights = tmp_path / "calibrated" / "model.safetensors"
    assert read["sha256_of_weights"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert weights.read_bytes() == before["model.safetensors"]
    checksum = read.pop("sha256")
    text = json.dumps(read, sort_keys=True, separators=(",", ":"))
    assert checksum == hashlib.sha256(text.encode()).hexdigest()
    plain, net = (seglight.load(path, device="cpu") for path in (released, tmp_path / "calibrated"))
    np.testing.assert_array_equal(net.predict(pixels), plain.predict(pixels))
    expected = (logits_of(released, pixels) / T).softmax(0)
    np.testing.assert_allclose(net.probabilities(pixels), expected, atol=1e-6)


def test_its_readme_keeps_what_people_wrote_and_names_one_temperature(released: Path, tmp_path: Path) -> None:
    (released / "README.md").write_text((released / "README.md").read_text() + "\nLicence: CC0.\n")
    keep_temperature(released, T, tmp_path / "once")
    keep_temperature(tmp_path / "once", 3.0, tmp_path / "twice")
    once, twice = ((tmp_path / name / "README.md").read_text() for name in ("once", "twice"))
    assert "Probabilities are softmax(logits / 1.75)" in once
    assert "softmax(logits / 3)" in twice
    assert [text.count("## Calibration") for text in (once, twice)] == [1, 1]
    assert once.count("Licence: CC0.") == twice.count("Licence: CC0.") == 1


def test_a_readme_that_is_a_link_is_not_copied(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder of an unknown source it could lead to any file."""
    (tmp_path / "secret").write_text("a key")
    (released / "README.md").unlink()
    (released / "README.md").symlink_to(tmp_path / "secret")
    keep_temperature(released, T, tmp_path / "calibrated")
    assert "README.md: not copied: it is missing, a link, or too long" in capsys.readouterr().err
    assert "a key" not in (tmp_path / "calibrated" / "README.md").read_text()


def test_a_damaged_release_is_not_passed_on(released: Path, tmp_path: Path) -> None:
    content = bytearray((released / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (released / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="its checksum does not match"):
        keep_temperature(released, T, tmp_path / "calibrated")
    assert not (tmp_path / "calibrated").exists()


def test_released_it_keeps_its_temperature(calibrated: Path, tmp_path: Path, seglight_cli: CLI) -> None:
    assert seglight_cli("release", calibrated, "--out", tmp_path / "net").rc == 0
    assert read_release(tmp_path / "net")[0].temperature == T
    assert "Probabilities are softmax(logits / 1.75)" in (tmp_path / "net" / "README.md").read_text()


def test_predict_saves_probabilities_at_the_temperature(
    trained: Path, calibrated: Path, pixels: NDArray[np.uint8], tmp_path: Path, seglight_cli: CLI
) -> None:
    Image.fromarray(pixels).save(tmp_path / "x.png")
    for model, out in ((trained, "plain"), (calibrated, "tempered")):
        ran = seglight_cli("predict", model, tmp_path / "x.png", "--out", tmp_path / out, "--save", "probabilities")
        assert ran.rc == 0, ran.err
        assert ("softmax(logits / 1.75), the temperature of the model card" in ran.err) == (out == "tempered")
    labels = [np.asarray(Image.open(tmp_path / out / "x.png")) for out in ("plain", "tempered")]
    np.testing.assert_array_equal(*labels)
    found = np.load(tmp_path / "tempered" / "probabilities" / "x.npz")["probabilities"]
    np.testing.assert_allclose(found, (logits_of(trained, pixels) / T).softmax(0), atol=1e-3)


def net(seed: int) -> EncoderDecoder:
    torch.manual_seed(seed)
    return EncoderDecoder(3, TimmEncoder("test_resnet", weights=None), lambda *fine: FPN(*fine, channels=32), -2)


def test_a_checkpoint_of_an_ensemble_is_one_net(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    both = Ensemble(3, [lambda _: net(0), lambda _: net(1)])
    config = {"class_path": "seglight.models.Ensemble", "init_args": {"members": [net_config()] * 2}}
    state = {f"net.{key}": value for key, value in both.state_dict().items()}
    path = write(tmp_path / "both.ckpt", config, state)
    keep_temperature(path, T, tmp_path / "calibrated.ckpt")
    plain, found = (seglight.load(model, device="cpu") for model in (path, tmp_path / "calibrated.ckpt"))
    np.testing.assert_array_equal(found.predict(pixels), plain.predict(pixels))
    expected = (logits_of(path, pixels) / T).softmax(0)
    np.testing.assert_allclose(found.probabilities(pixels), expected, atol=1e-6)


def test_members_of_an_ensemble_lose_theirs_with_a_line(
    trained: Path, calibrated: Path, pixels: NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = checkpoint(tmp_path / "b.ckpt", seed=1)
    expected = seglight.load([trained, other], device="cpu")
    assert "dropped" not in capsys.readouterr().err
    found = seglight.load([calibrated, other], device="cpu")
    line = f"seglight: {calibrated}: its temperature 1.75 is dropped, as the mean of several nets is calibrated by"
    assert capsys.readouterr().err.count(line) == 1
    assert found.card.temperature is None
    np.testing.assert_array_equal(found.predict(pixels), expected.predict(pixels))
    np.testing.assert_array_equal(found.probabilities(pixels), expected.probabilities(pixels))
    Ensemble(3, [str(calibrated), str(other)])
    assert "calibrated.ckpt: its temperature 1.75 is dropped, as a net of several nets" in capsys.readouterr().err


def test_a_warm_start_drops_it_with_a_line(trained: Path, calibrated: Path) -> None:
    fresh = net(3)
    assert "temperature" not in load_fitting_weights(fresh, trained).line()
    line = load_fitting_weights(fresh, calibrated).line()
    assert line.endswith("; its temperature 1.75 is dropped, as training changes the weights")


def test_files_of_earlier_versions_have_none(tmp_path: Path) -> None:
    """`write` lays out the card of seglight 0.1; tests/compatibility holds whole files, and their labels."""
    card = read_checkpoint(checkpoint(tmp_path / "a.ckpt"))[KEY]
    assert (card.temperature, card.provenance.version) == (None, "0.0.0")
    keep_temperature(tmp_path / "a.ckpt", T, tmp_path / "b.ckpt")
    assert read_checkpoint(tmp_path / "b.ckpt")[KEY].temperature == T
