"""`seglight.load`: the labels of plain torch, from any kind of image, and no more imported than it takes.

Covers: checkpoints.allocation, checkpoints.trust, inference.members.
"""

import subprocess
import sys
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
from seglight.checkpoints.checkpoint import load_net
from seglight.errors import UserError
from seglight.inference import WholeImage
from seglight.inference.members import members
from seglight.inference.predictor import Predictor
from seglight.interfaces import seg_output
from tests.support.checkpoint_files import NAMES, checkpoint, write
from tests.support.exported import red

SIZE = (45, 61)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("trained") / "a.ckpt")


@pytest.fixture(scope="module")
def net(trained: Path) -> Predictor:
    return seglight.load(trained, device="cpu")


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


def logits_of(path: Path, pixels: NDArray[np.uint8]) -> Tensor:
    """Head-stride logits of an image that is padded by its edges to multiples of 32."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % 32), (0, -width % 32), (0, 0)), mode="edge")
    with torch.no_grad():
        return seg_output(load_net(path)[0](torch.from_numpy(padded).permute(2, 0, 1)[None])).logits


def upsampled(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    full = tuple(length + -length % 32 for length in size)
    return F.interpolate(logits, full, mode="bilinear", align_corners=False)[0, :, : size[0], : size[1]]


@pytest.mark.parametrize("kind", ["path", "string", "pillow", "array", "tensor"])
def test_labels_of_plain_torch(
    kind: str, net: Predictor, trained: Path, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image: Any = {
        "path": tmp_path / "a.png",
        "string": str(tmp_path / "a.png"),
        "pillow": Image.fromarray(pixels),
        "array": pixels,
        "tensor": torch.from_numpy(pixels).permute(2, 0, 1),
    }[kind]
    expected = upsampled(logits_of(trained, pixels), SIZE)
    labels = net.predict(image)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, expected.argmax(0).numpy())
    np.testing.assert_allclose(net.probabilities(image), expected.softmax(0).numpy(), atol=1e-6)


def test_a_batch_of_several_sizes(net: Predictor, pixels: NDArray[np.uint8]) -> None:
    images = [pixels, pixels[:33, :40], pixels[::-1].copy(), pixels[:, :, ::-1].copy(), pixels[:33, 10:50]]
    for labels, image in zip(net.predict_batch(images), images, strict=True):
        np.testing.assert_array_equal(labels, net.predict(image))


def test_classes_and_colours(net: Predictor) -> None:
    assert net.class_names == tuple(NAMES)
    assert net.palette == ((0, 0, 255), (128, 64, 128), (0, 128, 0))


def test_several_checkpoints_are_the_mean_of_their_probabilities(
    trained: Path, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    other = checkpoint(tmp_path / "b.ckpt", seed=1)
    mean = (logits_of(trained, pixels).softmax(1) + logits_of(other, pixels).softmax(1)) / 2
    expected = upsampled(mean.log(), SIZE)
    both = seglight.load([trained, other], device="cpu")
    np.testing.assert_allclose(both.probabilities(pixels), expected.softmax(0).numpy(), atol=1e-6)
    assert (both.predict(pixels) == expected.argmax(0).numpy()).mean() > 0.999


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a.ckpt", ["a.ckpt"]),
        ("a.ckpt,b.ckpt", ["a.ckpt", "b.ckpt"]),
        ("a.ckpt,lr 0,1.ckpt,b.ckpt", ["a.ckpt", "lr 0,1.ckpt", "b.ckpt"]),
        ("lr 0,1.ckpt", ["lr 0,1.ckpt"]),
        ("gone.ckpt,a.ckpt,", ["gone.ckpt", "a.ckpt"]),
        (",", []),
    ],
)
def test_models_with_commas_between_them(
    text: str, meant: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.ckpt", "b.ckpt", "lr 0,1.ckpt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert members(text) == meant


def test_members_of_other_classes_are_refused(trained: Path, tmp_path: Path) -> None:
    other = checkpoint(tmp_path / "b.ckpt", class_names=["sky", "tree", "road"])
    with pytest.raises(UserError, match=r"b.ckpt: the classes in another order: all members must be of"):
        seglight.load([trained, other])


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.zeros((4, 4, 3), np.float32), r"not float32 \(4, 4, 3\)"),
        (np.zeros((4, 4), np.uint8), r"not uint8 \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"not uint8 \(4, 4, 4\)"),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), r"not a uint8 tensor \(4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), "0 x 4 pixels"),
        (7, "not int"),
        (None, "not NoneType"),
        ("gone.png", "gone.png: not readable as an image"),
    ],
    ids=str,
)
def test_what_is_no_image(image: Any, told: str, net: Predictor) -> None:
    with pytest.raises(UserError, match=told):
        net.predict(image)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("deep.png", "1 channel of 16 bits; seglight reads"),
        ("cut.png", "not readable as an image"),
    ],
)
def test_pillow_images_that_are_not_decoded_yet(
    name: str, told: str, net: Predictor, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    """Refused as the files are: grey of 16 bits, which Pillow would make white, and what is cut off."""
    Image.fromarray(pixels[..., 0].astype(np.uint16) << 8).save(tmp_path / "deep.png")
    Image.fromarray(pixels).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:2000])
    with Image.open(tmp_path / name) as image:
        for given in (tmp_path / name, image):
            with pytest.raises(UserError, match=f"{name}: {told}"):
                net.predict(given)


def test_a_pillow_image_of_floats(net: Predictor) -> None:
    with pytest.raises(UserError, match="the Pillow image: 1 channel of 32 bits; seglight reads"):
        net.predict(Image.fromarray(np.zeros((9, 9), np.float32)))


@pytest.mark.parametrize(
    ("models", "options", "told"),
    [
        ([], {}, "no model"),
        ("gone.ckpt", {}, "gone.ckpt: no such checkpoint"),
        (["gone.onnx", "other.onnx"], {}, "gone.onnx: an exported file is not one of several models"),
        ("gone.ckpt", {"inferer": WholeImage(), "max_memory": 10**9}, "an inferer and max_memory: give one of them"),
        ("gone.onnx", {"device": "cuda"}, "run on the CPU, not on --device cuda: give the checkpoint"),
    ],
)
def test_what_is_no_model(models: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        seglight.load(models, **options)


def test_no_such_device(trained: Path) -> None:
    with pytest.raises(UserError, match="--device tpu9: not available here"):
        seglight.load(trained, device="tpu9")


CARDS = [
    {"class_names": ["a", "b"]},
    {"class_names": [1, 2, 3]},
    {"palette": [(0, 0, 300)] * 3},
    {"palette": [0, 0, 0]},
    {"num_classes": "3"},
    {"net": "seglight.models.EncoderDecoder"},
]


@pytest.mark.parametrize("card", CARDS, ids=str)
def test_a_card_that_cannot_be(card: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a.ckpt: not a checkpoint of `seglight fit`"):
        seglight.load(checkpoint(tmp_path / "a.ckpt", **card))


def test_a_net_that_would_fill_the_memory_is_not_built(tmp_path: Path) -> None:
    """A convolution of a terabyte, in a file of a few bytes."""
    net = {"class_path": "torch.nn.Conv2d", "init_args": {"out_channels": 2**37, "kernel_size": 1}}
    with pytest.raises(UserError, match="it asks for more memory than its weights can fill"):
        seglight.load(checkpoint(tmp_path / "a.ckpt", net=net))


def test_a_net_that_takes_no_image(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    path = tmp_path / "a.ckpt"
    linear = torch.nn.Linear(5, 3)
    net = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 5}}  # called with the number of classes
    write(path, net, {f"net.{key}": value for key, value in linear.state_dict().items()})
    with pytest.raises(UserError, match=r"a\.ckpt: the net (fails on an image of 45x61|that it describes can't be)"):
        seglight.load(path, device="cpu").predict(pixels)


def test_an_exported_file(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    net = seglight.load(red(tmp_path / "red.onnx"))
    np.testing.assert_array_equal(net.predict(pixels), pixels[..., 0] > 127)
    assert net.class_names == ("dark", "red")


LOADED = """
import sys
import numpy as np
import seglight
labels = seglight.load(sys.argv[1]).predict(np.zeros((40, 50, 3), np.uint8))
print(labels.shape, *{name.partition(".")[0] for name in sys.modules})
"""


@pytest.mark.parametrize("kind", ["checkpoint", "onnx"])
def test_no_more_is_imported_than_it_takes(kind: str, trained: Path, tmp_path: Path) -> None:
    path = trained if kind == "checkpoint" else red(tmp_path / "red.onnx")
    done = subprocess.run([sys.executable, "-c", LOADED, path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("(40, 50) ")
    loaded = set(done.stdout.split())
    assert "seglight" in loaded
    assert not loaded & {"lightning", "torchmetrics", "albumentations"}
    assert ("torch" in loaded) == (kind == "checkpoint")
