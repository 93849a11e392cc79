"""The export command: a file that is what it was made of, or none.

Covers: commands.export.writing.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

import seglight
from seglight.checkpoints.checkpoint import weights_checksum
from seglight.checkpoints.model_card import ModelCard
from seglight.inference.exported.runtimes import load_exported
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from tests.support import fabricate
from tests.support.checkpoint_files import NAMES, net_config, write

Export = Callable[..., Any]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = EncoderDecoder(len(NAMES), TimmEncoder("test_resnet", None), partial(FPN, channels=32), aux_index=-2)
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    return write(tmp_path_factory.mktemp("run") / "a.ckpt", net_config(), state)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{seed}.png")
    return tmp_path / "images"


@pytest.fixture
def export(checkpoint: Path, images: Path, tmp_path: Path, seglight_cli: Callable[..., Any]) -> Export:
    """`seglight export CKPT --format FORMAT --out tmp_path/out/net.SUFFIX --size 64x96`."""
    (tmp_path / "out").mkdir()
    fixed = ("--size", "64x96")
    return lambda form, name, *args: seglight_cli(
        "export", checkpoint, "--format", form, "--out", tmp_path / "out" / name, *fixed, *args
    )


def test_a_file_that_stands_its_check(export: Export, checkpoint: Path, images: Path, tmp_path: Path) -> None:
    ran = export("onnx", "net.onnx", "--check", images)
    assert ran.rc == 0, ran.err
    assert "3 images, 100.000 % of their pixels alike" in ran.out
    assert [line for line in ran.err.splitlines() if line.startswith("seglight: ")] == [
        f"seglight: {tmp_path}/out/net.onnx: tracing the net and writing the file",
        f"seglight: {tmp_path}/out/net.onnx: comparing it with the checkpoint on 3 images",
    ]
    path = tmp_path / "out" / "net.onnx"
    assert [file.name for file in path.parent.iterdir()] == ["net.onnx"]
    for folder in (Path(seglight.__file__).parents[1], Path(torch.__file__).parents[1]):
        assert str(folder).encode() not in path.read_bytes(), "a file that is passed on names no folder of this machine"
    session = onnxruntime.InferenceSession(path)
    image = np.asarray(Image.open(images / "0.png"))
    (labels,) = session.run(["labels"], {"image": image.transpose(2, 0, 1)[None]})
    assert labels.dtype == np.uint8
    assert np.array_equal(labels[0], seglight.load(checkpoint).predict(image))
    assert [(given.domain, given.version) for given in onnx.load(path).opset_import] == [("", 20)]
    content = torch.load(checkpoint, weights_only=True)
    kept = json.loads(session.get_modelmeta().custom_metadata_map["seglight"])
    card = json.loads(json.dumps(ModelCard.from_dict(kept, path).to_dict()))
    assert kept == card | {
        "net": net_config(),
        "task": "semantic",
        "bands": 3,
        "class_names": NAMES,
        "palette": [list(color) for color in content["seglight"]["palette"]],
        "ignore_index": 255,
        "version": seglight.__version__,
        "checksum": weights_checksum({key[4:]: value for key, value in content["state_dict"].items()}),
        "precision": "float32",
        "size": [64, 96],
        "batch": False,
    }


def test_one_that_does_not_is_not_written(
    export: Export, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seglight.commands.export.check.LEAST_AGREEMENT", 2)
    ran = export("openvino", "net.xml", "--check", images)
    assert ran.rc == 1
    assert "not written, too far from the checkpoint" in ran.out
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--check", "empty"), "empty: no image in this folder"),
        (("--check", "small"), "small: an image is 50x40: check with images of --size"),
        (("--check", "labelled"), "labelled: its labels have other classes than the checkpoint"),
        (("--quantize", "int8", "--calibrate", "images", "--check", "images"), "--check of int8 compares scores"),
        (("--quantize", "int8", "--calibrate", "empty"), "empty: no image in this folder"),
        (
            ("--quantize", "int8", "--calibrate", "labelled"),
            "labelled: it contains label maps, too",
        ),
        (("--quantize", "int8", "--calibrate", "small"), "0.png: 50x40: calibrate with images of --size"),
    ],
)
def test_folders_are_inspected_before_anything_takes_time(
    args: tuple[str, ...],
    told: str,
    export: Export,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("seglight.commands.export.writing.program_of", lambda *_: pytest.fail("traced"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "small").mkdir()
    Image.new("RGB", (40, 50)).save(tmp_path / "small" / "0.png")
    fabricate.folder(tmp_path / "labelled")
    ran = export("onnx", "net.onnx", *(arg if arg.startswith("-") or arg == "int8" else tmp_path / arg for arg in args))
    assert ran.rc == 2
    assert told in ran.err
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((), "give --out FILE, or --triton DIR"),
        (("--out", "net"), "--out net: give a file that ends in"),
        (("--out", "net.onnx", "--triton", "models"), "--out and --triton: give one of them"),
        (("--out", "net.onnx", "--opset", "13"), "--opset 13: give one of 16 to 23"),
        (("--out", "net.onnx", "--size", "large"), "--size large: give height x width in pixels"),
        (("--out", "net.onnx", "--quantize", "int8"), "are given together"),
    ],
)
def test_options_are_checked_before_torch_is_imported(
    args: tuple[str, ...], told: str, tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for late in ("seglight.commands.export.writing", "seglight.inference.torch_predictor"):
        monkeypatch.setitem(sys.modules, late, None)  # its import fails
    (tmp_path / "a.ckpt").touch()
    ran = seglight_cli("export", tmp_path / "a.ckpt", *args)
    assert ran.rc == 2
    assert told in ran.err


def test_images_of_another_size_do_not_check_a_file_of_one(export: Export, images: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 50)).save(images / "1.png")
    ran = export("torch", "net.pt2", "--check", images)
    assert ran.rc == 2
    assert f"{tmp_path}/out/net.pt2: takes images of 64x96 only (height x width), not of 50x40" in ran.err
    assert not list((tmp_path / "out").iterdir())


def test_int8(export: Export, images: Path, tmp_path: Path) -> None:
    assert export("onnx", "net.onnx", "--quantize", "int8", "--calibrate", images).rc == 0
    exported = load_exported(tmp_path / "out" / "net.onnx")
    assert (exported.metadata.precision, exported.metadata.size) == ("int8", (64, 96))
    assert exported.predict(images / "0.png").shape == (64, 96)


@pytest.mark.slow
def test_int8_of_openvino(checkpoint: Path, images: Path, tmp_path: Path) -> None:
    """By OpenVINO's own reading: weights of 8 bits, and labels near those of the net."""
    import openvino

    path = tmp_path / "out" / "net.xml"
    path.parent.mkdir()
    command = [sys.executable, "-m", "seglight", "export", checkpoint, "--format", "openvino", "--out", path]
    quantized = ["--size", "64x96", "--quantize", "int8", "--calibrate", images]
    # in a process of its own: forks of one in which nncf has run, which other tests make, end by a segmentation fault
    subprocess.run([*command, *quantized], check=True)
    assert sorted(file.name for file in path.parent.iterdir()) == ["net.bin", "net.xml"]
    operations = openvino.Core().read_model(path).get_ops()
    kinds = [operation.get_type_name() for operation in operations]
    types = [operation.get_element_type() for operation in operations if operation.get_type_name() == "Constant"]
    assert types.count(openvino.Type.i8) >= kinds.count("Convolution") > 20
    exported, net = load_exported(path), seglight.load(checkpoint, device="cpu")
    assert (exported.metadata.precision, exported.metadata.size) == ("int8", (64, 96))
    for image in images.iterdir():
        labels = net.predict(image)
        assert np.bincount(labels.ravel()).max() < 0.7 * labels.size, "a guess would be as good"
        assert np.mean(exported.predict(image) == labels) > 0.85, "of an untrained net, on noise"
