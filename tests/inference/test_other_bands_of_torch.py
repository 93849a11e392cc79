"""Checkpoints for images of any bands: against the net itself, its logits upsampled by torch and compared by numpy.

Covers: inference.torch_predictor.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from seglight.checkpoints.model_card import KEY, ModelCard
from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.inference import SlidingWindow, TestTimeAugmentation, WholeImage
from seglight.inference.batches import ignored, images_of
from seglight.inference.load import load
from seglight.inference.plan import pixel_bytes
from seglight.inference.predictor import ArrayWindows
from seglight.interfaces import Encoder, seg_output
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.bands import use_bands
from seglight.models.decoders import FPN
from tests.support.band_models import AERIAL, IGNORED, aerial
from tests.support.checkpoint_files import net_config

IMAGE = aerial(0, (64, 96))
EMPTY = (IMAGE == 0).all(axis=2)
COLORS = ((0, 0, 255), (128, 64, 128), (0, 128, 0))


def net_for(bands: Bands, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    net = EncoderDecoder(3, TimmEncoder("test_resnet", weights=None), lambda *fine: FPN(*fine, channels=32), -2)
    use_bands(net, bands)
    for part in net.modules():
        if isinstance(part, nn.Conv2d) and part.bias is not None:
            nn.init.normal_(part.bias)
    return net.eval()


def checkpoint(path: Path, bands: Bands, seed: int = 0) -> Path:
    card = ModelCard(net_config(), ("sky", "road", "tree"), COLORS, IGNORED, bands=len(bands.names), image=bands)
    state = {f"net.{key}": value for key, value in net_for(bands, seed).state_dict().items()}
    torch.save({KEY: card.to_dict(), "state_dict": state, "epoch": 1}, path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("model") / "net.ckpt", AERIAL)


def softmax_by_hand(net: nn.Module, image: NDArray[Any]) -> NDArray[np.float32]:
    with torch.no_grad():
        logits = seg_output(net(torch.from_numpy(image).permute(2, 0, 1)[None])).logits
    full = F.interpolate(logits, image.shape[:2], mode="bilinear", align_corners=False)
    found: NDArray[np.float32] = full.softmax(1)[0].numpy()
    return found


@pytest.mark.parametrize("inferer", [WholeImage(), SlidingWindow(64)], ids=["whole", "windows"])
def test_labels_and_probabilities(inferer: Any, model: Path) -> None:
    net = load(model, device="cpu", inferer=inferer)
    by_hand = softmax_by_hand(net_for(AERIAL), IMAGE)
    assert len(np.unique(by_hand.argmax(0))) > 1
    found = net.predict(IMAGE)
    np.testing.assert_array_equal(found == IGNORED, EMPTY)
    probabilities = net.probabilities(IMAGE)
    np.testing.assert_array_equal(probabilities[:, EMPTY], 0)
    np.testing.assert_allclose(probabilities[:, ~EMPTY].sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(found[~EMPTY], probabilities.argmax(0)[~EMPTY])
    if isinstance(inferer, WholeImage):
        np.testing.assert_allclose(probabilities[:, ~EMPTY], by_hand[:, ~EMPTY], atol=1e-5)
    rows = np.concatenate([*net.rows(ArrayWindows(IMAGE))])
    np.testing.assert_array_equal(rows == IGNORED, EMPTY)
    if isinstance(inferer, SlidingWindow):
        np.testing.assert_array_equal(rows, found)
    np.testing.assert_array_equal(np.concatenate([*net.label_bands(IMAGE)]), found)


def test_tall_images_are_marked_window_by_window(model: Path) -> None:
    image = aerial(1, (320, 64))
    image[100:190, 10:60] = 0
    net = load(model, device="cpu", inferer=SlidingWindow(64))
    rows = np.concatenate([*net.rows(ArrayWindows(image))])
    np.testing.assert_array_equal(rows == IGNORED, (image == 0).all(axis=2))
    np.testing.assert_array_equal(rows, net.predict(image))


def test_within_memory(model: Path) -> None:
    net = load(model, device="cpu", max_memory=8 << 30)
    np.testing.assert_array_equal(net.predict(IMAGE), load(model, device="cpu").predict(IMAGE))
    assert pixel_bytes(net.net) == 8  # type: ignore[attr-defined]


class Seen(Encoder):
    """Keeps the images that it reads."""

    def __init__(self, bands: Bands) -> None:
        super().__init__()
        self.in_channels = len(bands.names)
        self.bands = bands
        self.images: list[Tensor] = []

    def forward(self, image: Tensor) -> Tensor:
        self.images.append(image)
        return torch.zeros(len(image), 2, image.shape[2] // 4, image.shape[3] // 4)


@pytest.mark.parametrize(
    ("bands", "data", "nothing"),
    [
        (AERIAL, 3000, 0),
        (replace(AERIAL, type="int16", nodata=-9999), -70, -9999),
        (replace(AERIAL, type="float32", nodata=None), 0.125, np.nan),
    ],
    ids=["uint16", "int16", "float32"],
)
def test_views_of_another_scale_do_not_mix_data_with_none(bands: Bands, data: float, nothing: float) -> None:
    image = torch.full((1, 4, 64, 64), data).to(getattr(torch, bands.type))
    image[..., 24:] = nothing
    net = Seen(replace(bands, mean=(float(data),) * 4))
    TestTimeAugmentation(scales=(0.5, 1.5), flip=False).labels(net, image)
    for view in net.images:
        assert view.dtype == image.dtype
        values = view.double().numpy()
        has_none = np.isnan(values) if np.isnan(nothing) else values == nothing
        np.testing.assert_array_equal(values[~has_none], data)
        assert has_none.mean() == 40 / 64


def test_data_of_another_scale_is_no_nodata() -> None:
    """Values of both signs, between which lies the value without data."""
    image = torch.full((1, 4, 64, 64), 4).to(torch.int16)
    image[..., ::2] = -4
    net = Seen(replace(AERIAL, type="int16", nodata=0))
    TestTimeAugmentation(scales=(0.5,), flip=False).labels(net, image)
    assert all((view != 0).all() and view.abs().max() <= 4 for view in net.images)


def test_values_beyond_eight_bits_survive_another_scale() -> None:
    image = torch.full((1, 4, 64, 64), 60000).to(torch.uint16)
    net = Seen(AERIAL)
    TestTimeAugmentation(scales=(0.75,), flip=True).labels(net, image)
    assert all((view.to(torch.int32) == 60000).all() for view in net.images)


def test_members_of_an_ensemble_read_the_same_images(model: Path, tmp_path: Path) -> None:
    second = checkpoint(tmp_path / "second.ckpt", replace(AERIAL, mean=(800.0,) * 4), seed=1)
    found = load([model, second], device="cpu").probabilities(IMAGE)
    nets = [net_for(AERIAL), net_for(replace(AERIAL, mean=(800.0,) * 4), seed=1)]
    nets[1].load_state_dict(nets[1].state_dict())
    mean = np.mean([softmax_of_stride(net, IMAGE) for net in nets], axis=0)
    full = F.interpolate(torch.from_numpy(mean).log()[None], IMAGE.shape[:2], mode="bilinear").softmax(1)[0].numpy()
    np.testing.assert_allclose(found[:, ~EMPTY], full[:, ~EMPTY], atol=1e-5)
    other = checkpoint(tmp_path / "other.ckpt", replace(AERIAL, nodata=None))
    with pytest.raises(UserError) as caught:
        load([model, other], device="cpu")
    assert str(caught.value).startswith(f"{other}: the first one and it have 4 bands of uint16")
    assert "with other `nodata`: all members must read the same images" in str(caught.value)


def softmax_of_stride(net: nn.Module, image: NDArray[Any]) -> NDArray[np.float32]:
    with torch.no_grad():
        found: NDArray[np.float32] = (
            seg_output(net(torch.from_numpy(image).permute(2, 0, 1)[None])).logits[0].softmax(0).numpy()
        )
    return found


def test_labels_of_a_trainer() -> None:
    labels = torch.ones(64, 96, dtype=torch.uint8)
    found = ignored(labels, torch.from_numpy(IMAGE).permute(2, 0, 1), AERIAL, 3, IGNORED)
    np.testing.assert_array_equal(found, np.where(EMPTY, IGNORED, 1))
    assert ignored(labels, torch.zeros(3, 64, 96), Bands(), 3, IGNORED) is labels


def test_batches_of_a_trainer() -> None:
    image = torch.zeros(2, 4, 8, 8, dtype=torch.uint16)
    assert [one.shape for one in images_of({"image": image, "size": [(8, 8), (5, 6)]}, AERIAL)] == [
        (1, 4, 8, 8),
        (1, 4, 5, 6),
    ]
    with pytest.raises(
        UserError, match=r"torch.uint8 \(2, 4, 8, 8\) where uint16 images \(B, C, H, W\) are needed: let"
    ):
        list(images_of(image.to(torch.uint8), AERIAL))
