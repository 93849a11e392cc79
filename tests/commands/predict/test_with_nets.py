"""The predict command around real nets: batches, several checkpoints, windows, and a stated memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from seglight.checkpoints.checkpoint import load_net
from seglight.checkpoints.model_card import KEY
from seglight.data.classes import voc_color
from seglight.inference import SlidingWindow, WholeImage
from seglight.inference.within_memory import WithinMemory
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from tests.support.checkpoint_files import card

ENCODER = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": "random"}}
DECODER = {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}}
NET = {"class_path": "seglight.models.EncoderDecoder", "init_args": {"encoder": ENCODER, "decoder": DECODER}}


def checkpoint(path: Path, seed: int) -> Path:
    """Of a net of random weights with four classes, each of which has the largest logit somewhere."""
    torch.manual_seed(seed)
    net = EncoderDecoder(4, TimmEncoder("test_resnet", weights="random"), lambda c, s: FPN(c, s, 8, 8))
    with torch.no_grad():
        logits = net.eval()(tensor(noise(9, (96, 96)))).logits
        head = next(layer for layer in net.modules() if isinstance(layer, nn.Conv2d) and layer.out_channels == 4)
        assert head.bias is not None
        head.bias -= logits.mean((0, 2, 3))
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    content = card("abcd", [voc_color(index) for index in range(4)], NET).to_dict()
    torch.save({"state_dict": state, KEY: content}, path)
    return path


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("nets")
    return [checkpoint(folder / f"{seed}.ckpt", seed) for seed in range(2)]


def noise(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Blocks of 8 pixels, so that labels are no noise."""
    blocks = np.random.default_rng(seed).integers(0, 256, (size[0] // 8 + 1, size[1] // 8 + 1, 3), dtype=np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)[: size[0], : size[1]]


def tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as found:
        return np.asarray(found)


def test_batches_give_the_masks_of_single_images(
    checkpoints: list[Path], tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    sizes = [(48, 64), (48, 64), (41, 70), (48, 64), (41, 70), (48, 64)]
    (tmp_path / "images").mkdir()
    for seed, size in enumerate(sizes):
        Image.fromarray(noise(seed, size)).save(tmp_path / "images" / f"{seed}.png")
    for batch in (1, 4):
        ran = seglight_cli(
            "predict", checkpoints[0], tmp_path / "images", "--out", tmp_path / f"{batch}", "--batch", batch
        )
        assert ran.rc == 0, ran.err
    net = load_net(checkpoints[0])[0]
    for seed, size in enumerate(sizes):
        expected = WholeImage().labels(net, tensor(noise(seed, size)))[0].numpy()
        assert len(np.unique(expected)) > 1
        for batch in (1, 4):
            assert np.array_equal(read(tmp_path / f"{batch}" / f"{seed}.png"), expected)


def test_several_checkpoints_predict_the_mean_of_their_probabilities(
    checkpoints: list[Path], tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    Image.fromarray(noise(0, (64, 96))).save(tmp_path / "image.png")
    for model, out in (
        (",".join(map(str, checkpoints)), "both"),
        (checkpoints[0], "first"),
        (checkpoints[1], "second"),
    ):
        ran = seglight_cli("predict", model, tmp_path / "image.png", "--out", tmp_path / out, "--save", "probabilities")
        assert ran.rc == 0, ran.err
    kept = {}
    for out in ("both", "first", "second"):
        with np.load(tmp_path / out / "probabilities" / "image.npz") as file:
            kept[out] = file["probabilities"].astype(np.float32)
    np.testing.assert_allclose(kept["both"].sum(0), 1, atol=3e-3)
    # the mean is taken at the head's stride and interpolated as logits: near the mean at the image's resolution
    assert abs(kept["both"] - (kept["first"] + kept["second"]) / 2).max() < 0.02
    assert np.mean(read(tmp_path / "both" / "image.png") == kept["both"].argmax(0)) > 0.99


def test_a_tiff_by_windows_is_the_whole_one_by_windows(
    checkpoints: list[Path], tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seglight.commands.predict.inputs.LARGE", 1000)
    pixels = noise(3, (700, 600))
    tifffile.imwrite(tmp_path / "large.tif", pixels, photometric="rgb", tile=(64, 64), compression="zlib")
    ran = seglight_cli("predict", checkpoints[0], tmp_path / "large.tif", "--out", tmp_path / "out")
    assert ran.rc == 0, ran.err
    expected = SlidingWindow().labels(load_net(checkpoints[0])[0], tensor(pixels))[0].numpy()
    assert len(np.unique(expected)) > 1
    assert np.array_equal(read(tmp_path / "out" / "large.png"), expected)


def test_a_tiff_by_windows_that_fits_is_the_whole_one(
    checkpoints: list[Path], tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seglight.commands.predict.inputs.LARGE", 1000)
    pixels = noise(3, (700, 600))
    tifffile.imwrite(tmp_path / "large.tif", pixels, photometric="rgb", tile=(64, 64), compression="zlib")
    net = load_net(checkpoints[0])[0]
    expected = WholeImage().labels(net, tensor(pixels))[0].numpy()
    assert not np.array_equal(SlidingWindow().labels(net, tensor(pixels))[0].numpy(), expected)
    exported = tmp_path / "net.onnx"
    assert seglight_cli("export", checkpoints[0], "--out", exported).rc == 0
    for model in (checkpoints[0], exported):
        out = tmp_path / model.suffix
        ran = seglight_cli("predict", model, tmp_path / "large.tif", "--out", out, "--max_memory", "8GB")
        assert ran.rc == 0, ran.err
        assert np.array_equal(read(out / "large.png"), expected)


@pytest.mark.parametrize("chosen", [WholeImage(), SlidingWindow(64)])
def test_a_stated_memory_decides_between_whole_images_and_windows(
    checkpoints: list[Path], chosen: WholeImage | SlidingWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[tuple[int, int], int]] = []

    def plan(
        net: torch.nn.Module, size: tuple[int, int], max_memory: int, probabilities: bool, by_windows: bool
    ) -> WholeImage | SlidingWindow:
        asked.append((size, max_memory))
        return chosen

    monkeypatch.setattr("seglight.inference.within_memory.plan", plan)
    net = load_net(checkpoints[0])[0]
    images = torch.cat([tensor(noise(seed, (150, 200))) for seed in range(2)])
    found = WithinMemory(10**9).labels(net, images)
    assert torch.equal(found, torch.cat([chosen.labels(net, image[None]) for image in images]))
    assert asked == [((256, 256), 10**9)], "planned for a size rounded up"


@pytest.mark.parametrize(("memory", "amount"), [("2GB", 2e9), ("1.5GiB", 1.5 * 2**30), ("700M", 7e8), ("800000", 8e5)])
def test_units_of_memory(
    memory: str,
    amount: float,
    checkpoints: list[Path],
    tmp_path: Path,
    seglight_cli: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def plan(
        net: torch.nn.Module, size: tuple[int, int], max_memory: int, probabilities: bool, by_windows: bool
    ) -> WholeImage:
        asked.append(max_memory)
        return WholeImage()

    monkeypatch.setattr("seglight.inference.within_memory.plan", plan)
    monkeypatch.setattr("seglight.commands.predict.memory_budget.resident_bytes", lambda: -(10**9))
    Image.fromarray(noise(0, (40, 40))).save(tmp_path / "image.png")
    ran = seglight_cli(
        "predict", checkpoints[0], tmp_path / "image.png", "--out", tmp_path / "out", "--max_memory", memory
    )
    assert ran.rc == 0, ran.err
    assert asked == [amount]


def test_too_little_memory(checkpoints: list[Path], tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    Image.fromarray(noise(0, (40, 40))).save(tmp_path / "image.png")
    ran = seglight_cli(
        "predict", checkpoints[0], tmp_path / "image.png", "--out", tmp_path / "out", "--max_memory", "1MB"
    )
    assert ran.rc == 1
    assert "--max_memory" in ran.err
    assert "raise it" in ran.err
    assert not (tmp_path / "out").exists()
